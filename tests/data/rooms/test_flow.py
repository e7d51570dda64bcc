"""Optical flow and occlusion against one ray at a time, and against the rendered pictures."""

import math

import numpy as np
import pytest
import torch
from tests.oracles.rooms import pixel_ray, rotation, trace

from vireo.data.rooms.flow import optical_flow
from vireo.data.rooms.motion import draw_shot
from vireo.data.rooms.render import render
from vireo.data.rooms.world import RoomsSettings

SIZE = 20
SETTINGS = RoomsSettings(size=SIZE, samples=1, sequence="flow")


@pytest.fixture(scope="module")
def shots():
    return [draw_shot(SETTINGS, "test", index) for index in range(5)]


def flow_of(shots, size=SIZE):
    worlds = [shot.world for shot in shots]
    return optical_flow(worlds, [shot.cameras for shot in shots], size).numpy()


def naive_project(point, camera, size):
    """Column and row at which a point appears, and its distance along the axis."""
    turn = rotation(camera.yaw, (0, 0, 1)) @ rotation(-camera.pitch, (0, 1, 0))
    ahead, left, up = turn.T @ (point - np.array(camera.position))
    focal = size / 2 / math.tan(camera.field_of_view / 2)
    return size / 2 - focal * left / ahead, size / 2 - focal * up / ahead, ahead


def test_flow_and_occlusion_equal_those_of_single_rays(shots):
    flow, hidden, outside = flow_of(shots), 0, 0
    for number, shot in enumerate(shots):
        first, second = shot.cameras
        for row in range(SIZE):
            for column in range(SIZE):
                ray = pixel_ray(first, row, column, SIZE)
                t, _, _ = trace(shot.world, np.array(first.position), ray)
                point = np.array(first.position) + t * ray
                x, y, ahead = naive_project(point, second, SIZE)
                found = flow[number, :, row, column]
                if not (ahead > 0 and 0 <= x <= SIZE and 0 <= y <= SIZE):
                    outside += 1
                    assert np.isnan(found).all()
                    continue
                origin = np.array(second.position)
                reached = trace(shot.world, origin, point - origin)[0]
                if abs(reached - 1) < 1e-4 or reached > 1 - 1e-9:
                    assert found == pytest.approx((x - column - 0.5, y - row - 0.5), abs=1e-4)
                else:
                    hidden += 1
                    assert np.isnan(found).all()
    assert hidden > 5
    assert outside > 50


def test_the_second_frame_moved_back_by_the_flow_is_the_first(shots):
    """In pictures with plain surfaces, whose colours do not depend on the view."""
    size = 96
    settings = RoomsSettings(size=size, sequence="flow", textures=("plain",), clutter=0)
    shots = [draw_shot(settings, "test", index) for index in range(3)]
    worlds = [shot.world for shot in shots]
    first, second = (
        render(worlds, [shot.cameras[k] for shot in shots], settings).image.double() for k in (0, 1)
    )
    flow = torch.from_numpy(flow_of(shots, size))
    known = flow.isfinite().all(1)
    centres = torch.arange(size) + 0.5
    places = flow + torch.stack(torch.meshgrid(centres, centres, indexing="xy"))
    grid = (places.nan_to_num(-9.0).permute(0, 2, 3, 1) * 2 / size - 1).double()
    back = torch.nn.functional.grid_sample(
        second.permute(0, 3, 1, 2), grid, padding_mode="border", align_corners=False
    ).permute(0, 2, 3, 1)
    after, before = ((image - first).abs().mean(3)[known] for image in (back, second))
    assert known.double().mean() > 0.7
    assert after.median() < 0.6
    assert after.quantile(0.95) < 4
    assert after.mean() < 0.2 * before.mean()


def test_no_move_no_flow(shots):
    still = optical_flow([shots[0].world], [(shots[0].cameras[0],) * 2], SIZE)
    assert torch.equal(still.isnan(), torch.zeros_like(still, dtype=torch.bool))
    assert still.abs().max() < 1e-6


def test_a_pair_does_not_depend_on_its_batch(shots):
    together = flow_of(shots)
    for number, shot in enumerate(shots):
        np.testing.assert_array_equal(flow_of([shot])[0], together[number])


@pytest.mark.gpu
def test_a_gpu_gives_the_same_flow(shots):
    worlds, poses = [shot.world for shot in shots], [shot.cameras for shot in shots]
    found = optical_flow(worlds, poses, SIZE, "cuda").cpu().numpy()
    np.testing.assert_allclose(found, flow_of(shots), atol=1e-4)
