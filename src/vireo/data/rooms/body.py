"""The camera's body, and how far it can go: what "steps ahead" means.

The body is an upright cylinder from the floor to the ceiling around the camera. Everything in a
room is upright too, so a move collides if, seen from above, the body's circle comes to touch a wall
or the outline of an object: if its centre enters an outline widened by the body's radius. A widened
circle is a circle; a widened rectangle is two rectangles and a circle at each corner.
"""

import math

from vireo.data.rooms.world import Camera, Pair, Solid, World

BODY_RADIUS = 0.2
"""Metres, as the agents of usual simulators have it."""
STEP = 0.25
MOST_STEPS = 4


def steps_ahead(world: World, camera: Camera) -> int:
    """Return how many steps of 0.25 m the camera can go forward without a collision: 0 to 4."""
    free = free_distance(world, camera.position[:2], camera.yaw)
    return min(MOST_STEPS, int(free / STEP + 1e-9))


def free_distance(world: World, place: Pair, heading: float) -> float:
    """Return the metres from `place` along `heading` until the body touches something.

    0 where it touches something from the start.
    """
    if min(min(start, side - start) for start, side in _sides(place, world)) < BODY_RADIUS:
        return 0.0
    way = math.cos(heading), math.sin(heading)
    walls = (
        ((side - BODY_RADIUS if along > 0 else BODY_RADIUS) - start) / along
        for (start, side), along in zip(_sides(place, world), way, strict=True)
        if along
    )
    entries = (_entry(solid, place, way) for solid in world.solids)
    return min(math.inf, *walls, *entries)


def _sides(place: Pair, world: World) -> tuple[Pair, Pair]:
    """Return the coordinate and the room's side, for both axes."""
    return (place[0], world.extent[0]), (place[1], world.extent[1])


def _entry(solid: Solid, place: Pair, way: Pair) -> float:
    """Return where a line enters a widened outline; 0 from within, infinite where it passes by."""
    cos, sin = math.cos(solid.yaw), math.sin(solid.yaw)

    def turn(x: float, y: float) -> Pair:
        return cos * x + sin * y, cos * y - sin * x

    start, along = turn(place[0] - solid.centre[0], place[1] - solid.centre[1]), turn(*way)
    if solid.shape != "box":
        return _enter_circle(start, along, solid.half[0] + BODY_RADIUS)
    a, b, _ = solid.half
    corners = (
        _enter_circle((start[0] - x, start[1] - y), along, BODY_RADIUS)
        for x in (-a, a)
        for y in (-b, b)
    )
    wide = _enter_rectangle(start, along, (a + BODY_RADIUS, b))
    deep = _enter_rectangle(start, along, (a, b + BODY_RADIUS))
    return min(wide, deep, *corners)


def _enter_circle(start: Pair, way: Pair, radius: float) -> float:
    """Return the first root of |start + t way| = radius, for a `way` of length 1."""
    middle = start[0] * way[0] + start[1] * way[1]
    rest = start[0] ** 2 + start[1] ** 2 - radius**2
    if rest < 0:
        return 0.0
    discriminant = middle**2 - rest
    if discriminant < 0 or middle > 0:
        return math.inf
    return -middle - math.sqrt(discriminant)


def _enter_rectangle(start: Pair, way: Pair, half: Pair) -> float:
    """Return where the line is first within half the sides in both directions."""
    near, far = 0.0, math.inf
    for place, along, reach in zip(start, way, half, strict=True):
        if along == 0:
            if abs(place) >= reach:
                return math.inf
            continue
        ends = sorted(((-reach - place) / along, (reach - place) / along))
        near, far = max(near, ends[0]), min(far, ends[1])
    return near if near < far else math.inf
