"""One algorithm against another, paired by pre-training set, against scipy and by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tests.analysis.planted import Effects, planted, without

from vireo.analysis.algorithms import algorithms
from vireo.errors import SettingError

SETS = ("", "places-", "kinetics-", "taskonomy-", "combination-")
PAIRED = tuple(f"{method}-{name}200" for name in SETS for method in ("swav", "moco-v2"))
PARTS = ("swav-half-200", "moco-v2-half-200", "swav-log-200", "moco-v2-log-200")


def test_numbers_are_the_paired_test_of_the_published_design():
    table = planted(names=(*PAIRED, *PARTS, "swav-100", "moco-v2-100"), tasks=4)
    finding = algorithms(table)
    wide = table.pivot(index="encoder", columns="task", values="score")
    moco, swav = (
        wide.loc[[f"{method}-{name}200" for name in SETS]].to_numpy()
        for method in ("moco-v2", "swav")
    )
    order = list(wide.columns)
    for line in finding.table.itertuples():
        one, other = moco[:, order.index(line.task)], swav[:, order.index(line.task)]
        test = stats.ttest_rel(one, other)
        interval = test.confidence_interval()
        assert (line.first, line.second, line.sets) == ("moco-v2", "swav", 5)
        assert line.difference == pytest.approx(one.mean() - other.mean())
        assert line.percent == pytest.approx(100 * line.difference / abs(other.mean()))
        assert line.p == pytest.approx(test.pvalue)
        assert (line.low, line.high) == pytest.approx((interval.low, interval.high))
        assert line.scaled == pytest.approx(line.difference / wide[line.task].std())
    assert "imagenet-half and imagenet-quarter-log" in finding.notes[0]
    assert finding.verdict.startswith("Paired on 5 pre-training sets (200 epochs), moco-v2")


def test_a_planted_lead_on_pixels_is_found_and_its_absence():
    effects = Effects(pixel=0.05, encoder=0.01)
    found = algorithms(planted(names=PAIRED, tasks=12, effects=effects))
    assert found.verdict.endswith(": moco-v2 is relatively better at pixels.")
    reverse = algorithms(planted(names=PAIRED, tasks=12, effects=Effects(pixel=-0.05)))
    assert reverse.verdict.endswith(": swav is relatively better at pixels.")
    nothing = algorithms(planted(names=PAIRED, tasks=12, effects=Effects()))
    assert nothing.verdict.endswith("no evidence that it depends on the kind of output.")


def test_holm_corrects_over_the_tasks_of_a_pair():
    lines = algorithms(planted(names=PAIRED, tasks=6, effects=Effects(method=0.06))).table
    ordered = lines.sort_values("p")
    expected = np.minimum(1, np.maximum.accumulate(ordered["p"] * np.arange(6, 0, -1)))
    assert ordered["p_holm"].to_numpy() == pytest.approx(expected.to_numpy())
    assert (ordered["p_holm"] < 0.05).any()


def test_one_set_in_common_is_one_run_each_and_it_is_said():
    finding = algorithms(planted(names=("swav-200", "moco-v2-200", "moco-v1-200"), tasks=5))
    assert "which may be the luck of one run each" in finding.verdict
    assert finding.table["p"].isna().all()
    assert finding.table["low"].isna().all()
    pairs = finding.table[["first", "second"]].drop_duplicates().to_numpy().tolist()
    assert pairs == [["moco-v1", "moco-v2"], ["moco-v1", "swav"], ["moco-v2", "swav"]]


def test_seeds_of_one_recipe_are_averaged():
    names = ("swav-200", "swav-200-seed1", "swav-200-seed2", "moco-v2-200")
    table = planted(names=names, tasks=2)
    wide = table.pivot(index="encoder", columns="task", values="score")
    line = algorithms(table).table.set_index("task").loc["imagenet"]
    assert line["second_score"] == pytest.approx(wide.loc[list(names[:3]), "imagenet"].mean())
    assert line["sets"] == 1


def test_a_missing_cell_costs_its_task_one_set():
    table = without(planted(names=PAIRED, tasks=3), ("swav-places-200", "cityscapes"))
    sets = algorithms(table).table.set_index("task")["sets"]
    assert (sets["cityscapes"], sets["imagenet"]) == (4, 5)


def test_a_part_counts_where_the_whole_is_not_there():
    finding = algorithms(planted(names=PARTS, tasks=2))
    assert set(finding.table["sets"]) == {2}
    assert finding.notes == ()


def test_epochs_are_chosen_by_whole_sets_not_by_parts():
    """One set and three parts of it at 800 epochs are one set, two at 200 epochs are two."""
    table = planted(names=PAIRED, tasks=3)
    parts = []
    for part in ("", "-half", "-quarter", "-log"):
        more = table[table["encoder"].isin(["swav-200", "moco-v2-200"])].copy()
        names = {"epochs": 800.0, "pretraining_set": f"imagenet{part}"}
        parts.append(more.assign(encoder=more["encoder"] + f"-800{part}", **names))
    two = table[table["pretraining_set"].isin(["imagenet", "places"])]
    found = algorithms(pd.concat([two, *parts]))
    assert found.verdict.startswith("Paired on 2 pre-training sets (200 epochs)")


def test_one_image_more_on_every_set_is_no_test():
    """Equal differences but for rounding have a t of 1e15; that is not evidence."""
    table = planted(names=PAIRED[:4], tasks=2)
    shares = dict(zip(PAIRED[:4], (14 / 72, 15 / 72, 30 / 72, 31 / 72), strict=True))
    found = algorithms(table.assign(score=table["encoder"].map(shares)))
    assert found.table["p"].isna().all()
    assert found.table["low"].isna().all()
    assert "(untested)" in found.verdict


def test_methods_without_a_task_in_common_are_no_pair():
    names = ("swav-200", "moco-v2-200", "moco-v1-200")
    table = planted(names=names, tasks=2)
    mine = (table["method"] == "moco-v1") == (table["task"] == "imagenet")
    found = algorithms(table[mine]).table
    assert set(zip(found["first"], found["second"], strict=True)) == {("moco-v2", "swav")}
    with pytest.raises(SettingError, match="on tasks that both have; got no such pair"):
        algorithms(table[mine & (table["method"] != "swav")])


def test_methods_that_share_no_set_are_refused_with_their_names():
    with pytest.raises(SettingError, match=r"got no such pair \(moco-v2 and swav\)"):
        algorithms(planted(names=("swav-200", "moco-v2-100"), tasks=2))


def test_bars_and_intervals_show_the_first_pair():
    finding = algorithms(planted(names=(*PAIRED, "moco-v1-200"), tasks=4))
    main = finding.table[finding.table["sets"] == 5]
    bars, intervals = finding.figures
    assert sorted(bars.data["value"]) == pytest.approx(sorted(main["percent"]))
    assert sorted(intervals.data["low"]) == pytest.approx(sorted(main["low"]))
    assert bars.title == "moco-v2 minus swav, in percent"
