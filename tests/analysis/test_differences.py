"""The paired comparison of encoders from stored outcomes, and its sums against the metrics' own."""

import numpy as np
import pytest
import torch
from scipy import stats
from tests.analysis.planted import Effects, planted, planted_outcomes
from tests.store.rows import make_row

from vireo.analysis import analyse, read_study
from vireo.analysis.context import Context
from vireo.analysis.differences import differences
from vireo.analysis.example_sums import by_replicate, scorer
from vireo.catalog import resolve
from vireo.errors import SettingError, StoreError
from vireo.records import RowKey
from vireo.store import ResultStore
from vireo.tasks import METRICS

NAMES = ("random-resnet50", "swav-200", "moco-v2-200", "swav-800")


def example(metric, n=12):
    """Answer, truth and validity that the metric of this name takes."""
    g = torch.Generator().manual_seed(3)
    if not metric.dense:
        if metric.classes:
            return torch.randint(4, (n,), generator=g), torch.randint(4, (n,), generator=g), None
        return torch.rand(n, 2, generator=g), torch.rand(n, 2, generator=g), None
    if metric.classes:
        size = (n, 5, 6)
        top = metric.outputs
        valid = torch.rand(size, generator=g) > 0.2
        return torch.randint(top, size, generator=g), torch.randint(top, size, generator=g), valid
    size = (n, metric.outputs, 5, 6)
    valid = torch.rand((n, 1, 5, 6), generator=g) > 0.2
    scale = 20 if metric.outputs == 2 else 1
    answer, truth = (scale * torch.rand(size, generator=g) for _ in range(2))
    return answer, truth, valid


@pytest.mark.parametrize("name", sorted(METRICS))
def test_sums_give_the_metrics_own_value_of_every_subset(name):
    kind = resolve(METRICS, name, "metric")
    metric = kind(kind.channels or 4)
    answer, truth, valid = example(metric)
    outcomes = {k: v.numpy() for k, v in metric.outcomes(answer, truth, valid).items()}
    ours, rng = scorer(name), np.random.default_rng(0)
    sign = 1 if metric.higher_is_better else -1
    for chosen in [np.arange(12), rng.integers(12, size=12), rng.integers(12, size=3)]:
        part = {k: v[chosen] for k, v in outcomes.items()}
        theirs = sign * float(metric.value(metric.statistics(part).sum(0)))
        assert float(ours.value(ours.statistics(part).sum(0))) == pytest.approx(theirs)


def test_draws_are_told_apart_and_examples_put_in_order():
    outcomes = {
        "index": np.array([5, 3, 3, 5]),
        "draw": np.array([0, 0, 1, 1]),
        "correct": np.array([True, False, True, False]),
    }
    terms = by_replicate(outcomes, scorer("top-1"))
    assert terms[..., 0].tolist() == [[0.0, 1.0], [1.0, 0.0]]


def test_released_scoring_is_refused_with_the_reason():
    with pytest.raises(SettingError, match="counts whole batches"):
        scorer("top-1", "released")


def table_of(seeds=1, **effects):
    return planted(names=NAMES, tasks=8, seeds=seeds, effects=Effects(cell=0, seed=0, **effects))


def test_every_pair_of_every_task_is_there_and_the_random_encoder_loses():
    table = table_of(random=-0.35)
    finding = differences(table, Context(outcomes=planted_outcomes(table)))
    lines = finding.table
    assert len(lines) == 8 * 6
    # depths in metres differ by half as much, and by less than their images do
    shares = lines[~lines["task"].isin(["nyu-depth"])]
    first, second = (shares[side] == "random-resnet50" for side in ("first", "second"))
    assert (shares.loc[first | second, "p_holm"] < 0.05).all()
    assert (shares.loc[first, "difference"] < 0).all()
    assert (shares.loc[second, "difference"] > 0).all()
    assert set(lines.loc[lines["task"] == "imagenet", "test"]) == {"McNemar"}
    assert set(lines.loc[lines["task"] == "cityscapes", "test"]) == {"exchange"}
    assert "after Holm's correction" in finding.verdict
    heat = finding.figures[0].data.set_index(["row", "column"])["value"]
    assert heat["swav-200", "random-resnet50"] == -heat["random-resnet50", "swav-200"] > 5


def test_equal_encoders_are_not_told_apart():
    table = table_of(seeds=2)
    lines = differences(table, Context(outcomes=planted_outcomes(table)))
    assert (lines.table["p_holm"] > 0.05).all()
    assert set(lines.table["test"]) == {"exchange"}
    assert "no evidence that one is better" in lines.verdict


def test_an_encoder_with_other_test_examples_is_left_out_by_name():
    table = table_of()
    outcomes = planted_outcomes(table)

    def shifted(digest):
        found = outcomes(digest)
        other = digest.startswith("swav-800-imagenet")
        return found | {"index": found["index"] + 1} if other else found

    finding = differences(table, Context(outcomes=shifted))
    assert "Left out swav-800 on imagenet: other test examples." in finding.notes
    imagenet = finding.table[finding.table["task"] == "imagenet"]
    assert "swav-800" not in {*imagenet["first"], *imagenet["second"]}


def test_a_task_without_outcomes_is_left_out_by_name():
    table = table_of()
    outcomes = planted_outcomes(table)

    def broken(digest):
        if "cityscapes" in digest:
            raise StoreError("gone.outcomes.npz does not exist")
        return outcomes(digest)

    finding = differences(table, Context(outcomes=broken))
    assert "cityscapes" not in set(finding.table["task"])
    assert "Left out cityscapes: gone.outcomes.npz does not exist" in finding.notes


def test_outcomes_without_what_a_metric_needs_leave_out_their_task():
    table = table_of()
    outcomes = planted_outcomes(table)

    def bare(digest):
        found = outcomes(digest)
        return {"index": found["index"]} if "imagenet" in digest else found

    finding = differences(table, Context(outcomes=bare))
    assert "imagenet" not in set(finding.table["task"])
    assert any("imagenet" in note and "correct" in note for note in finding.notes)


def test_outcomes_and_labels_are_read_from_a_folder(tmp_path):
    """Two encoders on 40 images, of which the first alone has 12 right and the second alone 2."""
    right = np.zeros((2, 40), dtype=bool)
    right[:, :20], right[0, 20:32], right[1, 32:34] = True, True, True
    results = ResultStore(tmp_path / "results")
    for labels in (10, 50):
        for place, name in enumerate(("good", "poor")):
            key = RowKey(encoder=name, task="t", protocol=f"{labels}", scoring="standard", seed=0)
            row = make_row(
                key=key,
                encoder=name,
                protocol="few-shot",
                score=right[place].mean() + labels / 1000,
                hyperparameters={"train_images": labels},
            )
            results.write(row, {"index": np.arange(40), "correct": right[place]})
    study = read_study(tmp_path)
    curves = analyse("label-efficiency", study.table, study.context).table
    assert curves["labels"].tolist() == [10, 50, 10, 50]
    few = study.table[study.table["protocol_digest"] == "10"]
    (line,) = analyse("differences", few, study.context).table.itertuples()
    assert (line.first, line.second, line.n) == ("good", "poor", 40)
    assert line.difference == pytest.approx(10 / 40)
    assert line.p == pytest.approx(stats.binomtest(2, 14).pvalue)


def test_a_table_alone_has_no_outcomes():
    with pytest.raises(SettingError, match="what happened to each test example"):
        differences(table_of())
