"""Bytes of untrusted files to nested containers of tensors; `files.py` is the door."""
