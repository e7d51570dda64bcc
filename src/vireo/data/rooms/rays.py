"""Rays and what they hit, in closed form for a whole batch.

A ray is origin + t * direction with directions of unit length along the optical axis, so that for
a camera's rays t is the depth. Every solid is an intersection of convex slabs, tubes and balls:
each gives an interval of t, and a ray hits where the latest entry comes before the earliest exit
(Kay and Kajiya 1986).

Shapes: `solids` is the number of solids of one kind in the whole batch, `rays` the rays of a frame.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from vireo.data.rooms.pack import ROOM, Cameras, Scenes
from vireo.data.rooms.world import SHAPES

Points = Float[Tensor, "batch 3 height width"]
_TINY = 1e-12


def camera_rays(cameras: Cameras, size: int) -> Float[Tensor, "batch 3 rays"]:
    """Return the directions through the centres of size x size pixels, row by row."""
    tangent = cameras.tangent[:, None, None]
    line = (torch.arange(size, device=tangent.device, dtype=tangent.dtype) + 0.5) * 2 / size - 1
    across, down = line.repeat(size), line.repeat_interleave(size)
    return (
        cameras.forward[:, :, None]
        + cameras.right[:, :, None] * (tangent * across)
        - cameras.up[:, :, None] * (tangent * down)
    )


def unproject(depth: Float[Tensor, "batch height width"], cameras: Cameras) -> Points:
    """Return the world points of all pixels from their depths."""
    batch, height, width = depth.shape
    rays = camera_rays(cameras, width).reshape(batch, 3, height, width)
    points: Tensor = cameras.position[:, :, None, None] + depth[:, None].to(rays.dtype) * rays
    return points


def project(
    points: Points, cameras: Cameras, size: int
) -> tuple[Float[Tensor, "batch 2 height width"], Float[Tensor, "batch height width"]]:
    """Return where world points appear: columns and rows in pixels, and their depths.

    The centre of the first pixel is at (0.5, 0.5). Two cameras give optical flow: where the second
    sees the points that the first unprojects, minus the pixels' own places.
    """
    offset = points - cameras.position[:, :, None, None]

    def along(axis: Float[Tensor, "batch 3"]) -> Tensor:
        return (offset * axis[:, :, None, None]).sum(1)

    depth = along(cameras.forward)
    reach = depth * cameras.tangent[:, None, None]
    column = (along(cameras.right) / reach + 1) * size / 2
    row = (1 - along(cameras.up) / reach) * size / 2
    return torch.stack((column, row), 1), depth


def cast(
    scenes: Scenes, origin: Float[Tensor, "batch 3"], rays: Float[Tensor, "batch 3 rays"]
) -> Float[Tensor, "batch slots rays"]:
    """Return t of the first hit with every slot, infinite where there is none.

    The room is hit from within; objects are hit from without.
    """
    batch, slots = scenes.kind.shape
    hits = rays.new_full((batch, slots, rays.shape[2]), torch.inf)
    for kind in range(len(SHAPES) + 1):
        at = (scenes.kind == kind).nonzero(as_tuple=True)
        if len(at[0]) == 0:
            continue
        start = to_local(scenes, at, origin[:, :, None])
        near, far = _interval(kind, start, _unturn(rays[at[0]], scenes.turn[at]), scenes.half[at])
        if kind == ROOM:
            hits[at] = far
        else:
            hits[at] = torch.where((near < far) & (near > 0), near, torch.inf)
    return hits


def to_local(
    scenes: Scenes, at: tuple[Tensor, ...], points: Float[Tensor, "batch 3 some"]
) -> Float[Tensor, "solids 3 some"]:
    """Return the points of their frames in the axes of the solids at these (frames, slots)."""
    return _unturn(points[at[0]] - scenes.centre[at][:, :, None], scenes.turn[at])


def _unturn(
    vectors: Float[Tensor, "solids 3 some"], turn: Float[Tensor, "solids 2"]
) -> Float[Tensor, "solids 3 some"]:
    cos, sin = turn[:, 0, None], turn[:, 1, None]
    x, y, z = vectors.unbind(1)
    return torch.stack((cos * x + sin * y, cos * y - sin * x, z), 1)


def _interval(
    kind: int,
    origin: Float[Tensor, "solids 3 1"],
    rays: Float[Tensor, "solids 3 rays"],
    half: Float[Tensor, "solids 3"],
) -> tuple[Float[Tensor, "solids rays"], Float[Tensor, "solids rays"]]:
    """Return entry and exit of a ray in a solid's own axes."""
    name = "room" if kind == ROOM else SHAPES[kind]
    if name == "sphere":
        return _ball(origin, rays, half[:, :1])
    if name == "cylinder":
        side = _ball(origin[:, :2], rays[:, :2], half[:, :1])
        ends = _slab(origin[:, 2], rays[:, 2], half[:, 2:])
        return torch.maximum(side[0], ends[0]), torch.minimum(side[1], ends[1])
    near, far = _slab(origin, rays, half[:, :, None])
    return near.amax(1), far.amin(1)


def _slab(origin: Tensor, rays: Tensor, half: Tensor) -> tuple[Tensor, Tensor]:
    """Return entry and exit of |x| <= half, along one axis or along each of several."""
    inverse = 1 / torch.where(rays.abs() < _TINY, _TINY, rays)
    middle, reach = -origin * inverse, half * inverse.abs()
    return middle - reach, middle + reach


def _ball(origin: Tensor, rays: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
    """Return entry and exit of |x| <= radius: roots of a t^2 + 2 b t + c; of a disc in 2-D."""
    a = (rays * rays).sum(1).clamp_min(_TINY)
    b = (origin * rays).sum(1)
    c = (origin * origin).sum(1) - radius * radius
    discriminant = b * b - a * c
    root = torch.where(discriminant > 0, discriminant.clamp_min(0).sqrt(), -torch.inf)
    return (-b - root) / a, (-b + root) / a
