"""Optical flow between two poses of one world, exact, known where both frames show the point."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from vireo.data.rooms.pack import pack_cameras, pack_worlds
from vireo.data.rooms.rays import camera_rays, cast, project, unproject
from vireo.data.rooms.world import Camera, World

_REACHED = 1 - 1e-6
"""Share of the way from the second camera to a point that has to be free; in float64."""


def optical_flow(
    worlds: Sequence[World],
    poses: Sequence[tuple[Camera, Camera]],
    size: int,
    device: str = "cpu",
) -> Float[Tensor, "batch 2 height width"]:
    """Return where the points that pixels of the first frame show have gone in the second.

    Args:
        worlds: one an example; nothing moves but the camera.
        poses: the first and the second camera of each.
        size: height and width of the frames.
        device: where to compute and where the result lies.

    Returns:
        Pixels to the right and down, from the pixel's centre; NaN where the point is hidden from
        the second camera, or lies outside its picture.
    """
    scenes = pack_worlds(worlds, device)
    here, there = (pack_cameras(cameras, device) for cameras in zip(*poses, strict=True))
    depth = cast(scenes, here.position, camera_rays(here, size)).amin(1)
    points = unproject(depth.reshape(-1, size, size), here)
    places, ahead = project(points, there, size)
    way = points.flatten(2) - there.position[:, :, None]
    reached = (cast(scenes, there.position, way).amin(1) > _REACHED).reshape(-1, size, size)
    known = reached & (ahead > 0) & ((places >= 0) & (places <= size)).all(1)
    flow = places - _centres(places)
    return torch.where(known[:, None], flow, torch.nan).float()


def _centres(places: Float[Tensor, "batch 2 height width"]) -> Float[Tensor, "2 height width"]:
    """Return column and row of the pixels' centres."""
    height, width = places.shape[2:]
    rows, columns = (
        torch.arange(count, device=places.device, dtype=places.dtype) + 0.5
        for count in (height, width)
    )
    return torch.stack(torch.meshgrid(columns, rows, indexing="xy"))
