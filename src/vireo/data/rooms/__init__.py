"""Rooms: a small ray-cast indoor world that knows everything about its pictures.

`world` says what a room is, `draw` draws one from a seed, `render` turns worlds and cameras into
frames (with `pack`, `rays`, `textures` and `shade`), `frames` keeps rendered splits on disk, and
`source` offers them as a dataset.
"""
