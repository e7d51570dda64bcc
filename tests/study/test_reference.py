"""A study under each protocol; under "reference" one encoder chooses for all."""

import dataclasses

import pytest
from tests.tiny import bright_task

from vireo.devices import Compute
from vireo.digest import digest
from vireo.errors import SettingError
from vireo.probe.protocols import PROTOCOLS
from vireo.records import EncoderSpec, HeadOptimizer, ProbeSettings, StudyPlan
from vireo.store.folder import StudyFolder
from vireo.store.results import ResultStore
from vireo.study import run_study, study_status
from vireo.study.cells import Cell, identity, plan_cells
from vireo.study.plan import check_names
from vireo.study.reference import agreement

TASK = bright_task(40, epochs=3)
SETS = tuple(HeadOptimizer(optimizer="adam", learning_rate=rate) for rate in (1e-5, 1e-2))
SETTINGS = ProbeSettings(
    protocol="reference", reference="b", sets=SETS, seeds=(3, 4), resamples=20, draws=3
)
PLAN = StudyPlan(
    name="chosen",
    summary="",
    tasks=(TASK,),
    encoders=tuple(
        EncoderSpec(spec="random:tests.tiny:tiny_network", name=name, seed=seed)
        for seed, name in enumerate("abc")
    ),
    probe=SETTINGS,
)


def under(**changes) -> StudyPlan:
    return dataclasses.replace(PLAN, probe=dataclasses.replace(SETTINGS, **changes))


@pytest.fixture
def compute():
    return Compute(device="cpu", precision="float32", threads=1, reason="test")


def test_one_encoder_chooses_and_all_are_trained_with_its_choice(tmp_path, compute, capfd):
    plan = dataclasses.replace(PLAN, encoders=PLAN.encoders[:2])
    assert [status.state for status in study_status(plan, tmp_path)] == ["to do"] * 2
    table = run_study(plan, tmp_path, compute=compute)
    cells = sorted(zip(table["encoder"], table["seed"], strict=True))
    assert cells == [(name, seed) for name in "ab" for seed in (3, 4)]
    assert "Another set would have won in" in capfd.readouterr().err
    rows = ResultStore(StudyFolder(tmp_path).results).rows()
    (search,) = [row for row in rows if digest(row.key) not in set(table["digest"])]
    assert (search.encoder, search.key.seed) == ("b", 3)
    told = [row for row in rows if row is not search]
    assert {row.hyperparameters["set"] for row in told} == {search.hyperparameters["own_set"]}
    assert {row.hyperparameters["reference"] for row in told} == {"b"}
    assert [status.state for status in study_status(plan, tmp_path)] == ["done"] * 2
    again = run_study(plan, tmp_path, compute=compute)
    assert "0 cells computed, 2 were there already" in capfd.readouterr().err
    assert set(again["digest"]) == set(table["digest"])


def test_the_choice_follows_validation_not_the_order_of_sets(tmp_path, compute):
    """Scores on validation are replaced: the second set is better for the reference alone."""
    import vireo.probe.image_level as image_level

    real, plan = image_level.select, dataclasses.replace(PLAN, encoders=PLAN.encoders[:2])
    for best in (0, 1):
        scores = [0.2, 0.2]
        scores[best] = 0.9
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                image_level,
                "select",
                lambda s, g, *_, scores=scores: real(s, g, scores, [0.0, 0.0]),
            )
            run_study(plan, tmp_path / str(best), compute=compute)
        rows = ResultStore(StudyFolder(tmp_path / str(best)).results).rows()
        assert {row.hyperparameters["learning_rate"] for row in rows} == {SETS[best].learning_rate}


def test_a_choice_that_is_stated_needs_no_search(tmp_path, compute):
    plan = under(chosen=SETS[0], reference="", seeds=(0,))
    table = run_study(
        dataclasses.replace(plan, encoders=PLAN.encoders[:1]), tmp_path, compute=compute
    )
    rows = ResultStore(StudyFolder(tmp_path).results).rows()
    assert len(rows) == len(table) == 1
    assert rows[0].hyperparameters["learning_rate"] == SETS[0].learning_rate


def test_the_reference_is_asked_first_and_is_part_of_what_the_others_are():
    assert plan_cells(PLAN) == [Cell(name, "bright") for name in "bac"]
    other = dataclasses.replace(PLAN.encoders[1], seed=9)
    changed = dataclasses.replace(PLAN, encoders=(PLAN.encoders[0], other, PLAN.encoders[2]))
    assert identity(changed, Cell("a", "bright")) != identity(PLAN, Cell("a", "bright"))
    paper = under(protocol="paper", reference="")
    changed = dataclasses.replace(changed, probe=paper.probe)
    assert identity(changed, Cell("a", "bright")) == identity(paper, Cell("a", "bright"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"reference": ""}, r"probe.reference is empty: name the encoder.*\(a, b, c\)"),
        ({"reference": "bb"}, "Unknown reference encoder 'bb'. Did you mean 'b'"),
        ({"protocol": "knn"}, "probe.reference is for protocol 'reference'; got 'knn'"),
    ],
)
def test_a_reference_that_is_missing_unknown_or_idle_is_refused(changes, said):
    with pytest.raises(SettingError, match=said):
        check_names(under(**changes))


def test_agreement_counts_the_rows_whose_own_choice_is_another(tmp_path, compute):
    run_study(
        dataclasses.replace(under(seeds=(0,)), encoders=PLAN.encoders[1:2]),
        tmp_path,
        compute=compute,
    )
    row = ResultStore(StudyFolder(tmp_path).results).rows()[0]
    facts = {"set": "adam 1", "own_set": "adam 2", "validation_score": 0.25}
    other = dataclasses.replace(row, hyperparameters=facts | {"own_validation_score": 0.5})
    same = dataclasses.replace(row, hyperparameters=facts | {"own_set": "adam 1"})
    said = agreement([other, same, same])
    assert said == (
        "Another set would have won in 1 of 3 rows, on validation by 0.25 in the mean of these."
    )
    assert agreement([same]) == "Another set would have won in 0 of 1 rows."


@pytest.mark.parametrize("protocol", sorted(set(PROTOCOLS) - {"reference"}))
def test_a_study_runs_under_every_protocol(protocol, tmp_path, compute):
    plan = under(protocol=protocol, reference="", seeds=(0,), learning_rates=(1.0,))
    table = run_study(
        dataclasses.replace(plan, encoders=PLAN.encoders[:1]), tmp_path, compute=compute
    )
    assert table["protocol"].tolist() == [protocol]


def test_a_protocol_that_does_not_go_with_a_task_is_refused_before_any_work(tmp_path, compute):
    dense = dataclasses.replace(
        TASK, name="where", head="unet", target="mask", metric="miou", family="semantic-pixel"
    )
    plan = dataclasses.replace(under(protocol="knn", reference="", seeds=(0,)), tasks=(TASK, dense))
    with pytest.raises(SettingError, match="task 'where': The protocol 'knn' is not for dense"):
        run_study(plan, tmp_path, compute=compute)
    assert not StudyFolder(tmp_path).results.exists()
