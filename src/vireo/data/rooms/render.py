"""Renders a batch of frames, one world and one pose each, with everything that is true of them.

Labels come from the ray through each pixel's centre, in float64; RGB is the mean of
`samples` x `samples` rays a pixel, in float32, shown with gamma 2. A frame does not depend on the
others of its batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from vireo.data.rooms.pack import ROOM, Cameras, Scenes, pack_cameras, pack_worlds
from vireo.data.rooms.rays import camera_rays, cast, to_local
from vireo.data.rooms.shade import find_hits, shade
from vireo.data.rooms.world import SHAPES, SURFACES, Camera, RoomsSettings, World

VERSION = 2
"""Of the draws, the renderer and the facts: raise it when one changes, so that caches are anew."""
_FLOOR, _CEILING = SURFACES.index("floor"), SURFACES.index("ceiling")
_FIRST_SHAPE = SURFACES.index(SHAPES[0])


@dataclass(frozen=True, kw_only=True)
class Frames:
    """What is known of a batch of frames.

    Attributes:
        image: RGB.
        depth: metres along the optical axis, as depth cameras give it.
        instances: 0 the room, i + 1 the world's object i.
        mask: places in `SURFACES`.
        walkable: visible floor whose points keep `clearance` metres from the walls and from every
            object of the world seen from above, visible or not.
        count: objects with at least `visible` of the picture's pixels.
        nearest: place in `SHAPES` of the object, among those counted, with the least depth; -1
            where none is counted.
    """

    image: UInt8[Tensor, "batch height width 3"]
    depth: Float[Tensor, "batch height width"]
    instances: UInt8[Tensor, "batch height width"]
    mask: UInt8[Tensor, "batch height width"]
    walkable: Bool[Tensor, "batch height width"]
    count: Int64[Tensor, " batch"]
    nearest: Int64[Tensor, " batch"]


def render(
    worlds: Sequence[World],
    cameras: Sequence[Camera],
    settings: RoomsSettings,
    device: str = "cpu",
) -> Frames:
    """Render one frame of every world, seen by its camera.

    Args:
        worlds: as many as `cameras`; the same one may come twice.
        cameras: the poses.
        settings: of which size, shadows, samples, clearance and visible count here.
        device: where to compute and where the result lies.
    """
    image = render_image(worlds, cameras, settings, device)
    scenes, poses = pack_worlds(worlds, device), pack_cameras(cameras, device)
    rays = camera_rays(poses, settings.size)
    depth, slot = cast(scenes, poses.position, rays).min(1)
    points = poses.position[:, :, None] + depth[:, None] * rays
    mask = _surface_codes(scenes, points, slot)
    free = (mask == _FLOOR) & (_distance_from_above(scenes, points) >= settings.clearance)
    count, nearest = _summary(scenes, depth, slot, settings.visible)

    def square(pixels: Tensor) -> Tensor:
        return pixels.reshape(len(worlds), settings.size, settings.size)

    return Frames(
        image=image,
        depth=square(depth.float()),
        instances=square(slot.to(torch.uint8)),
        mask=square(mask.to(torch.uint8)),
        walkable=square(free),
        count=count,
        nearest=nearest,
    )


def render_image(
    worlds: Sequence[World], cameras: Sequence[Camera], settings: RoomsSettings, device: str
) -> UInt8[Tensor, "batch height width 3"]:
    """Render RGB alone; arguments as of `render`."""
    samples, size = settings.samples, settings.size
    scenes = pack_worlds(worlds, device, torch.float32)
    poses: Cameras = pack_cameras(cameras, device, torch.float32)
    light = shade(scenes, poses, size * samples, shadows=settings.shadows)
    split = light.reshape(len(worlds), 3, size, samples, size, samples)
    shown = split.mean((3, 5)).clamp(0, 1).sqrt() * 255
    return shown.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _surface_codes(
    scenes: Scenes, points: Float[Tensor, "batch 3 rays"], slot: Int64[Tensor, "batch rays"]
) -> Int64[Tensor, "batch rays"]:
    """Return places in `SURFACES`."""
    kind = scenes.kind.gather(1, slot)
    hits = find_hits(scenes, points, slot)
    level = torch.where(hits.unit[:, 2] < 0, _FLOOR, _CEILING)
    room = torch.where(hits.axis == 2, level, SURFACES.index("wall"))
    return torch.where(kind == ROOM, room, kind + _FIRST_SHAPE)


def _distance_from_above(
    scenes: Scenes, points: Float[Tensor, "batch 3 rays"]
) -> Float[Tensor, "batch rays"]:
    """Return the horizontal distance to the nearest wall or object."""
    inside = scenes.half[:, 0, :2, None] - (points - scenes.centre[:, 0, :, None])[:, :2].abs()
    least = inside.amin(1)
    apart = least.new_full((*scenes.kind.shape, least.shape[1]), torch.inf)
    for kind, shape in enumerate(SHAPES):
        at = (scenes.kind == kind).nonzero(as_tuple=True)
        local, half = to_local(scenes, at, points), scenes.half[at][:, :2, None]
        if shape == "box":
            outside = (local[:, :2].abs() - half).clamp_min(0)
            apart[at] = torch.hypot(outside[:, 0], outside[:, 1])
        else:
            apart[at] = torch.hypot(local[:, 0], local[:, 1]) - half[:, 0]
    return torch.minimum(least, apart.amin(1))


def _summary(
    scenes: Scenes,
    depth: Float[Tensor, "batch rays"],
    slot: Int64[Tensor, "batch rays"],
    visible: float,
) -> tuple[Int64[Tensor, " batch"], Int64[Tensor, " batch"]]:
    """Return the number of visible objects and the shape of the nearest."""
    pixels = torch.zeros_like(scenes.kind).scatter_add_(1, slot, torch.ones_like(slot))
    seen = pixels >= visible * depth.shape[1]
    seen[:, 0] = False
    least = torch.full_like(scenes.kind, torch.inf, dtype=depth.dtype)
    least.scatter_reduce_(1, slot, depth, "amin")
    first = torch.where(seen, least, torch.inf).argmin(1)
    shape = scenes.kind.gather(1, first[:, None])[:, 0]
    count = seen.sum(1)
    return count, torch.where(count > 0, shape, -1)
