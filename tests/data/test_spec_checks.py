"""A dataset's spec: every mistake of it is found before a file is looked at, with its key."""

import pytest

from vireo.data.spec_checks import spec_mistakes
from vireo.records import Carve, DatasetSpec


def spec(**changes) -> DatasetSpec:
    facts = {
        "name": "leaves",
        "source": "image-mask",
        "options": {"root": "$LEAVES", "images": "images", "masks": "masks"},
        "carve": {"test": Carve(fraction=0.2)},
    }
    return DatasetSpec(**(facts | changes))


def test_a_right_one_has_no_mistakes_whether_or_not_its_files_exist(tmp_path):
    assert spec_mistakes(spec()) == []
    train = {"images": "images", "masks": "masks"}
    splits = {"train": train, "val": train, "test": train | {"subfolder": "other/leaves"}}
    options = {"root": str(tmp_path / "absent")}
    assert spec_mistakes(spec(options=options, splits=splits, carve={})) == []


MISTAKES = [
    ({"source": "image-msak"}, ("source",), "Did you mean 'image-mask'"),
    ({"source": "os:system"}, ("source",), "is no Source; derive its class"),
    ({"source": "../../evil:x"}, ("source",), "is no path of the form"),
    ({"options": {"root": "a", "images": "b"}}, ("options", "masks"), "needs the option 'masks'"),
    ({"splits": {"test": {}}, "carve": {}}, ("splits",), "there is no 'train'"),
    ({"carve": {}}, ("splits",), "there is no 'test'; add splits.test, or carve.test"),
    ({"splits": {"train": {}, "valid": {}}}, ("splits", "valid"), "Did you mean 'val'"),
    ({"splits": {"train": {"mask": "x"}}}, ("splits", "train", "mask"), "Did you mean 'masks'"),
    ({"splits": {"train": {"masks": 3}}}, ("splits", "train", "masks"), "is 3, which is not of"),
    ({"splits": {"train": {"masks": True}}}, ("splits", "train", "masks"), "is True, which is not"),
    (
        {"splits": {"train": {"subfolder": "../x"}}},
        ("splits", "train", "subfolder"),
        "is no folder",
    ),
    (
        {"splits": {"train": {"subfolder": "/etc"}}},
        ("splits", "train", "subfolder"),
        "is no folder",
    ),
    ({"splits": {"train": {}, "test": {}}}, ("carve", "test"), "is in 'splits' too; keep one"),
    ({"carve": {"tset": Carve(fraction=0.2)}}, ("carve", "tset"), "Did you mean 'test'"),
    ({"carve": {"test": Carve(fraction=1.0)}}, ("carve", "test", "fraction"), "in (0, 1); got 1.0"),
    ({"carve": {"test": Carve(fraction=0.1, gap=3)}}, ("carve", "test", "gap"), "'random'"),
    ({"limit": {"tran": 3}}, ("limit", "tran"), "Did you mean 'train'"),
    ({"limit": {"train": 0}}, ("limit", "train"), "must be at least 1; got 0"),
]


@pytest.mark.parametrize(("changes", "path", "said"), MISTAKES)
def test_a_mistake_is_told_with_its_key(changes, path, said):
    found = spec_mistakes(spec(**changes), ("data",))
    told = [mistake.sentence for mistake in found if mistake.path == ("data", *path)]
    assert any(said in sentence for sentence in told), found
    assert all(sentence.startswith("data.") for sentence in told)


def test_cuts_that_leave_nothing_are_refused():
    cuts = {"val": Carve(fraction=0.5), "test": Carve(fraction=0.5)}
    (mistake,) = spec_mistakes(spec(carve=cuts))
    assert mistake.sentence == "carve: the fractions leave nothing of 'train'; they sum to 1.0"


def test_a_mistake_of_shared_options_is_told_once():
    both = {"train": {}, "test": {}}
    (mistake,) = spec_mistakes(spec(options={**spec().options, "root": 3}, splits=both, carve={}))
    assert mistake.path == ("options", "root")
