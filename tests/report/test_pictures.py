"""Pictures: colours mean what the caption says, and a gallery shows only what can be compared."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from vireo.report.gallery import gallery
from vireo.report.pictures import (
    NOTHING,
    PALETTE,
    colour_depth,
    colour_flow,
    colour_mask,
    data_uri,
    depth_range,
    longest_flow,
)


def decode(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def test_a_small_picture_survives_the_round_trip():
    pixels = np.random.default_rng(0).integers(0, 255, (5, 7, 3), dtype=np.uint8)
    assert np.array_equal(decode(data_uri(pixels)), pixels)


def test_a_large_picture_is_made_smaller_with_its_ratio_kept():
    shape = decode(data_uri(np.zeros((400, 800, 3), np.uint8))).shape
    assert shape == (80, 160, 3)


def test_each_class_has_its_colour_and_ignored_pixels_are_grey():
    assert len(set(PALETTE)) == len(PALETTE)
    mask = np.array([[0, 1, 255, len(PALETTE), -1]])
    pixels = colour_mask(mask)
    hexes = ["#" + bytes(pixel).hex() for pixel in pixels[0]]
    grey = "#" + bytes(NOTHING).hex()
    assert hexes == [PALETTE[0], PALETTE[1], grey, PALETTE[0], grey]


def test_depth_goes_from_dark_to_bright_and_clips():
    pixels = colour_depth(np.array([[0.0, 1.0, 2.0, 3.0, 9.0, np.nan]]), 1.0, 3.0)
    light = pixels[0].astype(int).sum(axis=1)
    assert light[0] == light[1] < light[2] < light[3] == light[4]
    assert tuple(pixels[0, 5]) == NOTHING


def test_the_scale_is_the_truths():
    assert depth_range(np.array([[np.nan, 1.5, 4.0]])) == (1.5, 4.0)
    assert depth_range(np.full((2, 2), np.nan)) == (0.0, 1.0)


def test_flow_has_the_hue_of_its_direction_and_the_strength_of_its_length():
    right, left, still, half = (2, 0), (-2, 0), (0, 0), (1, 0)
    flow = np.array([right, left, still, half, (9, 0), (np.nan, 0)], dtype=np.float32).T[:, None]
    colours = [tuple(pixel) for pixel in colour_flow(flow, 2.0)[0].tolist()]
    red, cyan = (255, 0, 0), (0, 255, 255)
    assert colours == [red, cyan, (255, 255, 255), (255, 128, 128), red, NOTHING]
    assert longest_flow(flow) == 9
    assert longest_flow(np.full((2, 1, 1), np.nan)) == 1


def test_a_gallery_of_flow_is_drawn_by_the_truths_scale():
    flow = np.ones((1, 2, 4, 4), dtype=np.float32) * 3
    made = gallery("flow", {"a": arrays(flow, flow), "b": arrays(flow, -flow)})
    _, truth, same, other = made.lines[0]
    assert truth.uri == same.uri
    assert truth.uri != other.uri
    assert "(4.2 px)" in made.note
    assert made.legend == ()


def arrays(truth, prediction, shade=0):
    count = len(truth)
    image = np.full((count, 4, 4, 3), shade, np.uint8)
    return {"image": image, "truth": np.array(truth), "prediction": np.array(prediction)}


def test_answers_are_judged():
    made = gallery("digits", {"a": arrays([3, 4], [3, 5])})
    verdicts = [[tile.verdict for tile in line] for line in made.lines]
    assert verdicts == [["", "", "right"], ["", "", "wrong"]]
    assert made.columns == ("input", "truth", "a")
    assert made.lines[1][2].text == "5"
    assert made.lines[1][2].alt == "digits, example 2: prediction of a"


def test_an_encoder_that_kept_other_images_is_not_shown_beside_them():
    made = gallery("digits", {"a": arrays([3], [3]), "b": arrays([3], [3], shade=9)})
    assert made.lines[0][2].verdict == "right"
    assert made.lines[0][3].verdict == ""
    assert made.lines[0][3].text != "3"


def test_truth_and_prediction_share_the_scale_of_a_row():
    depth = np.linspace(1, 4, 16, dtype=np.float32).reshape(1, 4, 4)
    made = gallery("depth", {"a": arrays(depth, depth), "b": arrays(depth, depth * 2)})
    _, truth, same, other = made.lines[0]
    assert truth.uri == same.uri
    assert truth.uri != other.uri
    assert "1.0 to 4.0 m" in made.note


def test_nothing_stored_is_no_gallery():
    assert gallery("digits", {}) is None


@pytest.mark.parametrize("count", [1, 9])
def test_at_most_four_examples_are_shown(count):
    made = gallery("digits", {"a": arrays([1] * count, [1] * count)})
    assert len(made.lines) == min(count, 4)
