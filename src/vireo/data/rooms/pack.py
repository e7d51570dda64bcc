"""A batch of worlds and cameras as tensors: what the renderer reads.

Slot 0 of the solids is the room itself, a box seen from within; slot i is object i. Worlds with
fewer objects than the batch's largest have empty slots of kind -1, which no ray hits.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from vireo.data.rooms.world import FACES, SHAPES, TEXTURES, Camera, Surface, World

ROOM = len(SHAPES)
"""Kind of slot 0; the kinds below are places in `SHAPES`."""


@dataclass(frozen=True, kw_only=True)
class Cameras:
    """Poses of a batch: where they are and the unit vectors to the right, up and forward."""

    position: Float[Tensor, "batch 3"]
    right: Float[Tensor, "batch 3"]
    up: Float[Tensor, "batch 3"]
    forward: Float[Tensor, "batch 3"]
    tangent: Float[Tensor, " batch"]


@dataclass(frozen=True, kw_only=True)
class Scenes:
    """Worlds of a batch.

    Attributes:
        kind: -1 for an empty slot.
        turn: cosine and sine of the solids' yaw.
        paint: of the surfaces (6 faces, then the objects, then the panels): texture, scale, offset
            (2), the two colours (6), and repeats around a round object.
        panels: centre and half extents (4), relative to the room's centre.
        panel_face: -1 for an empty slot.
        light: position and colour (6); an empty slot is black.
    """

    kind: Int64[Tensor, "batch slots"]
    centre: Float[Tensor, "batch slots 3"]
    half: Float[Tensor, "batch slots 3"]
    turn: Float[Tensor, "batch slots 2"]
    paint: Float[Tensor, "batch surfaces 11"]
    panels: Float[Tensor, "batch panels 4"]
    panel_face: Int64[Tensor, "batch panels"]
    light: Float[Tensor, "batch lights 6"]
    ambient: Float[Tensor, " batch"]


def pack_cameras(
    cameras: Sequence[Camera], device: str = "cpu", dtype: torch.dtype = torch.float64
) -> Cameras:
    """Return the poses of a batch as tensors."""
    rows = []
    for camera in cameras:
        cos, sin = math.cos(camera.yaw), math.sin(camera.yaw)
        level, rise = math.cos(camera.pitch), math.sin(camera.pitch)
        right, up = (sin, -cos, 0.0), (-rise * cos, -rise * sin, level)
        forward = (level * cos, level * sin, rise)
        rows.append((*camera.position, *right, *up, *forward, math.tan(camera.field_of_view / 2)))
    table = torch.tensor(rows, dtype=torch.float64).to(device=device, dtype=dtype)
    position, right_, up_, forward_ = (table[:, start : start + 3] for start in (0, 3, 6, 9))
    return Cameras(position=position, right=right_, up=up_, forward=forward_, tangent=table[:, 12])


def pack_worlds(
    worlds: Sequence[World], device: str = "cpu", dtype: torch.dtype = torch.float64
) -> Scenes:
    """Return the worlds of a batch as tensors."""
    slots = 1 + max(len(world.solids) for world in worlds)
    num_panels = max(len(world.panels) for world in worlds)
    num_lights = max(len(world.lights) for world in worlds)
    batch = len(worlds)
    kind, panel_face = np.full((batch, slots), -1), np.full((batch, num_panels), -1)
    solids = np.ones((batch, slots, 8))
    paint = np.zeros((batch, FACES + slots - 1 + num_panels, 11))
    panels, light = np.zeros((batch, num_panels, 4)), np.zeros((batch, num_lights, 6))
    for row, world in enumerate(worlds):
        _fill_solids(world, kind[row], solids[row])
        _fill_paint(world, paint[row], slots)
        for place, panel in enumerate(world.panels):
            panel_face[row, place] = panel.face
            panels[row, place] = (*_about_middle(world, panel.face, panel.centre), *panel.half)
        for place, lamp in enumerate(world.lights):
            light[row, place] = (*lamp.position, *lamp.colour)
    ambient = np.array([world.ambient for world in worlds])

    def tensor(values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(device=device, dtype=dtype)

    return Scenes(
        kind=torch.from_numpy(kind).to(device),
        centre=tensor(solids[..., 0:3]),
        half=tensor(solids[..., 3:6]),
        turn=tensor(solids[..., 6:8]),
        paint=tensor(paint),
        panels=tensor(panels),
        panel_face=torch.from_numpy(panel_face).to(device),
        light=tensor(light),
        ambient=tensor(ambient),
    )


def _fill_solids(world: World, kind: np.ndarray, solids: np.ndarray) -> None:
    middle = [side / 2 for side in world.extent]
    kind[0], solids[0] = ROOM, (*middle, *middle, 1.0, 0.0)
    for slot, solid in enumerate(world.solids, start=1):
        kind[slot] = SHAPES.index(solid.shape)
        turn = (math.cos(solid.yaw), math.sin(solid.yaw))
        solids[slot] = (*solid.centre, *solid.half, *turn)


def _fill_paint(world: World, paint: np.ndarray, slots: int) -> None:
    for face, surface in enumerate(world.faces):
        paint[face] = _paint(surface, 1.0)
    for place, solid in enumerate(world.solids):
        paint[FACES + place] = _paint(solid.surface, solid.half[0])
    for place, panel in enumerate(world.panels):
        paint[FACES + slots - 1 + place] = _paint(panel.surface, 1.0)


def _paint(surface: Surface, radius: float) -> tuple[float, ...]:
    """Return a row of `Scenes.paint`; a whole number of periods goes around a round object."""
    repeats = max(1, round(2 * math.pi * radius * surface.scale))
    code = float(TEXTURES.index(surface.texture))
    first, second = surface.colours
    return (code, surface.scale, *surface.offset, *first, *second, float(repeats))


def _about_middle(world: World, face: int, centre: tuple[float, float]) -> tuple[float, float]:
    """Turn coordinates on a face into ones relative to the room's centre."""
    axes = [axis for axis in range(3) if axis != face // 2]
    u, v = (place - world.extent[axis] / 2 for place, axis in zip(centre, axes, strict=True))
    return u, v
