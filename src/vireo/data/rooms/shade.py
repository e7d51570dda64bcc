"""Colours of hit points: texture, then Lambert's law under point lights with shadows.

Light falls off as 1 / (c + d^2 / k), a lamp's size and the room's reflections folded into c and k;
an ambient term that is stronger from above stands for light reflected between walls.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from vireo.data.rooms import textures
from vireo.data.rooms.pack import Cameras, Scenes
from vireo.data.rooms.rays import camera_rays, cast
from vireo.data.rooms.world import FACES, SHAPES

Plane = Float[Tensor, "batch rays"]
Planes = Float[Tensor, "batch 3 rays"]
_SPHERE, _CYLINDER = SHAPES.index("sphere"), SHAPES.index("cylinder")
_STEEPEST = 0.3
"""Least cosine that stretches a pixel's footprint: lookups are isotropic and would blur too far."""
_REACHED = 1 - 1e-3
"""Share of the way from a light to a point that has to be free: the point's own solid is at 1."""


class Hits(NamedTuple):
    """Where rays end: slot, point in the solid's axes (metres and half extents), kind of place.

    Attributes:
        axis: of the flat face, meaningless where the surface is round.
        radial: where the surface is round.
        sphere: where it is a sphere.
    """

    slot: Int64[Tensor, "batch rays"]
    local: Planes
    unit: Planes
    axis: Int64[Tensor, "batch rays"]
    radial: Bool[Tensor, "batch rays"]
    sphere: Bool[Tensor, "batch rays"]


def shade(scenes: Scenes, cameras: Cameras, size: int, *, shadows: bool) -> Planes:
    """Return the linear RGB light that arrives along the rays of size x size pixels."""
    rays = camera_rays(cameras, size)
    depth, slot = cast(scenes, cameras.position, rays).min(1)
    points = cameras.position[:, :, None] + depth[:, None] * rays
    hits = find_hits(scenes, points, slot)
    normal = _normals(scenes, hits)
    pixel = 2 * cameras.tangent[:, None] / size
    facing = (normal * rays).sum(1).abs() / (rays * rays).sum(1).sqrt()
    footprint = depth * pixel / facing.clamp_min(_STEEPEST)
    return _albedo(scenes, hits, footprint) * _light(scenes, points, normal, shadows=shadows)


def find_hits(scenes: Scenes, points: Planes, slot: Int64[Tensor, "batch rays"]) -> Hits:
    """Describe points of the surfaces of these slots."""
    kind = scenes.kind.gather(1, slot)
    half, turn = _pick(scenes.half, slot), _pick(scenes.turn, slot)
    x, y, z = (points - _pick(scenes.centre, slot)).unbind(1)
    cos, sin = turn.unbind(1)
    local = torch.stack((cos * x + sin * y, cos * y - sin * x, z), 1)
    unit = local / half
    sphere, cylinder = kind == _SPHERE, kind == _CYLINDER
    cap = cylinder & (unit[:, 2].abs() > torch.hypot(unit[:, 0], unit[:, 1]))
    x, y, z = unit.abs().unbind(1)  # comparisons: argmax over so short an axis is far slower
    axis = torch.where((x >= y) & (x >= z), 0, torch.where(y >= z, 1, 2))
    return Hits(
        slot=slot,
        local=local,
        unit=unit,
        axis=torch.where(cap, 2, axis),
        radial=sphere | (cylinder & ~cap),
        sphere=sphere,
    )


def _pick(
    table: Float[Tensor, "batch rows facts"], row: Int64[Tensor, "batch rays"]
) -> Float[Tensor, "batch facts rays"]:
    """Look the facts of a row up for every ray."""
    facts = table.shape[2]
    return table.transpose(1, 2).gather(2, row[:, None].expand(-1, facts, -1))


def _normals(scenes: Scenes, hits: Hits) -> Planes:
    """Return unit normals in world axes, on the side that light can come from."""
    unit = hits.unit
    flat = torch.zeros_like(unit).scatter_(1, hits.axis[:, None], 1.0) * unit.sign()
    upright = torch.where(hits.sphere, unit[:, 2], 0.0)
    round_ = torch.stack((unit[:, 0], unit[:, 1], upright), 1)
    normal = torch.where(hits.radial[:, None], round_, flat)
    x, y, z = torch.where((hits.slot == 0)[:, None], -normal, normal).unbind(1)
    cos, sin = _pick(scenes.turn, hits.slot).unbind(1)
    return torch.stack((cos * x - sin * y, sin * x + cos * y, z), 1)


def _coordinates(hits: Hits) -> tuple[Plane, Plane]:
    """Return texture coordinates in metres; around a round surface the first is in turns."""
    x, y, z = hits.local.unbind(1)
    turns = torch.atan2(y, x) / (2 * math.pi)
    u = torch.where(hits.radial, turns, torch.where(hits.axis == 0, y, x))
    return u, torch.where(hits.radial | (hits.axis != 2), z, y)


def _surfaces(scenes: Scenes, hits: Hits, u: Plane, v: Plane) -> Int64[Tensor, "batch rays"]:
    """Return the row of `Scenes.paint` of every point; a later panel covers an earlier one."""
    first = FACES + scenes.kind.shape[1] - 1
    beyond = hits.unit.gather(1, hits.axis[:, None])[:, 0] > 0
    surface = faces = torch.where(hits.slot == 0, 2 * hits.axis + beyond, FACES - 1 + hits.slot)
    for place in range(scenes.panels.shape[1]):
        column, row, width, height = scenes.panels[:, place, :, None].unbind(1)
        covered = (faces == scenes.panel_face[:, place, None]) & ((u - column).abs() < width)
        covered &= (v - row).abs() < height
        surface = torch.where(covered, first + place, surface)
    return surface


def _albedo(scenes: Scenes, hits: Hits, footprint: Plane) -> Planes:
    """Return reflectances: the surface's two colours, mixed by its texture."""
    u, v = _coordinates(hits)
    paint = _pick(scenes.paint, _surfaces(scenes, hits, u, v))
    code, scale, shift_u, shift_v = paint[:, :4].unbind(1)
    place = torch.where(hits.radial, u * paint[:, 10], u * scale) + shift_u, v * scale + shift_v
    atlas = textures.atlas(str(u.device))
    mix = textures.sample(atlas, code.long(), place, footprint * scale)
    return torch.lerp(paint[:, 4:7], paint[:, 7:10], mix[:, None])


def _light(scenes: Scenes, points: Planes, normal: Planes, *, shadows: bool) -> Planes:
    """Return the light that falls on points."""
    total = scenes.ambient[:, None, None] * (0.8 + 0.2 * normal[:, 2:]).expand_as(points)
    for lamp in scenes.light.unbind(1):
        position, colour = lamp[:, :3], lamp[:, 3:]
        way = points - position[:, :, None]
        squared = (way * way).sum(1)
        cosine = (-(normal * way).sum(1) / squared.sqrt()).clamp_min(0)
        strength = cosine / (0.4 + squared / 6)
        if shadows and scenes.kind.shape[1] > 1:
            nearest = cast(scenes, position, way)[:, 1:].amin(1)
            strength = torch.where(nearest < _REACHED, 0.0, strength)
        total = total + colour[:, :, None] * strength[:, None]
    return total
