"""Draws worlds: a camera looks across a room, and most objects are put into its view.

Shape, size, texture and colour are drawn independently, so that colour does not give shape away.
"""

import colorsys
import dataclasses
import math

import numpy as np

from vireo import seeding
from vireo.data.rooms.body import MOST_STEPS, STEP, free_distance
from vireo.data.rooms.world import (
    FACES,
    SHAPES,
    Camera,
    Light,
    Panel,
    RoomsSettings,
    Solid,
    Surface,
    Vector,
    World,
)
from vireo.digest import digest

_GAP = 0.05
"""Metres between the circles around two objects, and between objects and walls."""
_TRIES = 40


def draw_scene(
    settings: RoomsSettings, split: str, index: int, attempt: int = 0
) -> tuple[World, Camera]:
    """Draw the world and the camera of one frame.

    Args:
        settings: ranges of what is drawn.
        split: worlds of different splits are independent draws.
        index: of the frame in its split.
        attempt: raised when a drawn frame shows no object.

    Example:
        >>> draw_scene(RoomsSettings(), "train", 3) == draw_scene(RoomsSettings(), "train", 3)
        True
    """
    rng = seeding.generator(digest("rooms", settings.seed), f"rooms/{split}", attempt, index)
    extent = (rng.uniform(4.0, 9.0), rng.uniform(4.0, 9.0), rng.uniform(2.4, 3.4))
    camera = _draw_camera(rng, extent)
    solids = _draw_solids(rng, settings, extent, camera)
    lights = _draw_lights(rng, settings, extent)
    panels = tuple(
        _draw_panel(rng, settings, extent) for _ in range(rng.integers(settings.clutter + 1))
    )
    faces = _draw_faces(rng, settings)
    ambient = settings.brightness * rng.uniform(0.2, 0.45)
    world = World(
        extent=extent, faces=faces, solids=solids, panels=panels, lights=lights, ambient=ambient
    )
    return world, camera if settings.camera == "overview" else _approach(rng, world, camera)


def _draw_camera(rng: np.random.Generator, extent: Vector) -> Camera:
    """Stand back from the middle of the room and look across it, a little down."""
    yaw = rng.uniform(-math.pi, math.pi)
    back = rng.uniform(0.2, 0.45, size=2)
    position = [
        float(np.clip(side * (0.5 - share * along + rng.uniform(-0.1, 0.1)), 0.4, side - 0.4))
        for side, share, along in zip(extent, back, (math.cos(yaw), math.sin(yaw)), strict=False)
    ]
    return Camera(
        position=(position[0], position[1], rng.uniform(1.0, 1.7)),
        yaw=yaw,
        pitch=-math.radians(rng.uniform(8, 26)),
        field_of_view=math.radians(rng.uniform(58, 76)),
    )


def _approach(rng: np.random.Generator, world: World, camera: Camera) -> Camera:
    """Turn to an object (two times in three) or about, and walk until a drawn distance is left.

    What is left is uniform within a step, and 0 to 3 whole steps are equally likely, as is 1 m or
    more. It is drawn before the heading, which is drawn again where there is less room.
    """
    steps = int(rng.integers(MOST_STEPS + 1))
    left = STEP * (steps + (4 * rng.random() ** 2 if steps == MOST_STEPS else rng.random()))
    x, y, _ = camera.position
    for _ in range(_TRIES):
        heading = camera.yaw + rng.uniform(-math.pi / 3, math.pi / 3)
        if world.solids and rng.random() < 2 / 3:
            aim = world.solids[rng.integers(len(world.solids))].centre
            heading = math.atan2(aim[1] - y, aim[0] - x) + rng.uniform(-0.1, 0.1)
        way = free_distance(world, (x, y), heading) - left
        if way >= 0:
            break
    way = max(0.0, way)
    return dataclasses.replace(
        camera,
        position=(
            x + way * math.cos(heading),
            y + way * math.sin(heading),
            rng.uniform(0.85, 0.95),
        ),
        yaw=heading,
        pitch=-math.radians(rng.uniform(22, 26)),
        field_of_view=math.radians(72),
    )


def _draw_solids(
    rng: np.random.Generator, settings: RoomsSettings, extent: Vector, camera: Camera
) -> tuple[Solid, ...]:
    """Draw disjoint objects one after the other; one that finds no place is left out."""
    solids: list[Solid] = []
    least, most = settings.min_objects, settings.max_objects
    share = rng.random() ** 0.8  # more of the crowded worlds: some of their objects are hidden
    for _ in range(least + int(share * (most + 1 - least))):
        in_view = not solids or rng.random() < 0.9
        for _ in range(_TRIES):
            solid = _draw_solid(rng, settings, extent, camera if in_view else None)
            if _has_place(solid, solids, extent, camera):
                solids.append(solid)
                break
    return tuple(solids)


def _draw_solid(
    rng: np.random.Generator, settings: RoomsSettings, extent: Vector, camera: Camera | None
) -> Solid:
    """Draw an object in the view of `camera`, or anywhere in the room."""
    shape = SHAPES[rng.integers(len(SHAPES))]
    radius = settings.object_size * rng.uniform(0.15, 0.42)
    half = {
        "box": (radius * rng.uniform(0.6, 1.0), radius * rng.uniform(0.6, 1.0), 0.0),
        "sphere": (radius, radius, radius),
        "cylinder": (0.85 * radius, 0.85 * radius, 0.0),
    }[shape]
    if shape != "sphere":
        half = (half[0], half[1], settings.object_size * rng.uniform(0.13, 0.55))
    if camera is None:
        x, y = rng.uniform(0, extent[0]), rng.uniform(0, extent[1])
    else:
        bearing = camera.yaw + rng.uniform(-0.43, 0.43) * camera.field_of_view
        distance = rng.uniform(1.3, settings.reach)
        x = camera.position[0] + distance * math.cos(bearing)
        y = camera.position[1] + distance * math.sin(bearing)
    return Solid(
        shape=shape,
        centre=(x, y, half[2]),
        half=half,
        yaw=rng.uniform(-math.pi, math.pi),
        surface=_draw_object_surface(rng, settings),
    )


def _has_place(solid: Solid, others: list[Solid], extent: Vector, camera: Camera) -> bool:
    radius = footprint_radius(solid)
    x, y, _ = solid.centre
    margin = radius + _GAP
    if not (margin < x < extent[0] - margin and margin < y < extent[1] - margin):
        return False
    if math.dist((x, y), camera.position[:2]) < radius + 0.7:
        return False
    return all(
        math.dist((x, y), other.centre[:2]) > margin + footprint_radius(other) for other in others
    )


def footprint_radius(solid: Solid) -> float:
    """Return the radius of the circle around an object seen from above."""
    return math.hypot(*solid.half[:2]) if solid.shape == "box" else solid.half[0]


def _draw_lights(
    rng: np.random.Generator, settings: RoomsSettings, extent: Vector
) -> tuple[Light, ...]:
    """Draw lights under the ceiling, warm or cool; more of them are each weaker."""
    count = int(rng.integers(1, settings.lights + 1))
    lights = []
    for _ in range(count):
        x, y = rng.uniform(0.15, 0.85) * extent[0], rng.uniform(0.15, 0.85) * extent[1]
        power = settings.brightness * rng.uniform(0.8, 1.6) / count**0.7
        warmth = settings.tint * rng.uniform(-0.12, 0.2)
        colour = (power * (1 + warmth), power, power * (1 - warmth))
        lights.append(Light(position=(x, y, extent[2] - rng.uniform(0.1, 0.5)), colour=colour))
    return tuple(lights)


def _draw_panel(rng: np.random.Generator, settings: RoomsSettings, extent: Vector) -> Panel:
    """Draw a rug (one in three) or a picture."""
    face = 4 if rng.random() < 1 / 3 else int(rng.integers(4))
    across = extent[1] if face < 2 else extent[0]
    if face == 4:
        half = (rng.uniform(0.4, 1.2), rng.uniform(0.4, 1.2))
        centre = (
            rng.uniform(half[0], extent[0] - half[0]),
            rng.uniform(half[1], extent[1] - half[1]),
        )
    else:
        half = (rng.uniform(0.2, 0.8), rng.uniform(0.15, 0.45))
        centre = (rng.uniform(half[0], across - half[0]), rng.uniform(1.2, 1.8))
    surface = _draw_surface(rng, settings, (0.8, 3.0))
    return Panel(face=face, centre=centre, half=half, surface=surface)


def _draw_faces(rng: np.random.Generator, settings: RoomsSettings) -> tuple[Surface, ...]:
    """Draw the room's surfaces: in a home, one wall in three is painted unlike the rest."""
    if settings.style == "studio":
        walls, floor = (_plain(rng.uniform(*bounds) ** 2) for bounds in ((0.5, 0.9), (0.4, 0.8)))
        return (*[walls] * (FACES - 2), floor, _plain(0.8))
    walls = _draw_surface(rng, settings, (0.4, 1.6))
    other = _draw_surface(rng, settings, (0.4, 1.6))
    odd = int(rng.integers(12))
    sides = [other if face == odd else walls for face in range(FACES - 2)]
    floor = _draw_surface(rng, settings, (0.5, 2.0))
    ceiling = _draw_surface(rng, settings, (0.4, 1.2))
    return (*sides, floor, ceiling)


def _plain(grey: float) -> Surface:
    return Surface(texture="plain", colours=((grey,) * 3,) * 2, scale=1.0, offset=(0.0, 0.0))


def _draw_object_surface(rng: np.random.Generator, settings: RoomsSettings) -> Surface:
    """Draw an object's surface: in a studio, one bright colour."""
    surface = _draw_surface(rng, settings, (1.0, 4.0))
    if settings.style == "home":
        return surface
    bright = _colour(rng.random(), rng.uniform(0.6, 0.95), rng.uniform(0.55, 0.95))
    return dataclasses.replace(surface, texture="plain", colours=(bright, bright))


def _draw_surface(
    rng: np.random.Generator, settings: RoomsSettings, scale: tuple[float, float]
) -> Surface:
    """Draw a texture and two colours: half of the time two shades of one hue."""
    texture = settings.textures[rng.integers(len(settings.textures))]
    hue, value = rng.random(), rng.uniform(0.45, 0.95)
    saturation = 0.85 * rng.random() ** 1.5
    first = _colour(hue, saturation, value)
    if rng.random() < 0.5:
        second = _colour(hue, saturation * rng.uniform(0.6, 1.0), value * rng.uniform(0.5, 0.85))
    else:
        second = _colour(rng.random(), 0.85 * rng.random() ** 1.5, rng.uniform(0.25, 0.95))
    return Surface(
        texture=texture,
        colours=(first, second),
        scale=math.exp(rng.uniform(math.log(scale[0]), math.log(scale[1]))),
        offset=(rng.random(), rng.random()),
    )


def _colour(hue: float, saturation: float, value: float) -> Vector:
    """Return the reflectance that is shown as this HSV colour (display gamma 2)."""
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return red**2, green**2, blue**2
