"""How far the camera's body can go: the closed form against a sweep in small steps."""

import dataclasses
import math

import numpy as np
import pytest
from tests.oracles.rooms import outline, surface_inside

from vireo.data.rooms.body import BODY_RADIUS, STEP, free_distance, steps_ahead
from vireo.data.rooms.draw import draw_scene
from vireo.data.rooms.world import SHAPES, Camera, RoomsSettings, Solid

APPROACH = RoomsSettings(camera="approach", object_size=1.4)
PACE = 0.005


@pytest.fixture(scope="module")
def approaches():
    return [draw_scene(APPROACH, "train", index) for index in range(40)]


def touches(world, place, edges):
    """Whether the body at a place reaches a wall, an object's outline, or is within one."""
    x, y = place
    room = min(x, y, world.extent[0] - x, world.extent[1] - y)
    near = len(edges) and np.hypot(*(edges - place).T).min() < BODY_RADIUS
    return room < BODY_RADIUS or near or any(surface_inside(s, place) for s in world.solids)


def sweep(world, place, heading, most=1.5):
    """Metres that the body goes in small paces until it touches, at most `most`."""
    edges = np.concatenate([outline(solid) for solid in world.solids])
    way = np.array([math.cos(heading), math.sin(heading)])
    for number in range(int(most / PACE) + 1):
        if touches(world, np.array(place) + number * PACE * way, edges):
            return max(0, number - 1) * PACE
    return most


def test_steps_equal_a_sweep_of_the_body(approaches):
    seen = set()
    for world, camera in approaches:
        free = sweep(world, camera.position[:2], camera.yaw)
        if abs(free / STEP - round(free / STEP)) > 2 * PACE / STEP:  # else too near to call
            assert steps_ahead(world, camera) == min(4, int(free / STEP))
            seen.add(steps_ahead(world, camera))
    assert seen == {0, 1, 2, 3, 4}


def test_free_distance_equals_a_sweep_from_anywhere_to_anywhere(approaches):
    rng, inside = np.random.default_rng(0), 0
    for world, _ in approaches[:20]:
        for _ in range(3):
            place = rng.uniform(0, 1, 2) * np.array(world.extent[:2])
            heading = rng.uniform(-math.pi, math.pi)
            expected = sweep(world, place, heading)
            found = min(free_distance(world, tuple(place), heading), 1.5)
            inside += expected == 0
            assert found == pytest.approx(expected, abs=2 * PACE)
    assert inside > 3


def test_a_box_is_met_at_its_side_and_at_its_corner():
    """Worked example: a cube of 1 m in the middle of a large room, the body's radius 0.2 m."""
    world, _ = draw_scene(RoomsSettings(max_objects=1), "train", 0)
    surface = world.solids[0].surface
    cube = Solid(shape="box", centre=(5.0, 5.0, 0.5), half=(0.5,) * 3, yaw=0.0, surface=surface)
    world = dataclasses.replace(world, extent=(10.0, 10.0, 3.0), solids=(cube,))
    assert free_distance(world, (2.0, 5.0), 0.0) == pytest.approx(2.3)
    assert free_distance(world, (2.0, 5.69), 0.0) == pytest.approx(2.5 - math.sqrt(0.04 - 0.19**2))
    assert free_distance(world, (2.0, 5.71), 0.0) == pytest.approx(7.8)  # past it, to the wall
    turned = dataclasses.replace(cube, yaw=math.pi / 4)
    world = dataclasses.replace(world, solids=(turned,))
    assert free_distance(world, (2.0, 5.0), 0.0) == pytest.approx(3 - math.sqrt(0.5) - 0.2)
    assert free_distance(world, (5.0, 5.0), 1.0) == 0.0


def test_steps_ahead_are_balanced_and_end_before_objects_and_walls():
    scenes = [draw_scene(APPROACH, "train", index) for index in range(80)]
    shares = np.bincount([steps_ahead(*scene) for scene in scenes], minlength=5) / 80
    assert shares.min() > 0.1
    ends = [
        min(range(len(SHAPES) + 1), key=lambda kind, scene=scene: _distance(*scene, kind))
        for scene in scenes
    ]
    assert np.bincount(ends, minlength=4).min() > 4


def _distance(world, camera: Camera, kind):
    """Free distance with only one kind of object there, or none for the walls."""
    solids = tuple(s for s in world.solids if SHAPES.index(s.shape) == kind)
    alone = dataclasses.replace(world, solids=solids if kind < len(SHAPES) else ())
    if kind < len(SHAPES) and not solids:
        return math.inf
    return free_distance(alone, camera.position[:2], camera.yaw) + 1e-9 * (kind < len(SHAPES))
