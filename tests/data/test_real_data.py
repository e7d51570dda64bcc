"""The sources on real files, as their publishers lay them out. Set VIREO_DATA."""

import numpy as np
import pytest

from vireo.data import find_dataset, load_batches, open_split
from vireo.records import Carve, DatasetSpec

pytestmark = pytest.mark.data


def test_cifar10_in_parquet(real_data):
    spec = find_dataset(f"parquet:{real_data}/cifar10")
    train, test = (open_split(spec, split) for split in ("train", "test"))
    assert (len(train), len(test)) == (50_000, 10_000)
    assert test.class_names[:2] == ("airplane", "automobile")
    labels = [test.target(index, "class") for index in range(len(test))]
    assert np.bincount(labels).tolist() == [1000] * 10
    batches = load_batches(
        test, size=(32, 32), target="class", batch_size=100, indices=range(0, 10_000, 20)
    )
    mean = np.mean([batch.images.float().mean(dim=(0, 1, 3, 4)).numpy() for batch in batches], 0)
    assert np.abs(mean / 255 - [0.4914, 0.4822, 0.4465]).max() < 0.01  # the published means


def test_tiny_imagenet_in_tar_shards(real_data):
    spec = find_dataset(f"webdataset:{real_data}/tiny-imagenet-100")
    train, val = (open_split(spec, split) for split in ("train", "val"))
    assert (len(train), len(val)) == (12_000, 2_500)
    labels = [train.target(index, "class") for index in range(len(train))]
    assert sorted(set(labels)) == list(range(100))
    for index in (0, 6_000, 11_999):
        assert train.frames(index)[0].shape == (64, 64, 3)


def test_dtd_in_folders(real_data):
    spec = DatasetSpec(
        name="dtd10",
        source="image-folder",
        options={"root": f"{real_data}/dtd10"},
        carve={"val": Carve(fraction=0.2), "test": Carve(fraction=0.2)},
    )
    parts = [open_split(spec, split) for split in ("train", "val", "test")]
    assert [len(part) for part in parts] == [720, 240, 240]
    for part in parts:
        labels = [part.target(index, "class") for index in range(len(part))]
        assert len(set(np.bincount(labels).tolist())) == 1
    (batch,) = load_batches(
        parts[1], size=(224, 224), target="class", batch_size=8, indices=range(8)
    )
    assert batch.images.shape == (8, 1, 3, 224, 224)


def test_a_flat_folder(real_data):
    source = open_split(f"folder:{real_data}/imagenet-1k-sample", "train")
    assert (len(source), source.targets) == (1000, ())


def test_bccd_in_tables(real_data):
    spec = DatasetSpec(
        name="bccd",
        source="csv",
        options={"root": str(real_data / "bccd"), "targets": {"count": "rbc"}},
        splits={
            split: {"file": f"{split}.csv", "images": split} for split in ("train", "val", "test")
        },
    )
    sizes = [len(open_split(spec, split)) for split in ("train", "val", "test")]
    assert sizes == [205, 87, 72]
    train = open_split(spec, "train")
    assert (train.label(0), train.target(0, "count")) == ("train/0000.jpg", 18)
    assert train.frames(0)[0].min(axis=None) >= 0


def test_camvid_masks(real_data):
    spec = DatasetSpec(
        name="camvid",
        source="image-mask",
        options={"root": str(real_data / "camvid"), "codes": {"11": "255"}},
        splits={
            split: {"images": split, "masks": f"{split}annot"} for split in ("train", "val", "test")
        },
    )
    assert [len(open_split(spec, split)) for split in ("train", "val", "test")] == [367, 101, 233]
    (batch,) = load_batches(
        open_split(spec, "test"), size=(180, 240), target="mask", batch_size=16, indices=range(16)
    )
    assert set(batch.target.unique().tolist()) <= {*range(11), 255}
    assert 0.8 < batch.valid.float().mean() < 1


def test_nuclei_instances(real_data):
    options = {"root": str(real_data / "dsb2018"), "images": "images", "masks": "instances"}
    spec = DatasetSpec(
        name="nuclei", source="image-mask", options={**options, "target": "instances"}
    )
    table = DatasetSpec(
        name="nuclei",
        source="csv",
        options={
            "root": options["root"],
            "file": "counts.csv",
            "image_column": "id",
            "images": "images/*.jpg",
            "targets": {"count": "count"},
        },
    )
    masks, counts = open_split(spec, "train"), open_split(table, "train")
    assert len(masks) == len(counts) == 664
    for index in range(0, 664, 60):
        assert masks.label(index) == counts.label(index)
        present = np.unique(masks.target(index, "instances"))
        assert abs(np.count_nonzero(present) - counts.target(index, "count")) <= 1


def test_sevenscenes_depth_cut_by_time(real_data):
    spec = DatasetSpec(
        name="sevenscenes",
        source="image-depth",
        options={
            "root": str(real_data / "sevenscenes"),
            "images": "*.color.jpg",
            "depths": "*.depth.png",
        },
        carve={"test": Carve(fraction=0.2, rule="tail", gap=50)},
    )
    train, test = (open_split(spec, split) for split in ("train", "test"))
    assert (len(train), len(test)) == (750, 200)
    assert train.label(749) == "seq-01/frame-000749.color.jpg"
    assert test.label(0) == "seq-01/frame-000800.color.jpg"
    (batch,) = load_batches(
        test, size=(120, 160), target="depth", batch_size=8, indices=range(0, 200, 25)
    )
    depth = batch.target[batch.valid]
    assert depth.min() > 0.2
    assert depth.max() < 10
    assert 0.5 < batch.valid.float().mean() < 1


MIDDLEBURY = {
    "first": "*/frame10.png",
    "second": "*/frame11.png",
    "flows": "*/flow10.png",
    "units_per_pixel": 512,
}


def test_middlebury_flow(real_data):
    """The flow brings the second frame onto the first far better than no motion does."""
    spec = DatasetSpec(
        name="middlebury-flow",
        source="image-pair-flow",
        options={"root": str(real_data / "middlebury-flow"), **MIDDLEBURY},
    )
    source = open_split(spec, "train")
    assert (len(source), source.label(0)) == (8, "Dimetrodon/frame10.png")
    for index in range(8):
        (batch,) = load_batches(
            source, size=(1, 1), target="flow", batch_size=1, indices=[index], resize=False
        )
        first, second = batch.images[0].float().mean(dim=1).numpy()
        (u, v), known = batch.target[0].numpy(), batch.valid[0, 0].numpy()
        assert batch.target.shape[-2:] == first.shape
        assert np.abs([u, v]).max() < 40
        assert known.mean() > 0.7
        rows, columns = np.indices(first.shape)
        ends = np.round(rows + v).astype(int), np.round(columns + u).astype(int)
        height, width = first.shape
        known &= (ends[0] >= 0) & (ends[0] < height) & (ends[1] >= 0) & (ends[1] < width)
        warped = second[ends[0][known], ends[1][known]]
        still = np.abs(second - first)[known].mean()
        assert np.abs(warped - first[known]).mean() < 0.75 * still


SEQUENCE = {"images": "*.color.jpg", "stride": 10, "every": 1}


def test_sevenscenes_camera_motion(real_data):
    spec = DatasetSpec(
        name="sevenscenes",
        source="camera-motion",
        options={
            "root": str(real_data / "sevenscenes"),
            "poses": "*.pose.txt",
            "motions": ("turn-left", "turn-right", "none"),
            "degrees": 2.0,
            "both_ways": True,
            **SEQUENCE,
        },
        carve={"test": Carve(fraction=0.3, rule="tail", gap=120)},
    )
    train, test = (open_split(spec, split) for split in ("train", "test"))
    assert len(train) + 120 + len(test) == 2 * 990
    for part in (train, test):
        codes = [part.target(index, "egomotion") for index in range(len(part))]
        counts = np.bincount(codes, minlength=3)
        assert counts[0] == counts[1]
        assert counts.min() > 0.15 * len(part)
    # what is seen moves to the left where the camera turns right
    left, right = (
        np.mean([_drift(train, n) for n in range(0, len(train), 5) if _code(train, n) == code])
        for code in (0, 1)
    )
    assert right < -2
    assert left > 2


def _code(source, index):
    return source.target(index, "egomotion")


def _drift(source, index):
    """Return by how many columns to the right the picture moved from the first frame on."""
    first, second = (frame.mean(axis=(0, 2)) for frame in source.frames(index))
    first, second = first - first.mean(), second - second.mean()
    shifts = range(-40, 41)
    errors = [
        np.mean((first[max(0, -s) : 160 - max(0, s)] - second[max(0, s) : 160 + min(0, s)]) ** 2)
        for s in shifts
    ]
    return shifts[int(np.argmin(errors))]


def test_sevenscenes_frame_order(real_data):
    spec = DatasetSpec(
        name="sevenscenes",
        source="frame-sequence",
        options={
            "root": str(real_data / "sevenscenes"),
            "frames": 3,
            "orders": "permutation-either-way",
            **SEQUENCE,
        },
        carve={"test": Carve(fraction=0.2, rule="tail", gap=70)},
    )
    for split, size in (("train", 714), ("test", 196)):
        part = open_split(spec, split)
        assert len(part) == size
        codes = [part.target(index, "order") for index in range(size)]
        assert np.ptp(np.bincount(codes, minlength=3)) <= 2
