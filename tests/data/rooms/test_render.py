"""The batch renderer against a naive one that follows one ray at a time, in other formulas."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from tests.oracles.rooms import (
    outline,
    pixel_ray,
    rotation,
    surface_distance,
    surface_inside,
    trace,
)

from vireo.data.rooms import textures
from vireo.data.rooms.draw import draw_scene
from vireo.data.rooms.pack import pack_cameras, pack_worlds
from vireo.data.rooms.rays import cast, project, unproject
from vireo.data.rooms.render import render
from vireo.data.rooms.world import SHAPES, SURFACES, TEXTURES, RoomsSettings

SIZE = 16
SETTINGS = RoomsSettings(size=SIZE, samples=1)
ACROSS = np.array([1.0, 0.0, 0.0])


@pytest.fixture(scope="module")
def scenes():
    return [draw_scene(SETTINGS, "test", index) for index in (0, 1, 2, 3)]


@pytest.fixture(scope="module")
def rendered(scenes):
    return render(*zip(*scenes, strict=True), SETTINGS)


def each_pixel(size=SIZE):
    return [(row, column) for row in range(size) for column in range(size)]


def test_depth_and_instances_equal_the_naive_renderer(scenes, rendered):
    for frame, (world, camera) in enumerate(scenes):
        for row, column in each_pixel():
            t, number, _ = trace(
                world, np.array(camera.position), pixel_ray(camera, row, column, SIZE)
            )
            assert rendered.instances[frame, row, column] == number
            assert rendered.depth[frame, row, column].item() == pytest.approx(t, abs=2e-6)


def test_depth_is_along_the_optical_axis(scenes, rendered):
    """The distance of a pixel's point from the camera plane, not from the camera."""
    _, camera = scenes[0]
    forward = rotation(camera.yaw, (0, 0, 1)) @ rotation(-camera.pitch, (0, 1, 0)) @ ACROSS
    points = unproject(rendered.depth[:1], pack_cameras([camera]))[0].numpy()
    along = np.einsum("chw,c->hw", points - np.array(camera.position)[:, None, None], forward)
    np.testing.assert_allclose(along, rendered.depth[0], atol=1e-6)


def test_depth_reprojects_onto_the_surface_of_its_instance(scenes, rendered):
    points = unproject(rendered.depth, pack_cameras([camera for _, camera in scenes])).numpy()
    checked = 0
    for frame, (world, _) in enumerate(scenes):
        for row, column in each_pixel():
            point = points[frame, :, row, column]
            number = int(rendered.instances[frame, row, column])
            if number == 0:
                faces = np.concatenate((point, np.array(world.extent) - point))
                assert abs(faces.min()) < 1e-4
            else:
                assert surface_distance(world.solids[number - 1], point) < 1e-4
                checked += 1
    assert checked > 50


def test_surface_codes_follow_from_instances_and_points(scenes, rendered):
    points = unproject(rendered.depth, pack_cameras([camera for _, camera in scenes])).numpy()
    for frame, (world, _) in enumerate(scenes):
        for row, column in each_pixel():
            number = int(rendered.instances[frame, row, column])
            height = points[frame, 2, row, column]
            if number:
                name = world.solids[number - 1].shape
            elif abs(height) < 1e-5:
                name = "floor"
            else:
                name = "ceiling" if abs(height - world.extent[2]) < 1e-5 else "wall"
            assert SURFACES[rendered.mask[frame, row, column]] == name


def test_walkable_is_floor_that_keeps_clear_of_everything(scenes, rendered):
    points = unproject(rendered.depth, pack_cameras([camera for _, camera in scenes])).numpy()
    both = set()
    for frame, (world, _) in enumerate(scenes):
        walls = lambda p, world=world: min(*p, *(np.array(world.extent[:2]) - p))  # noqa: E731
        edges = np.concatenate([outline(solid) for solid in world.solids])
        for row, column in each_pixel():
            walkable = bool(rendered.walkable[frame, row, column])
            x, y, height = points[frame, :, row, column]
            if walkable:
                assert abs(height) < 1e-5
            if rendered.mask[frame, row, column] != SURFACES.index("floor"):
                assert not walkable
                continue
            inside = any(surface_inside(solid, (x, y)) for solid in world.solids)
            free = min(np.hypot(*(edges - (x, y)).T).min(), walls(np.array([x, y])))
            if inside or abs(free - SETTINGS.clearance) > 2e-3:
                assert walkable == (not inside and free > SETTINGS.clearance)
                both.add(walkable)
    assert both == {False, True}


def test_count_and_nearest_follow_from_instances_and_depth(scenes, rendered):
    least_pixels = SETTINGS.visible * SIZE * SIZE
    for frame, (world, _) in enumerate(scenes):
        seen = {}
        for number in range(1, len(world.solids) + 1):
            pixels = rendered.instances[frame] == number
            if pixels.sum() >= least_pixels:
                seen[number] = rendered.depth[frame][pixels].min().item()
        assert rendered.count[frame] == len(seen)
        nearest = min(seen, key=seen.get)
        assert SHAPES[rendered.nearest[frame]] == world.solids[nearest - 1].shape


def test_an_object_of_too_few_pixels_is_not_counted(scenes):
    world, camera = scenes[0]
    strict = dataclasses.replace(SETTINGS, visible=0.05)
    frames = render([world], [camera], strict)
    sizes = [int((frames.instances == k + 1).sum()) for k in range(len(world.solids))]
    assert frames.count[0] == sum(size >= 0.05 * SIZE**2 for size in sizes) < len(world.solids)
    nothing = render([dataclasses.replace(world, solids=())], [camera], SETTINGS)
    assert nothing.count[0] == 0
    assert nothing.nearest[0] == -1


def painted(world, point, number, normal):
    """The surface at a point: an object's, the last panel's that covers it, or the face's."""
    if number:
        return world.solids[number - 1].surface
    axis = int(np.abs(normal).argmax())
    face = 2 * axis + (normal[axis] < 0)
    u, v = np.delete(point, axis)
    for panel in reversed(world.panels):
        covers = (
            abs(u - panel.centre[0]) < panel.half[0] and abs(v - panel.centre[1]) < panel.half[1]
        )
        if panel.face == face and covers:
            return panel.surface
    return world.faces[face]


def test_colours_are_lamberts_law_with_shadows():
    settings = dataclasses.replace(SETTINGS, textures=("plain",))
    world, camera = draw_scene(settings, "test", 2)
    image = render([world], [camera], settings).image[0].numpy()
    origin, errors, shadowed, on_panels = np.array(camera.position), [], 0, 0
    for row, column in each_pixel():
        ray = pixel_ray(camera, row, column, SIZE)
        t, number, normal = trace(world, origin, ray)
        point = origin + t * ray
        light = world.ambient * (0.8 + 0.2 * normal[2]) * np.ones(3)
        for lamp in world.lights:
            way = np.array(lamp.position) - point
            distance = np.linalg.norm(way)
            blocked = trace(world, np.array(lamp.position), -way)[0] < 1 - 1e-3
            shadowed += blocked
            cosine = max(0.0, normal @ way / distance) * (not blocked)
            light += np.array(lamp.colour) * cosine / (0.4 + distance**2 / 6)
        surface = painted(world, point, number, normal)
        on_panels += any(surface is panel.surface for panel in world.panels)
        shown = 255 * np.sqrt(np.clip(light * np.array(surface.colours[0]), 0, 1))
        errors.append(np.abs(shown - image[row, column]).max())
    assert shadowed > 5
    assert on_panels > 5
    assert np.mean(np.array(errors) <= 0.51) > 0.99  # float32 may fall on the other side of an edge


def naive_place(world, point, number, normal):
    """Texture coordinates in periods: along faces in metres, around round objects in turns."""
    surface = painted(world, point, number, normal)
    centre, yaw, solid = np.array(world.extent) / 2, 0.0, None
    if number:
        solid = world.solids[number - 1]
        centre, yaw = np.array(solid.centre), solid.yaw
    turn = rotation(yaw, (0, 0, 1))
    local, facing = turn.T @ (point - centre), turn.T @ normal
    if solid is not None and solid.shape != "box" and (solid.shape == "sphere" or not facing[2]):
        periods = max(1, round(2 * math.pi * solid.half[0] * surface.scale))
        u = periods * math.atan2(local[1], local[0]) / (2 * math.pi)
        v = local[2] * surface.scale
    else:
        u, v = np.delete(local, int(np.abs(facing).argmax())) * surface.scale
    return u + surface.offset[0], v + surface.offset[1]


def test_textures_lie_on_surfaces_as_defined(scenes, monkeypatch):
    looked_up = []

    def record(atlas, texture, place, footprint):
        looked_up.append((texture, place, footprint))
        return footprint

    monkeypatch.setattr(textures, "sample", record)
    render(*zip(*scenes, strict=True), SETTINGS)
    ((codes, (us, vs), footprints),) = looked_up
    for frame, (world, camera) in enumerate(scenes):
        origin = np.array(camera.position)
        for pixel, (row, column) in enumerate(each_pixel()):
            ray = pixel_ray(camera, row, column, SIZE)
            t, number, normal = trace(world, origin, ray)
            surface = painted(world, origin + t * ray, number, normal)
            assert TEXTURES[codes[frame, pixel]] == surface.texture
            found = us[frame, pixel].item(), vs[frame, pixel].item()
            assert found == pytest.approx(
                naive_place(world, origin + t * ray, number, normal), abs=2e-3
            )
            wide = 2 * math.tan(camera.field_of_view / 2) / SIZE * t * surface.scale
            assert wide * 0.999 < footprints[frame, pixel] < wide / 0.299


def test_supersampling_averages_light_within_a_pixel(scenes):
    """A pixel of 2 x 2 rays is the mean of the four pixels of a frame twice as large."""
    worlds, cameras = zip(*scenes, strict=True)
    small = render(worlds, cameras, dataclasses.replace(SETTINGS, samples=2)).image.double()
    large = render(worlds, cameras, dataclasses.replace(SETTINGS, size=2 * SIZE)).image.double()
    mean = (large / 255).square().unflatten(1, (SIZE, 2)).unflatten(3, (SIZE, 2)).mean((2, 4))
    clipped = (large == 255).unflatten(1, (SIZE, 2)).unflatten(3, (SIZE, 2)).any(4).any(2)
    error = (mean.sqrt() * 255 - small).abs()
    assert error[~clipped].max() < 2.0


def test_a_frame_is_the_same_alone_and_in_a_batch(scenes, rendered):
    for index, (world, camera) in enumerate(scenes):
        alone = render([world], [camera], SETTINGS)
        for field in dataclasses.fields(rendered):
            batch_value = getattr(rendered, field.name)[index]
            assert torch.equal(getattr(alone, field.name)[0], batch_value), field.name


def test_projecting_undoes_unprojecting(scenes, rendered):
    cameras = pack_cameras([camera for _, camera in scenes])
    places, depth = project(unproject(rendered.depth, cameras), cameras, SIZE)
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    np.testing.assert_allclose(places[:, 0], np.broadcast_to(columns, depth.shape), atol=1e-9)
    np.testing.assert_allclose(places[:, 1], np.broadcast_to(rows, depth.shape), atol=1e-9)
    np.testing.assert_allclose(depth, rendered.depth, atol=1e-6)


def test_two_poses_of_a_world_agree(scenes, rendered):
    """What the first camera sees, the second sees at the projected place, or something nearer."""
    world, camera = scenes[1]
    x, y, z = camera.position
    moved = dataclasses.replace(camera, position=(x + 0.1, y - 0.1, z), yaw=camera.yaw + 0.05)
    points = unproject(rendered.depth[1:2], pack_cameras([camera]))
    second, packed = pack_cameras([moved]), pack_worlds([world])
    places, depth = project(points, second, SIZE)
    t, slot = cast(packed, second.position, points.flatten(2) - second.position[:, :, None]).min(1)
    assert t.max() < 1 + 1e-5
    visible = t[0] > 1 - 1e-5
    assert visible.double().mean() > 0.8
    assert torch.equal(slot[0][visible], rendered.instances[1].flatten()[visible].long())
    row, column = 7, 8
    ray = pixel_ray(moved, places[0, 1, row, column] - 0.5, places[0, 0, row, column] - 0.5, SIZE)
    expected = points[0, :, row, column].numpy() - np.array(moved.position)
    np.testing.assert_allclose(ray * depth[0, row, column].item(), expected, atol=1e-9)


@pytest.mark.gpu
def test_a_gpu_renders_the_same(scenes, rendered):
    frames = render(*zip(*scenes, strict=True), SETTINGS, "cuda")
    torch.testing.assert_close(frames.depth.cpu(), rendered.depth, atol=1e-5, rtol=0)
    assert (frames.instances.cpu() == rendered.instances).double().mean() > 0.999
    difference = frames.image.cpu().int() - rendered.image.int()
    assert (difference.abs() <= 1).double().mean() > 0.99
