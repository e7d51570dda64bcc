"""Task files: what is read, and what every mistake is called."""

from pathlib import Path

import pytest

from vireo.digest import digest
from vireo.errors import SettingError
from vireo.records import Carve, DatasetSpec
from vireo.tasks import TASKS, find_task

GOOD = """\
name = "leaves"
summary = "is the leaf ill"
target = "mask"
outputs = 2
family = "semantic-pixel"
head = "deeplabv3+"
loss = "cross-entropy"
metric = "miou"
epochs = 30
input_size = [120, 160]
class_weights = [0.1, 1]

[data]
name = "leaves"
source = "image-mask"
limit = { train = 100 }

[data.options]
root = "$LEAVES"
extension = ".png"

[data.splits.train]
images = "train"

[data.carve.test]
fraction = 0.2
rule = "tail"
gap = 3
"""


@pytest.fixture
def read(tmp_path):
    def write_and_read(text: str):
        (tmp_path / "task.toml").write_text(text)
        return find_task(str(tmp_path / "task.toml"))

    return write_and_read


def test_a_file_becomes_the_task_it_describes(read):
    task = read(GOOD)
    assert task.input_size == (120, 160)
    assert task.class_weights == (0.1, 1.0)
    assert task.batch_size == 32
    assert task.dataset == DatasetSpec(
        name="leaves",
        source="image-mask",
        options={"root": "$LEAVES", "extension": ".png"},
        splits={"train": {"images": "train"}},
        carve={"test": Carve(fraction=0.2, rule="tail", gap=3)},
        limit={"train": 100},
    )
    assert read(GOOD.replace("[120, 160]", '"encoder"')).input_size == "encoder"


def test_the_record_does_not_depend_on_where_the_file_or_the_data_lie(read, tmp_path, monkeypatch):
    first = digest(read(GOOD))
    monkeypatch.setenv("LEAVES", str(tmp_path))
    (tmp_path / "other.toml").write_text(GOOD)
    assert digest(find_task(str(tmp_path / "other.toml"))) == first


MISTAKES = [
    ("epochs = 30", "epocs = 30", r"line 9: Unknown key 'epocs'. Did you mean 'epochs'"),
    ("epochs = 30", "", "epochs is missing"),
    ("epochs = 30", 'epochs = "30"', r"line 9: epochs should be a valid integer; got '30'"),
    ("epochs = 30", "epochs = 0", "line 9: epochs must be at least 1; got 0"),
    ("deeplabv3+", "deeplab", r"line 6: head: Unknown head 'deeplab'. Did you mean 'deeplabv3\+'"),
    ("deeplabv3+", "linear", "metric 'miou' goes with head 'unet' or 'deeplabv3\\+'"),
    ("gap = 3", "gup = 3", r"line 28: data: Unknown key in carve.test 'gup'. Did you mean 'gap'"),
    ("fraction = 0.2", 'fraction = "x"', "line 26: data: carve.test.fraction should be a valid"),
    ('source = "image-mask"', "", "data: source is missing"),
    ("[0.1, 1]", "[0.1]", r"line 11: class_weights must be one a class \(2\); got 1"),
    ('summary = "', 'dataset = "x"\nsummary = "', "line 2: dataset is given twice"),
]


@pytest.mark.parametrize(("old", "new", "said"), MISTAKES)
def test_each_mistake_is_named_with_its_line(read, old, new, said):
    assert old in GOOD
    with pytest.raises(SettingError, match=said):
        read(GOOD.replace(old, new))


def test_all_mistakes_are_said_at_once(read):
    text = GOOD.replace("epochs", "epocs").replace("gap", "gup").replace("outputs = 2", "")
    with pytest.raises(SettingError, match=r"task\.toml has 4 mistakes") as caught:
        read(text)
    for said in ("'epocs'", "'gup'", "epochs is missing", "outputs is missing"):
        assert said in str(caught.value)


def test_what_is_no_task_file_is_said(read, tmp_path):
    with pytest.raises(SettingError, match=r"not valid TOML.*line 1"):
        read("name = = 1")
    with pytest.raises(SettingError, match="cannot be read: No such file"):
        find_task(str(tmp_path / "absent.toml"))
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingError, match="not UTF-8"):
        find_task(str(tmp_path / "binary.toml"))
    with pytest.raises(SettingError, match="data should be a table"):
        read(GOOD.split("\n\n[data]")[0] + "\ndata = 3\n")


def test_names_are_found_or_the_nearest_is_suggested():
    assert [find_task(name).name for name in TASKS] == list(TASKS)
    assert find_task("vireo.tasks.image_semantic:DIGITS").name == "digits"
    with pytest.raises(SettingError, match=r"Did you mean 'rooms-depth'.*\.toml"):
        find_task("room-depth")
    with pytest.raises(SettingError, match="no usable Task"):
        find_task("math:pi")


STUDIES = sorted((Path(__file__).parents[2] / "studies").glob("tasks/*.toml"))


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_task_files_that_ship_can_be_read(path):
    assert find_task(str(path)).name
