"""The heat map: where each number stands, and that a file is written."""

import dataclasses

import numpy as np
from PIL import Image

from vireo.records import SimilarityKey, SimilarityRow
from vireo.similarity.picture import heatmap, together

KEY = SimilarityKey(
    first="1", second="1", images="i", side=8, representation="flattened",
    estimator="biased", batch_size=0, compute="float32",
)  # fmt: skip
A = SimilarityRow(
    key=KEY, first="a $x$ <b>", second="a $x$ <b>", first_method="random", second_method="random",
    first_set="none", second_set="none", first_blocks=("p", "q"), second_blocks=("p", "q"),
    dataset="array train", n=9, values=((1.0, 0.2), (0.2, 1.0)), time="2026-01-01T00:00:00+00:00",
)  # fmt: skip
B = dataclasses.replace(
    A, first="b", second="b", first_blocks=("r",), second_blocks=("r",), values=((1.0,),)
)
AB = dataclasses.replace(
    A, second="b", second_blocks=("r",), values=((0.5,), (None,)), second_method="moco-v2"
)


def test_every_pair_of_blocks_has_its_place():
    matrix, encoders = together([A, AB, B])
    assert encoders == {"a $x$ <b>": ("p", "q"), "b": ("r",)}
    expected = [[1, 0.2, 0.5], [0.2, 1, np.nan], [0.5, np.nan, 1]]
    np.testing.assert_array_equal(matrix, expected)


def test_the_picture_is_written(tmp_path):
    path = heatmap(tmp_path / "map.png", [A, AB, B])
    with Image.open(path) as image:
        assert min(image.size) > 300
    assert heatmap(tmp_path / "map.pdf", [A]).read_bytes().startswith(b"%PDF")
