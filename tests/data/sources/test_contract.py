"""What every source of the catalogue promises, whichever layout it reads."""

import functools
import inspect
import io
import pickle
import tarfile
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests import miniatures

from vireo.catalog import resolve
from vireo.data import find_dataset
from vireo.data.roots import placed
from vireo.data.sources import SOURCES
from vireo.data.subsets.making import make_subset
from vireo.data.subsets.recipe import SubsetRecipe
from vireo.errors import DataError


def make_folder(root, tools):
    for number in range(4):
        tools.write(root / f"{'ab'[number % 2]}/{number}.png", tools.pixels(number))
    return {"root": root}


def make_parquet(root, tools):
    root.mkdir()
    contents = [tools.encode(tools.pixels(number)) for number in range(4)]
    images = [{"bytes": content, "path": "x.png"} for content in contents]
    pq.write_table(pa.table({"image": images, "label": [0, 1, 1, 0]}), root / "train.parquet")
    return {"root": root, "path": "*.parquet"}


def make_shards(root, tools):
    root.mkdir()
    with tarfile.open(root / "train-000000.tar", "w") as archive:
        for number in range(4):
            image = tools.encode(tools.pixels(number))
            for name, content in ((f"{number}.png", image), (f"{number}.cls", b"%d" % number)):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return {"root": root, "path": "*.tar"}


def make_subset_of_a_folder(root, tools):
    make_folder(root / "set", tools)
    data = (find_dataset(f"folder:{root / 'set'}"),)
    make_subset(SubsetRecipe(rule="fraction", data=data, share=1.0), root / "out")
    return {"root": root / "out"}


def make_csv(root, tools):
    for number in range(4):
        tools.write(root / f"images/{number}.png", tools.pixels(number))
    (root / "list.csv").write_text("file,n,kind\n0.png,3,b\n1.png,0,a\n2.png,1,b\n3.png,2,b\n")
    targets = {"count": "n", "class": "kind"}
    return {"root": root, "file": "list.csv", "images": "images", "targets": targets}


def make_pairs(root, tools, kind):
    for number in range(4):
        tools.write(root / f"images/{number}.png", tools.pixels(number))
        tools.write(root / f"{kind}/{number}.png", tools.pixels(number)[:, :, 0])
    return {"root": root, "images": "images", kind: kind}


def make_flow(root, tools):
    flow = np.random.default_rng(0).normal(size=(6, 8, 2)).astype("<f4")
    for number in range(3):
        tools.write(root / f"{number}/frame10.png", tools.pixels(number))
        tools.write(root / f"{number}/frame11.png", tools.pixels(number + 9))
        header = b"PIEH" + np.array([8, 6], "<i4").tobytes()
        (root / f"{number}/flow10.flo").write_bytes(header + flow.tobytes())
    names = {"first": "*/frame10.png", "second": "*/frame11.png", "flows": "*/flow10.flo"}
    return {"root": root, **names}


def make_sequence(root, tools):
    for number in range(9):
        tools.write(root / f"clip/{number}.png", tools.pixels(number))
    return {"root": root, "frames": 3, "every": 1, "orders": "permutation"}


def make_walk(root, tools):
    for number in range(5):
        tools.write(root / f"{number}.color.png", tools.pixels(number))
        pose = np.eye(4)
        pose[2, 3] = number * (number - 2.5)
        np.savetxt(root / f"{number}.pose.txt", pose)
    return {"root": root, "images": "*.color.png", "poses": "*.pose.txt", "stride": 1}


def make_named(root, _tools, *, name):
    """Write a named dataset's miniature; return the options of its training part."""
    root.mkdir(parents=True, exist_ok=True)
    miniatures.MAKERS[name](root)
    spec = placed(find_dataset(name), root)
    part = "train" if "train" in spec.splits else next(iter(spec.splits))
    options = {**spec.options, **spec.splits[part]}
    folder = root / str(options.pop("subfolder", ""))
    return {**options, "root": folder}


MAKERS = {
    "image-folder": make_folder,
    "parquet": make_parquet,
    "webdataset": make_shards,
    "csv": make_csv,
    "image-mask": functools.partial(make_pairs, kind="masks"),
    "image-depth": functools.partial(make_pairs, kind="depths"),
    "image-pair-flow": make_flow,
    "frame-sequence": make_sequence,
    "camera-motion": make_walk,
    "subset": make_subset_of_a_folder,
    "torchvision": functools.partial(make_named, name="pets"),
    "per-class": functools.partial(make_named, name="caltech-101"),
    "frame-list": functools.partial(make_named, name="thor-egomotion"),
    "kinetics": functools.partial(make_named, name="kinetics-action"),
    "digits": lambda _root, _tools: {},
    "rooms": lambda root, _tools: {"root": str(root), "images": 3, "size": 32},
}


@pytest.fixture(params=sorted(SOURCES))
def opened(request, tmp_path, tools):
    """Open a source of each kind in two places, so that nothing depends on the place."""
    kind, make = resolve(SOURCES, request.param, "source"), MAKERS[request.param]
    return kind(**make(tmp_path / "here", tools)), kind(**make(tmp_path / "there", tools))


@pytest.fixture
def tools(write, pixels, encode):
    return SimpleNamespace(write=write, pixels=pixels, encode=encode)


def test_the_contract(opened, tmp_path):
    source, elsewhere = opened
    assert len(source) > 0
    assert source.digest == elsewhere.digest
    assert str(tmp_path) not in source.label(0)
    assert len({source.label(index) for index in range(len(source))}) == len(source)
    for index in (0, len(source) - 1):
        frames = source.frames(index)
        assert all(frame.dtype == np.uint8 and frame.shape[2] == 3 for frame in frames)
        assert np.array_equal(frames[0], elsewhere.frames(index)[0])
        for name in source.targets:
            check_target(name, source.target(index, name), frames[0].shape)
    with pytest.raises(DataError, match="flavour"):
        source.target(0, "flavour")


def check_target(name, value, shape):
    if isinstance(value, np.ndarray):
        assert value.shape == ((2,) if name == "flow" else ()) + shape[:2]
        assert np.issubdtype(value.dtype, np.floating) == (name in ("depth", "flow"))
    else:
        assert isinstance(value, int)


def test_codes_have_names(opened):
    source, _ = opened
    if "class" in source.targets and source.class_names:
        codes = {source.target(index, "class") for index in range(len(source))}
        assert codes <= set(range(len(source.class_names)))


def test_another_process_can_read_it(opened):
    source, _ = opened
    source.frames(0)
    copy = pickle.loads(pickle.dumps(source))
    assert np.array_equal(copy.frames(1)[0], source.frames(1)[0])


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_options_are_keywords_only(name):
    parameters = inspect.signature(resolve(SOURCES, name, "source")).parameters.values()
    assert all(p.kind in (p.KEYWORD_ONLY, p.VAR_KEYWORD) for p in parameters)
