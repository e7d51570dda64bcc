"""Camera moves: small ones for flow, an agent's actions for egomotion, the gestures of a clip.

A move is centred on a pose that `draw_scene` gives, and gestures come with their reverse or their
mirror image. So no single frame tells which of two was made: only their order does. The hand that
holds the camera is a little unsteady, and the body never touches anything on the way.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vireo import seeding
from vireo.data.rooms.body import free_distance
from vireo.data.rooms.draw import draw_scene
from vireo.data.rooms.world import SEQUENCES, Camera, RoomsSettings, World
from vireo.digest import digest

_TRIES = 40


class Offset(NamedTuple):
    """A pose seen from another: metres ahead, to the left and up, degrees to the left and up."""

    ahead: float = 0.0
    left: float = 0.0
    rise: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0


class Move(NamedTuple):
    """One kind of move.

    Attributes:
        axis: of `Offset`, along which the camera moves from -1/2 to 1/2 of an amount.
        sign: of the direction.
        amounts: range from which the amount is drawn: metres, or degrees.
        swings: whether it goes to and fro about the middle instead: 0, 1, 0, -1, 0, 1 halves.
    """

    axis: str
    sign: int
    amounts: tuple[float, float]
    swings: bool = False


ACTIONS = {
    "ahead": Move("ahead", 1, (0.2, 0.3)),
    "left": Move("yaw", 1, (20.0, 40.0)),
    "right": Move("yaw", -1, (20.0, 40.0)),
    "up": Move("pitch", 1, (15.0, 30.0)),
    "down": Move("pitch", -1, (15.0, 30.0)),
}
"""Moves between the two frames of egomotion, of the size that agents in simulators make."""
GESTURES = {
    "ahead": Move("ahead", 1, (0.7, 1.2)),
    "back": Move("ahead", -1, (0.7, 1.2)),
    "pan-left": Move("yaw", 1, (35.0, 70.0)),
    "pan-right": Move("yaw", -1, (35.0, 70.0)),
    "tilt-up": Move("pitch", 1, (28.0, 45.0)),
    "tilt-down": Move("pitch", -1, (28.0, 45.0)),
    "step-left": Move("left", 1, (0.5, 0.9)),
    "step-right": Move("left", -1, (0.5, 0.9)),
    "shake": Move("yaw", 1, (20.0, 40.0), swings=True),
    "nod": Move("pitch", 1, (20.0, 32.0), swings=True),
}
"""Moves of a clip."""
MOVES: dict[str, dict[str, Move]] = {
    "single": {},
    "flow": {},
    "egomotion": ACTIONS,
    "clip": GESTURES,
}
_SMALL = Offset(ahead=0.25, left=0.1, rise=0.08, yaw=9.0, pitch=6.0)
"""Largest parts of the move between the two frames of flow: metres, degrees."""
_UNSTEADY = Offset(ahead=0.01, left=0.01, rise=0.01, yaw=0.4, pitch=0.4)
"""Largest error of every pose on top of its move: metres, degrees."""


@dataclass(frozen=True, kw_only=True)
class Shot:
    """What one example shows.

    Attributes:
        cameras: one a frame.
        action: place in `MOVES` of the kind of sequence; 0 where there are none.
    """

    world: World
    cameras: tuple[Camera, ...]
    action: int = 0


def draw_shot(settings: RoomsSettings, split: str, index: int, attempt: int = 0) -> Shot:
    """Draw the world and the cameras of one example; arguments as of `draw_scene`."""
    world, camera = draw_scene(settings, split, index, attempt)
    if settings.sequence == "single":
        return Shot(world=world, cameras=(camera,))
    purpose = f"rooms/{split}/{settings.sequence}"
    rng = seeding.generator(digest("rooms", settings.seed), purpose, attempt, index)
    moves = list(MOVES[settings.sequence].values())
    action = int(rng.integers(len(moves))) if moves else 0
    for _ in range(_TRIES):
        middle = move_camera(camera, Offset(ahead=rng.uniform(0, 0.5)))  # off the wall behind
        path = _path(rng, moves[action], SEQUENCES[settings.sequence]) if moves else _drift(rng)
        cameras = tuple(move_camera(middle, offset) for offset in path)
        if _is_free(world, cameras):
            return Shot(world=world, cameras=cameras, action=action)
    return draw_shot(settings, split, index, attempt + 1)


def move_camera(camera: Camera, offset: Offset) -> Camera:
    """Return the camera moved along its own heading, on the level."""
    cos, sin = math.cos(camera.yaw), math.sin(camera.yaw)
    x, y, z = camera.position
    position = (
        x + offset.ahead * cos - offset.left * sin,
        y + offset.ahead * sin + offset.left * cos,
        z + offset.rise,
    )
    yaw = camera.yaw + math.radians(offset.yaw)
    pitch = camera.pitch + math.radians(offset.pitch)
    return dataclasses.replace(camera, position=position, yaw=yaw, pitch=pitch)


def _drift(rng: np.random.Generator) -> list[Offset]:
    """Return half a small move back, and half of it on."""
    whole = [rng.uniform(-most, most) for most in _SMALL]
    return [Offset(*(share * part for part in whole)) for share in (-0.5, 0.5)]


def _path(rng: np.random.Generator, move: Move, number: int) -> list[Offset]:
    """Return the poses of one move about its middle."""
    amount = move.sign * rng.uniform(*move.amounts)
    if move.swings:
        amount *= 1 if rng.random() < 0.5 else -1
        places = [0.5 * math.sin(math.pi / 2 * frame) for frame in range(number)]
    else:
        places = [frame / (number - 1) - 0.5 for frame in range(number)]
    path = []
    for place in places:
        error = Offset(*(rng.uniform(-most, most) for most in _UNSTEADY))
        moved = getattr(error, move.axis) + amount * place
        path.append(error._replace(**{move.axis: moved}))
    return path


def _is_free(world: World, cameras: tuple[Camera, ...]) -> bool:
    """Whether the body can go straight from each pose to the next, and the last one is free."""
    for here, there in zip(cameras, (*cameras[1:], cameras[0]), strict=True):
        (x, y), (to_x, to_y) = here.position[:2], there.position[:2]
        heading = math.atan2(to_y - y, to_x - x)
        if free_distance(world, (x, y), heading) <= math.hypot(to_x - x, to_y - y):
            return False
    return True
