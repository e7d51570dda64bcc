"""The leaves: catalogue, digest, seeding, files, schedules."""

import dataclasses
import errno
import fcntl
import itertools
import math
import multiprocessing
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vireo import catalog, files, schedules, seeding
from vireo.digest import canonical_json, digest
from vireo.errors import MissingExtraError, SettingError, StoreError
from vireo.records import Carve, DatasetSpec

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), PLAIN, max_size=4))
def test_digest_ignores_the_order_of_keys(facts):
    assert digest(facts) == digest(dict(reversed(facts.items())))


def test_every_field_of_a_record_changes_its_digest():
    carve = Carve(fraction=0.5)
    changed = {"fraction": 0.25, "rule": "tail", "gap": 3, "seed": 1}
    assert set(changed) == {field.name for field in dataclasses.fields(Carve)}
    digests = {digest(dataclasses.replace(carve, **{key: value})) for key, value in changed.items()}
    assert len(digests | {digest(carve)}) == 5


def test_digest_tells_lists_from_their_concatenation():
    assert digest("ab", "c") != digest("a", "bc")
    assert digest([1, [2]]) != digest([[1], 2])
    assert digest(1) != digest("1")
    assert digest(1.0) != digest(1)


@pytest.mark.parametrize("bad", [{1, 2}, math.nan, math.inf, object(), {1: "a"}])
def test_digest_refuses_what_has_no_stable_text(bad):
    with pytest.raises(TypeError):
        canonical_json(bad)


def test_records_are_readable_without_torch():
    code = (
        "import vireo.records, vireo.digest, vireo.store.results, sys;"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(SettingError, match=r"Did you mean 'moco-v2'\? Known: moco-v2, swav"):
        catalog.resolve({"moco-v2": "a:b", "swav": "a:b"}, "mocov2", "method")


def test_a_dotted_path_works_where_a_name_does():
    assert catalog.resolve({}, "math:sqrt", "function") is math.sqrt
    with pytest.raises(SettingError, match="no module 'nowhere'"):
        catalog.resolve({}, "nowhere:x", "function")
    with pytest.raises(SettingError, match="has no 'nothing'"):
        catalog.resolve({}, "math:nothing", "function")


@pytest.mark.parametrize("name", [":sqrt", ".math:sqrt", "math:", "a..b:c"])
def test_a_dotted_path_that_is_none_is_said(name):
    with pytest.raises(SettingError, match="method"):
        catalog.resolve({}, name, "method")


def test_a_missing_library_is_named_with_its_remedy():
    with pytest.raises(MissingExtraError, match="pip install not_a_library"):
        catalog.resolve({"x": "not_a_library:y"}, "x", "engine")


def test_seeds_differ_by_every_coordinate():
    seeds = {
        seeding.integer(*key)
        for key in [("a", "p"), ("b", "p"), ("a", "q"), ("a", "p", 1), ("a", "p", 0, 1)]
    }
    assert len(seeds) == 5
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_draws_for_an_example_are_uniform_and_independent_of_neighbours():
    draws = [seeding.generator("run", "views", 0, index).random() for index in range(2000)]
    assert abs(sum(draws) / 2000 - 0.5) < 4 / math.sqrt(12 * 2000)
    lagged = sum((a - 0.5) * (b - 0.5) for a, b in itertools.pairwise(draws)) * 12 / 1999
    assert abs(lagged) < 4 / math.sqrt(1999)


def test_a_failed_write_leaves_the_previous_file(tmp_path):
    path = tmp_path / "a.json"
    files.write_json(path, {"a": 1})
    with pytest.raises(RuntimeError), files.atomic_writer(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert files.read_json(path) == {"a": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_a_full_disk_is_one_clear_error(tmp_path):
    with pytest.raises(StoreError, match="No space left"), files.atomic_writer(tmp_path / "a"):
        raise OSError(errno.ENOSPC, "full")


def test_a_failed_folder_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), files.atomic_folder(tmp_path / "block") as folder:
        (folder / "part").write_bytes(b"x")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_made_twice_keeps_the_first(tmp_path):
    for text in ("first", "second"):
        with files.atomic_folder(tmp_path / "block") as folder:
            (folder / "part").write_text(text)
    assert (tmp_path / "block" / "part").read_text() == "first"


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "", "."])
def test_names_that_lead_outside_are_refused(tmp_path, name):
    with pytest.raises(StoreError, match="outside"):
        files.inside(tmp_path, name)


def test_links_that_lead_outside_are_refused(tmp_path):
    (tmp_path / "link").symlink_to("/etc")
    with pytest.raises(StoreError, match="outside"):
        files.inside(tmp_path, "link/passwd")


def _try_lock(path, queue):
    try:
        with files.lock(path, "a run"):
            queue.put("got it")
    except StoreError as error:
        queue.put(str(error))


def test_a_lock_keeps_another_process_out(tmp_path):
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    with files.lock(tmp_path / "lock", "a run"):
        process = context.Process(target=_try_lock, args=(tmp_path / "lock", queue))
        process.start()
        process.join()
    assert "Another process is at work on a run" in queue.get()


def test_a_refused_run_leaves_no_trace(tmp_path):
    place = tmp_path / "runs/one/.lock"
    with pytest.raises(SettingError), files.lock(place, "a run"):
        assert place.exists()
        raise SettingError
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "runs").mkdir()
    with pytest.raises(SettingError), files.lock(place, "a run"):
        raise SettingError
    assert list(tmp_path.rglob("*")) == [tmp_path / "runs"]  # which was there before


def test_a_run_that_did_something_keeps_it(tmp_path):
    place = tmp_path / "runs/.lock"
    with pytest.raises(SettingError), files.lock(place, "a run"):
        (tmp_path / "runs/row.json").write_text("{}")
        raise SettingError
    assert list(tmp_path.rglob("*")) == [tmp_path / "runs", tmp_path / "runs/row.json"]
    with files.lock(place, "a run"):
        pass
    with pytest.raises(SettingError), files.lock(place, "a run"):
        raise SettingError
    assert place.exists()  # of the run before


def test_a_lock_on_a_file_that_is_gone_holds_nothing(tmp_path, monkeypatch):
    """Between the opening and the locking its last holder may remove it."""
    place, removed, real = tmp_path / "run/.lock", [], fcntl.flock

    def flock(file, how):
        real(file, how)
        if not removed:
            removed.append(place)
            place.unlink()
            place.parent.rmdir()

    monkeypatch.setattr(fcntl, "flock", flock)
    with files.lock(place, "a run"):
        assert place.exists()
    assert removed


def test_unset_variables_in_paths_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("VIREO_HERE", str(tmp_path))
    monkeypatch.delenv("VIREO_NOWHERE", raising=False)
    assert files.expand("$VIREO_HERE/a") == tmp_path / "a"
    with pytest.raises(StoreError, match="not set"):
        files.expand("$VIREO_NOWHERE/a")
    with pytest.raises(StoreError, match="names a home that is not here"):
        files.expand("~nobody-of-that-name/a")


def test_specs_with_variables_are_the_same_on_every_machine():
    spec = DatasetSpec(name="x", source="image-folder", options={"root": "$VIREO_DATA/x"})
    assert "$VIREO_DATA" in canonical_json(spec)


@pytest.mark.parametrize(("progress", "value"), [(0.0, 0.03), (0.5, 0.015), (1.0, 0.0)])
def test_cosine(progress, value):
    assert schedules.cosine(progress, 0.03) == pytest.approx(value)


def test_step_and_warmup():
    rates = [schedules.step(epoch / 200, 0.03, (0.6, 0.8)) for epoch in (0, 119, 120, 160)]
    assert rates == pytest.approx([0.03, 0.03, 0.003, 0.0003])
    assert [schedules.warmup(p, 0.1, 0.3, 4.8) for p in (0.0, 0.05, 0.1, 0.9)] == pytest.approx(
        [0.3, 2.55, 4.8, 4.8]
    )


def test_a_path_to_something_else_is_refused_before_it_is_called():
    with pytest.raises(SettingError, match="'subprocess:Popen' is no DatasetSpec"):
        catalog.resolve({}, "subprocess:Popen", "source", DatasetSpec)
    with pytest.raises(SettingError, match="is no DatasetSpec"):
        catalog.resolve({}, "math:sqrt", "source", DatasetSpec)
    assert catalog.resolve({}, "vireo.records:Carve", "cut", Carve) is Carve
