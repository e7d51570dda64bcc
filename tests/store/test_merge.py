"""Folders of several machines in one: nothing lost, nothing twice, contradictions named."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from tests.store.rows import GALLERY, OUTCOMES, make_row

from vireo.digest import digest, plain
from vireo.errors import SettingError, StoreError
from vireo.files import lock, read_json, write_json
from vireo.records import SimilarityKey, SimilarityRow
from vireo.store import ResultStore, read_table
from vireo.store.folder import StudyFolder
from vireo.store.merge import merge
from vireo.store.similarities import SimilarityStore, turned


def folder(root, *rows, outcomes=OUTCOMES, gallery=None):
    for row in rows:
        ResultStore(StudyFolder(root).results).write(row, outcomes, gallery)
    return root


def files(root):
    results = StudyFolder(root).results
    return {path.name: path.read_bytes() for path in results.iterdir()} if results.is_dir() else {}


def planned(root, name, rows):
    """Add what a study leaves: its plan, and which cells have which rows."""
    write_json(StudyFolder(root).plan, {"name": name, "probe": {"level": 0.95}})
    cells = [
        {"encoder": encoder, "task": "digits", "identity": f"i-{encoder}", "rows": found}
        for encoder, found in rows.items()
    ]
    write_json(StudyFolder(root).cells, cells)
    write_json(StudyFolder(root).classes, {"digits": [*"0123456789"]})
    return root


def test_rows_of_all_folders_come_together_byte_for_byte(tmp_path):
    one = folder(tmp_path / "one", make_row(0), make_row(1), gallery=GALLERY)
    two = folder(tmp_path / "two", make_row(1), make_row(2))
    said = merge([one, two], tmp_path / "all")
    assert said[0] == f"3 rows copied into {tmp_path / 'all'}; it has 3."
    # row 1 is the first folder's, so it has a gallery
    assert files(tmp_path / "all") == files(two) | files(one)
    assert sorted(read_table(tmp_path / "all" / "results")["seed"]) == [0, 1, 2]


def test_merging_again_or_into_one_of_them_copies_what_is_new(tmp_path):
    one = folder(tmp_path / "one", make_row(0))
    two = folder(tmp_path / "two", make_row(1))
    assert merge([one, two], one)[0] == f"1 rows copied into {one}; it has 2."
    before = files(one)
    assert merge([one, two], one)[0] == f"0 rows copied into {one}; it has 2."
    assert files(one) == before


def test_time_cost_and_versions_are_no_contradiction(tmp_path):
    slow = make_row(time="2027-01-01T00:00:00+00:00", versions={"torch": "3"})
    slow = replace(slow, cost=replace(slow.cost, seconds=99.0, device="cuda"))
    one, two = folder(tmp_path / "one", make_row()), folder(tmp_path / "two", slow)
    merge([two, one], tmp_path / "all")
    assert ResultStore(StudyFolder(tmp_path / "all").results).rows() == [slow]


CONTRADICTIONS = {
    "score": ({"score": 0.25}, "score 0.30000000000000004 against 0.25"),
    "name": ({"encoder": "other"}, "encoder 'resnet20' against 'other'"),
    "entry": (
        {"hyperparameters": {"epochs": 3, "features": "cached", "learning_rate": 1e-3}},
        "hyperparameters learning_rate 0.0003 against 0.001",
    ),
    "entries": ({"metrics": {"x": 0.5}}, "metrics {'macro-accuracy': "),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_rows_that_contradict_are_named_and_nothing_is_copied(tmp_path, case):
    changes, said = CONTRADICTIONS[case]
    one = folder(tmp_path / "one", make_row(0), make_row(1))
    two = folder(tmp_path / "two", make_row(0, **changes), make_row(2))
    with pytest.raises(SettingError, match="1 rows contradict each other") as caught:
        merge([one, two], tmp_path / "all")
    assert f"resnet20 x digits, seed 0: {said}" in str(caught.value)
    assert f"{one} against {two}, {digest(make_row(0).key)}.json" in str(caught.value)
    assert not (tmp_path / "all").exists()

    lines = merge([two, one], tmp_path / "all", keep_first=True)
    assert lines[0].startswith("kept the first: ")
    kept = ResultStore(StudyFolder(tmp_path / "all").results)
    assert kept.row(make_row(0).key) == make_row(0, **changes)
    assert len(kept.rows()) == 3


@pytest.mark.parametrize(
    "other",
    [
        {"index": np.arange(4), "correct": np.array([True, True, False, True])},
        {"index": np.arange(4)},
        {"index": np.arange(4, dtype=np.int32), "correct": OUTCOMES["correct"]},
        {"index": np.arange(4).reshape(2, 2), "correct": OUTCOMES["correct"]},
    ],
)
def test_outcomes_that_differ_under_equal_scores_are_a_contradiction(tmp_path, other):
    one = folder(tmp_path / "one", make_row())
    two = folder(tmp_path / "two", make_row(), outcomes=other)
    with pytest.raises(SettingError, match="seed 0: other outcomes"):
        merge([one, two], tmp_path / "all")


def test_outcomes_without_a_number_are_equal_to_themselves(tmp_path):
    lost = {"index": np.arange(2), "error": np.array([np.nan, 1.0])}
    roots = [folder(tmp_path / name, make_row(), outcomes=lost) for name in "ab"]
    assert merge(roots, tmp_path / "all")[0].startswith("1 rows copied")


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_an_old_and_a_new_format_the_fuller_row_is_kept(tmp_path, order):
    new, old = folder(tmp_path / "new", make_row()), folder(tmp_path / "old", make_row())
    path = next(StudyFolder(old).results.glob("*.json"))
    fields = plain(make_row())
    path.write_text(
        json.dumps({k: fields[k] for k in fields if k not in ("steps", "encoder_flops", "recipe")})
    )
    assert ResultStore(StudyFolder(old).results).rows()[0].steps is None
    merge([[new, old][place] for place in order], tmp_path / "all")
    assert ResultStore(StudyFolder(tmp_path / "all").results).rows() == [make_row()]
    before = path.read_bytes()
    merge([new], old)
    assert path.read_bytes() == before  # a row that is there is never rewritten


def test_of_rows_with_and_without_a_recipe_the_one_that_states_it_is_kept(tmp_path):
    old, new = folder(tmp_path / "old", make_row(recipe="")), folder(tmp_path / "new", make_row())
    merge([old, new], tmp_path / "all")
    assert ResultStore(StudyFolder(tmp_path / "all").results).rows() == [make_row()]
    other = folder(tmp_path / "other", make_row(recipe="other"))
    with pytest.raises(SettingError, match="recipe '0123456789abcdef' against 'other'"):
        merge([new, other], tmp_path / "both")


def test_broken_and_missing_folders_are_named(tmp_path):
    one = folder(tmp_path / "one", make_row())
    with pytest.raises(StoreError, match="nowhere holds no results"):
        merge([one, tmp_path / "nowhere"], tmp_path / "all")
    broken = next(StudyFolder(one).results.glob("*.outcomes.npz"))
    broken.write_bytes(broken.read_bytes()[:40])
    with pytest.raises(StoreError, match=f"{broken.name} cannot be read"):
        merge([one], tmp_path / "all")
    assert not list((tmp_path / "all").glob("results/*.json"))


@pytest.mark.parametrize("death", [4, 5, 6])
def test_a_merge_that_dies_leaves_no_half_row_and_goes_on(tmp_path, monkeypatch, death):
    """A row has three files; the second row's are copied as number 4, 5 and 6."""
    one = folder(tmp_path / "one", make_row(0), make_row(1), gallery=GALLERY)
    calls = []

    def dying(source, target, copy=shutil.copyfileobj):
        calls.append(1)
        if len(calls) == death:
            raise KeyboardInterrupt
        copy(source, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("vireo.store.merge.shutil.copyfileobj", dying)
        merge([one], tmp_path / "all")
    assert len(read_table(tmp_path / "all" / "results")) == 1
    assert merge([one], tmp_path / "all")[0].startswith("1 rows copied")
    assert files(tmp_path / "all") == files(one)


def test_folders_of_one_plan_give_its_index_together(tmp_path):
    first, second = make_row(0), make_row(1)
    done, other = digest(first.key), digest(second.key)
    one = planned(folder(tmp_path / "one", first), "p", {"a": [done], "b": [], "c": []})
    two = planned(folder(tmp_path / "two", second), "p", {"a": [], "b": [other], "c": []})
    said = merge([one, two], tmp_path / "all")
    assert said[-1] == "2 of 3 cells of its plan are done."
    cells = read_json(StudyFolder(tmp_path / "all").cells)
    assert [cell["rows"] for cell in cells] == [[done], [other], []]
    assert read_json(StudyFolder(tmp_path / "all").plan) == read_json(StudyFolder(one).plan)
    assert len(read_json(StudyFolder(tmp_path / "all").classes)["digits"]) == 10


def test_folders_of_other_plans_give_rows_and_a_word(tmp_path):
    one = planned(folder(tmp_path / "one", make_row(0)), "p", {"a": []})
    two = planned(folder(tmp_path / "two", make_row(1)), "q", {"a": []})
    assert "differ or lack" in merge([one, two], tmp_path / "all")[-1]
    assert not StudyFolder(tmp_path / "all").plan.exists()
    plan = StudyFolder(one).plan.read_bytes()
    assert f"{one} keeps its own" in merge([two], one)[-1]
    assert StudyFolder(one).plan.read_bytes() == plan
    assert len(read_table(StudyFolder(one).results)) == 2


def test_a_cell_with_other_rows_on_two_machines_is_a_contradiction(tmp_path):
    """Both trained the encoder, and its weights differ: no row has the other's name."""
    mine, yours = digest(make_row(0).key), digest(make_row(1).key)
    one = planned(folder(tmp_path / "one", make_row(0)), "p", {"a": [mine]})
    two = planned(folder(tmp_path / "two", make_row(1)), "p", {"a": [yours]})
    with pytest.raises(SettingError, match="a x digits: other rows, so other weights"):
        merge([one, two], tmp_path / "all")
    merge([two, one], tmp_path / "all", keep_first=True)
    assert read_json(StudyFolder(tmp_path / "all").cells)[0]["rows"] == [yours]


def test_an_index_of_another_kind_is_named(tmp_path):
    one = planned(folder(tmp_path / "one", make_row(0)), "p", {"a": []})
    write_json(StudyFolder(one).cells, [{"encoder": "a"}])
    with pytest.raises(StoreError, match=r"cells\.json is not as a study leaves it"):
        merge([one], tmp_path / "all")


def test_a_folder_in_which_a_study_runs_is_not_merged_into(tmp_path):
    """Its driver would write its own index over the merged one."""
    one, out = folder(tmp_path / "one", make_row()), tmp_path / "all"
    with lock(StudyFolder(out).lock, "a study"), pytest.raises(StoreError, match="at work"):
        merge([one], out)
    assert files(out) == {}


def pair(first="e1", second="e2", values=((0.5, 0.25), (None, 1.0)), **changes):
    key = SimilarityKey(
        first=first,
        second=second,
        images="i",
        side=112,
        representation="flattened",
        estimator="linear",
        batch_size=0,
        compute="float32",
    )
    facts = {
        "first": f"name of {first}",
        "second": f"name of {second}",
        "first_method": "moco-v2",
        "second_method": "swav",
        "first_set": "imagenet",
        "second_set": "places",
        "first_blocks": ("a", "b"),
        "second_blocks": ("c", "d"),
        "dataset": "digits test",
        "n": 10,
        "values": values,
        "time": "2026-01-01T00:00:00+00:00",
    }
    return SimilarityRow(key=key, **(facts | changes))


def with_pairs(root, *pairs):
    for one in pairs:
        SimilarityStore(StudyFolder(root).similarity).write(one)
    return root


def test_similarities_come_along_whichever_encoder_was_first(tmp_path):
    one = with_pairs(folder(tmp_path / "one", make_row()), pair())
    rounded = pair(values=((0.5 + 1e-7, 0.25), (None, 1.0)))
    two = with_pairs(folder(tmp_path / "two", make_row()), turned(rounded), pair(second="e3"))
    said = merge([one, two], tmp_path / "all")
    assert "2 similarities copied; it has 2." in said
    stored = SimilarityStore(StudyFolder(tmp_path / "all").similarity).rows()
    assert sorted(stored, key=lambda row: row.second) == [pair(), pair(second="e3")]
    assert "0 similarities copied; it has 2." in merge([two, one], tmp_path / "all")


@pytest.mark.parametrize(
    ("values", "apart"),
    [
        (((0.5, 0.3), (None, 1.0)), "0.05 apart"),
        (((0.5, 0.25), (0.1, 1.0)), "inf apart"),
        (((0.5, None), (0.25, 1.0)), "inf apart"),  # mirrored
    ],
)
def test_similarities_that_differ_by_more_than_rounding_are_named(tmp_path, values, apart):
    one = with_pairs(folder(tmp_path / "one", make_row()), pair())
    two = with_pairs(folder(tmp_path / "two", make_row()), turned(pair(values=values)))
    with pytest.raises(SettingError, match=f"similarity of name of e2 and name of e1: {apart}"):
        merge([one, two], tmp_path / "all")
    merge([one, two], tmp_path / "all", keep_first=True)
    assert SimilarityStore(StudyFolder(tmp_path / "all").similarity).rows() == [pair()]
