"""What decides that a row is the one that was asked for: not what is tested beside it."""

import dataclasses

import pytest

from vireo.data.sources.source import Source
from vireo.probe import probe
from vireo.probe.examples import open_examples
from vireo.records import ProbeSettings

PAPER = ProbeSettings(protocol="paper", resamples=50)
TUNED = ProbeSettings(learning_rates=(0.3, 1.0), weight_decays=(0.0, 0.01), resamples=50)


@pytest.fixture
def run(encoder, compute, tmp_path):
    def start(task, settings, store):
        return probe(encoder, task, settings, store=tmp_path / store, compute=compute)

    return start


@pytest.fixture
def with_further(class_task, monkeypatch):
    """The task with a further test set, of so many images and others than the test split's."""
    import vireo.probe.examples as examples

    real = examples.open_split

    def make(count):
        options = {"split": "val", "count": count}
        spec = dataclasses.replace(class_task.dataset, splits={"test": options})
        monkeypatch.setattr(
            examples, "open_split", lambda d, split: real(spec if d == "further" else d, split)
        )
        return dataclasses.replace(class_task, extra_tests=("further",))

    return make


def test_a_further_test_set_changes_neither_identity_nor_numbers(
    run, class_task, with_further, capsys
):
    """Or a study on a machine without ImageNet v2 could not be gone on with on one that has it."""
    (alone,) = run(class_task, PAPER, store="alone")
    (more,) = run(with_further(12), PAPER, store="more")
    assert more.key == alone.key
    assert (more.raw, more.low, more.high) == (alone.raw, alone.low, alone.high)
    assert dict(more.metrics) == {
        **alone.metrics,
        "top-1@further": more.metrics["top-1@further"],
    }
    capsys.readouterr()
    run(with_further(12), PAPER, store="more")
    assert "are kept from" not in capsys.readouterr().err
    for store, count in (("alone", 12), ("more", 9)):
        (kept,) = run(with_further(count), PAPER, store=store)
        assert kept == (alone if store == "alone" else more)
        said = " ".join(capsys.readouterr().err.split())
        assert "kept from when 'further' was not there, or was another; delete them" in said


def test_where_scenes_are_cut_the_rows_are_in_the_identity(class_task, monkeypatch):
    (blobs,) = [cls for cls in Source.__subclasses__() if cls.__name__ == "Blobs"][-1:]
    plain = open_examples(class_task, TUNED)
    whole = plain.fit.source.digest
    assert plain.sources["fit"] == plain.sources["validation"] == whole
    assert open_examples(class_task, PAPER).sources["fit"] == whole
    found = []
    for scenes in (5, 8):
        groups = tuple(f"scene {index % scenes}" for index in range(len(plain.fit.source)))
        monkeypatch.setattr(blobs, "groups", groups)
        cut = open_examples(class_task, TUNED)
        sides = [{groups[row] for row in part.rows} for part in (cut.fit, cut.validation)]
        assert not sides[0] & sides[1]
        found += [cut.sources["fit"], cut.sources["validation"]]
        assert open_examples(class_task, PAPER).sources["fit"] == whole
    assert len({*found, whole}) == 5
