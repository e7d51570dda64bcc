"""Image folders, and folders of images with masks or depths."""

import cv2
import numpy as np
import pytest

from vireo.data.sources.image_depth import ImageDepthSource
from vireo.data.sources.image_folder import ImageFolderSource
from vireo.data.sources.image_mask import ImageMaskSource
from vireo.data.sources.image_pair_flow import ImagePairFlowSource
from vireo.errors import DataError


@pytest.fixture
def classes(tmp_path, write, pixels):
    for number, name in enumerate(["dog/2.png", "cat/1.png", "dog/deep/1.png", "ant/9.png"]):
        write(tmp_path / name, pixels(number))
    return tmp_path


def test_class_folders_are_coded_in_sorted_order(classes, pixels):
    source = ImageFolderSource(root=classes)
    names = ["ant/9.png", "cat/1.png", "dog/2.png", "dog/deep/1.png"]
    assert [source.label(index) for index in range(4)] == names
    assert source.class_names == ("ant", "cat", "dog")
    assert [source.target(index, "class") for index in range(4)] == [0, 1, 2, 2]
    assert np.array_equal(source.frames(2)[0], pixels(0))


def test_listed_class_names_fix_the_codes(classes):
    names = ("dog", "bee", "cat", "ant")
    source = ImageFolderSource(root=classes, class_names=names)
    assert [source.target(index, "class") for index in range(4)] == [3, 2, 0, 0]
    with pytest.raises(DataError, match=r"Unknown class folder 'ant'\.* .*Known: cat, dog"):
        ImageFolderSource(root=classes, class_names=("dog", "cat"))


def test_a_flat_folder_has_no_classes(tmp_path, write, pixels):
    write(tmp_path / "1.png", pixels(0))
    source = ImageFolderSource(root=tmp_path)
    assert (source.targets, source.class_names, len(source)) == ((), (), 1)
    with pytest.raises(DataError, match="class"):
        source.target(0, "class")
    with pytest.raises(DataError, match="classes = false"):
        ImageFolderSource(root=tmp_path, classes=True)


def test_images_beside_class_folders_are_ambiguous(classes, write, pixels):
    write(classes / "stray.png", pixels(9))
    with pytest.raises(DataError, match=r"1 images \('stray\.png'"):
        ImageFolderSource(root=classes)
    assert len(ImageFolderSource(root=classes, classes=False)) == 5


def test_a_broken_image_is_named_with_its_path(classes):
    (classes / "cat/1.png").write_bytes(b"<html>")
    source = ImageFolderSource(root=classes)
    with pytest.raises(DataError, match=rf"{classes}/cat/1\.png is not an image"):
        source.frames(1)
    (classes / "cat/1.png").unlink()
    with pytest.raises(DataError, match=r"cat/1\.png cannot be read"):
        source.frames(1)


def test_the_digest_sees_a_file_added_grown_or_moved_to_another_class(classes, write, pixels):
    digests = {ImageFolderSource(root=classes).digest}
    write(classes / "cat/3.png", pixels(5))
    digests.add(ImageFolderSource(root=classes).digest)
    with (classes / "cat/3.png").open("ab") as file:
        file.write(b"tail")
    digests.add(ImageFolderSource(root=classes).digest)
    (classes / "cat/3.png").rename(classes / "dog/3.png")
    digests.add(ImageFolderSource(root=classes).digest)
    digests.add(ImageFolderSource(root=classes, classes=False).digest)
    assert len(digests) == 5


@pytest.fixture
def streets(tmp_path, write, pixels):
    for number in range(3):
        write(tmp_path / f"train/{number}.png", pixels(number))
        write(tmp_path / f"trainannot/{number}.png", pixels(number)[:, :, 0] % 12)
    return tmp_path


def test_masks_are_matched_and_recoded(streets, pixels):
    options = {"root": streets, "images": "train", "masks": "trainannot"}
    plain = ImageMaskSource(**options, class_names=("road", "sky"))
    stored = pixels(1)[:, :, 0] % 12
    assert plain.targets == ("mask",)
    assert plain.class_names == ("road", "sky")
    assert np.array_equal(plain.target(1, "mask"), stored)
    void = ImageMaskSource(**options, codes={"11": "255"})
    assert np.array_equal(void.target(1, "mask"), np.where(stored == 11, 255, stored))
    binary = ImageMaskSource(**options, codes={"0": "0", "*": "1"}, target="foreground")
    assert np.array_equal(binary.target(1, "foreground"), (stored > 0).astype(int))
    assert len({plain.digest, void.digest, binary.digest}) == 3
    with pytest.raises(DataError, match="'codes', entry 0 is 'void'"):
        ImageMaskSource(**options, codes={"void": "255"})


def test_a_mask_without_an_image_is_named(streets):
    (streets / "train/2.png").unlink()
    with pytest.raises(DataError, match=r"'trainannot/2\.png' has no partner '2' in 'train'"):
        ImageMaskSource(root=streets, images="train", masks="trainannot")


def test_depth_by_suffix_in_millimetres(tmp_path, write, pixels):
    stored = np.array([[0, 1200], [65535, 3]], dtype=np.uint16)
    for number in (1, 0):
        write(tmp_path / f"seq/frame-{number}.color.png", pixels(number, 2, 2))
        write(tmp_path / f"seq/frame-{number}.depth.png", stored + number)
    options = {"root": tmp_path, "images": "*.color.png", "depths": "*.depth.png"}
    source = ImageDepthSource(**options)
    assert source.label(0) == "seq/frame-0.color.png"
    expected = np.array([[np.nan, 1.2], [65.535, 0.003]], dtype=np.float32)
    assert np.array_equal(source.target(0, "depth"), expected, equal_nan=True)
    both = ImageDepthSource(**options, invalid=("0", 65535))
    assert np.isnan(both.target(0, "depth")).tolist() == [[True, False], [True, False]]
    assert source.digest != both.digest
    with pytest.raises(DataError, match=r"'invalid' must be numbers; got \('none'"):
        ImageDepthSource(**options, invalid=("none",))
    with pytest.raises(DataError, match=r"'invalid' must be finite.*nan is always invalid"):
        ImageDepthSource(**options, invalid=("nan",))
    for scale in (0, -1.0, float("inf")):
        with pytest.raises(DataError, match="'scale' must be a finite number above 0; got"):
            ImageDepthSource(**options, scale=scale)


def write_flow(path, stored):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), stored[:, :, ::-1])  # OpenCV takes blue, green, red


def test_flow_in_the_layout_of_kitti(tmp_path, write, pixels):
    rng = np.random.default_rng(0)
    stored = rng.integers(30_000, 36_000, (2, 6, 8, 3)).astype(np.uint16)
    stored[..., 2] = rng.integers(0, 2, (2, 6, 8))
    for number in range(2):
        for place, frame in enumerate((10, 11)):
            write(tmp_path / f"image_2/{number:06d}_{frame}.png", pixels(2 * number + place))
        write_flow(tmp_path / f"flow_occ/{number:06d}_10.png", stored[number])
    names = {"first": "image_2/*_10.png", "second": "image_2/*_11.png"}
    options = {"root": tmp_path, **names, "flows": "flow_occ/*_10.png"}
    source = ImagePairFlowSource(**options)
    assert (len(source), source.targets) == (2, ("flow",))
    assert source.label(1) == "image_2/000001_10.png"
    assert np.array_equal(source.frames(1)[0], pixels(2))
    assert np.array_equal(source.frames(1)[1], pixels(3))
    flow = source.target(1, "flow")
    known = stored[1, :, :, 2] > 0
    assert np.array_equal(flow[0][known], (stored[1, :, :, 0][known] - 32768.0) / 64)
    assert np.array_equal(flow[1][known], (stored[1, :, :, 1][known] - 32768.0) / 64)
    assert np.isnan(flow[:, ~known]).all()
    finer = ImagePairFlowSource(**options, units_per_pixel=512)
    assert np.array_equal(finer.target(1, "flow"), flow / 8, equal_nan=True)
    assert finer.digest != source.digest


def test_a_pair_without_its_flow_or_second_frame_is_named(tmp_path, write, pixels):
    for frame in ("a/frame10.png", "a/frame11.png", "b/frame10.png"):
        write(tmp_path / frame, pixels(0))
    write_flow(tmp_path / "a/flow10.png", np.zeros((6, 8, 3), dtype=np.uint16))
    options = {
        "root": tmp_path,
        "first": "*/frame10.png",
        "second": "*/frame11.png",
        "flows": "*/flow10.png",
    }
    with pytest.raises(DataError, match=r"has no partner 'b' in '\*/frame11\.png'"):
        ImagePairFlowSource(**options)
    write(tmp_path / "b/frame11.png", pixels(0))
    with pytest.raises(DataError, match=r"has no partner 'b' in '\*/flow10\.png'"):
        ImagePairFlowSource(**options)
    write(tmp_path / "b/flow10.png", pixels(0))
    source = ImagePairFlowSource(**options)
    with pytest.raises(DataError, match=r"b/flow10\.png is a PNG of 8-bit RGB"):
        source.target(1, "flow")
    for wrong in ({"units_per_pixel": 0}, {"units_per_pixel": -64.0}, {"offset": float("inf")}):
        with pytest.raises(DataError, match="'units_per_pixel' must be a finite number above 0"):
            ImagePairFlowSource(**options, **wrong)
