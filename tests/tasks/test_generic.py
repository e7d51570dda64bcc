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
masks = "labels"

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
        options={"root": "$LEAVES", "masks": "labels"},
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
    ("epochs = 30", "", "  - epochs is missing"),
    ("epochs = 30", 'epochs = "30"', r"line 9: epochs should be a valid integer; got '30'"),
    ("epochs = 30", "epochs = 3e1", r"line 9: epochs should be a valid integer; got 30.0"),
    ("epochs = 30", "epochs = 0", "line 9: epochs must be at least 1; got 0"),
    ("outputs = 2", "outputs = true", "line 4: outputs should be a valid integer; got True"),
    ("outputs = 2", "outputs = 1", "line 4: outputs must be at least 2 classes; got 1"),
    ('"leaves"\nsummary', "3\nsummary", "line 1: name should be a valid string; got 3"),
    ('"leaves"\nsource', "3\nsource", "line 14: data.name should be a valid string; got 3"),
    ("semantic-pixel", "pixels", "line 5: family should be 'semantic-image', 'structural-image'"),
    ("deeplabv3+", "deeplab", r"line 6: head: Unknown head 'deeplab'. Did you mean 'deeplabv3\+'"),
    ("deeplabv3+", "linear", r"line \d: .*'linear'"),
    ("cross-entropy", "l2", "line 7: loss: Unknown loss 'l2'.*Known: .*cross-entropy.*l1"),
    ("miou", "mIoU", "line 8: metric: Unknown metric 'mIoU'. Did you mean 'miou'"),
    ("[120, 160]", "[120]", r"line 10: input_size\[1\] is missing"),
    ("[120, 160]", "[120, 160, 3]", "line 10: input_size should be a list of 2 or 'encoder'; got"),
    ("[120, 160]", '"own"', "line 10: input_size should be a list or 'encoder'; got 'own'"),
    ("[0.1, 1]", "[0.1]", r"line 11: class_weights must be one a class \(2\); got 1"),
    ("[0.1, 1]", '[0.1, "1"]', r"line 11: class_weights\[1\] should be a valid number; got '1'"),
    ("gap = 3", "gup = 3", r"line 28: Unknown key in data.carve.test 'gup'. Did you mean 'gap'"),
    ("gap = 3", "gap = -3", "line 28: data.carve.test.gap must be 0, or positive with 'tail'"),
    ('"tail"', '"last"', "line 27: data.carve.test.rule should be 'random' or 'tail'; got 'last'"),
    ("fraction = 0.2", 'fraction = "x"', "line 26: data.carve.test.fraction should be a valid"),
    ("fraction = 0.2", "", "line 25: data.carve.test.fraction is missing"),
    ("carve.test", "carve.tset", "line 25: data.carve.tset: .*Did you mean 'test'"),
    ("{ train = 100 }", "{ trian = 9 }", "line 16: data.limit.trian: .*Did you mean 'train'"),
    ('source = "image-mask"', "", "line 13: data.source is missing"),
    ('"image-mask"', '"image_mask"', "line 15: data.source: .*Did you mean 'image-mask'"),
    ("masks =", "mask =", "line 20: data.options.mask: Unknown option.*Did you mean 'masks'"),
    ("masks =", "# masks =", "line 18: data.options.masks: .* needs the option 'masks'"),
    ('images = "train"', "images = 1", "line 23: data.splits.train.images: .* is 1, which is not"),
    ('summary = "', 'dataset = "x"\nsummary = "', "line 2: dataset is given twice"),
]


@pytest.mark.parametrize(("old", "new", "said"), MISTAKES)
def test_each_mistake_is_named_with_its_line(read, old, new, said):
    assert old in GOOD
    with pytest.raises(SettingError, match=said):
        read(GOOD.replace(old, new))


def test_all_mistakes_are_said_at_once_in_the_order_of_the_file(read):
    text = GOOD.replace("epochs", "epocs").replace("gap", "gup").replace("outputs = 2", "")
    text = text.replace("image-mask", "image-maks")
    with pytest.raises(SettingError, match=r"task\.toml has 5 mistakes") as caught:
        read(text.replace('rule = "tail"\n', ""))
    lines = str(caught.value).splitlines()[1:]
    assert [line[:10] for line in lines] == [
        "  - line 9",
        "  - line 1",
        "  - line 2",
        "  - output",
        "  - epochs",
    ]


def test_mistakes_of_the_data_are_told_beside_those_of_the_task(read):
    text = GOOD.replace("miou", "mIoU").replace('"image-mask"', '"image-maks"')
    with pytest.raises(SettingError, match="Did you mean 'image-mask'"):
        read(text)


def test_a_named_dataset_must_be_there_or_the_nearest_is_suggested(read):
    top = GOOD.split("\n\n[data]")[0]
    assert read(f'{top}\ndataset = "rooms"\n').dataset == "rooms"
    assert read(f'{top}\ndataset = "folder:absent"\n').dataset == "folder:absent"
    with pytest.raises(SettingError, match=r"line 12: dataset: .*Did you mean 'rooms'"):
        read(f'{top}\ndataset = "room"\n')
    with pytest.raises(SettingError, match="dataset is missing"):
        read(top)


def test_a_mark_at_the_front_and_line_ends_of_other_systems_change_nothing(read, tmp_path):
    (tmp_path / "dos.toml").write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert find_task(str(tmp_path / "dos.toml")) == read(GOOD)
    (tmp_path / "dos.toml").write_bytes(GOOD.replace("gap", "gup").replace("\n", "\r\n").encode())
    with pytest.raises(SettingError, match="line 28: Unknown key"):
        find_task(str(tmp_path / "dos.toml"))


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
