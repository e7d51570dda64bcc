"""Images to compare on: balanced, drawn alike everywhere, single."""

import collections

import numpy as np
import pytest
from tests.tiny import ArraySource

from vireo.errors import DataError
from vireo.records import DatasetSpec
from vireo.similarity.images import choose_images, load_pixels


class Clips(ArraySource):
    """Two frames an example."""

    def frames(self, index):
        return super().frames(index) * 2


def spec(**options):
    return DatasetSpec(name="array", source="tests.tiny:ArraySource", options=options)


def test_as_many_of_each_class():
    source = choose_images(spec(count=200, classes=4), "train", 40)
    counts = collections.Counter(source.target(i, "class") for i in range(len(source)))
    assert dict(counts) == dict.fromkeys(range(4), 10)
    assert source.digest == choose_images(spec(count=200, classes=4), "train", 40).digest


def test_all_where_there_are_no_more():
    assert len(choose_images(spec(count=20), "train", 10_000)) == 20


def test_without_classes_a_draw():
    source = choose_images(spec(count=50, labelled=False), "train", 12)
    assert len(source) == 12
    assert len({source.label(i) for i in range(12)}) == 12


@pytest.mark.parametrize(("count", "wanted"), [(3, 100), (30, 3)])
def test_too_few_are_refused(count, wanted):
    with pytest.raises(DataError, match="CKA needs 4 images or more; got 3"):
        choose_images(spec(count=count), "train", wanted)


def test_several_images_an_example_are_refused():
    clips = DatasetSpec(name="clips", source="tests.similarity.test_images:Clips")
    with pytest.raises(DataError, match="'clips' has 2 images"):
        choose_images(clips, "train", 10)


def test_pixels_are_the_images_in_their_order():
    source = choose_images(spec(count=9, side=8), "train", 9)
    pixels = load_pixels(source, 8)
    for index in range(9):
        np.testing.assert_array_equal(pixels[index].permute(1, 2, 0), source.frames(index)[0])
