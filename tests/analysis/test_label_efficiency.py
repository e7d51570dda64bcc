"""Curves of scores against labels, on worked examples."""

import numpy as np
import pandas as pd
import pytest
from tests.analysis.planted import planted

from vireo.analysis.context import Context
from vireo.analysis.label_efficiency import label_efficiency, labels_for, mean_height
from vireo.errors import SettingError


def curves(labels=(10, 20, 80)):
    """Encoder a gains .1 each time labels double, b .2 and starts lower, c is flat."""
    start = {"swav-200": 0.50, "moco-v2-200": 0.30, "swav-800": 0.40}
    slope = {"swav-200": 0.10, "moco-v2-200": 0.20, "swav-800": 0.0}
    parts = []
    for count in labels:
        table = planted(names=tuple(start), tasks=2, seeds=2).assign(protocol="few-shot")
        rise = table["encoder"].map(slope) * np.log2(count / 10)
        score = table["encoder"].map(start) + rise + 0.01 * (table["seed"] - 0.5)
        parts.append(table.assign(score=score, train_images=count))
    return pd.concat(parts, ignore_index=True)


def test_mean_heights_and_labels_of_worked_curves():
    lines = label_efficiency(curves()).table
    one = lines[(lines["task"] == "imagenet") & (lines["encoder"] == "swav-200")]
    assert one["labels"].tolist() == [10, 20, 80]
    assert one["score"].tolist() == pytest.approx([0.5, 0.6, 0.8])
    assert one["area"].iloc[0] == pytest.approx((0.55 * 1 + 0.7 * 2) / 3)
    assert one["seeds"].tolist() == [2, 2, 2]
    # scores at 80 labels are .8, .9 and .4, so that the median encoder reaches .8
    reached = lines.groupby("encoder")["labels_like_median"].first()
    assert reached["swav-200"] == pytest.approx(80)
    assert reached["moco-v2-200"] == pytest.approx(10 * 2**2.5)
    assert np.isnan(reached["swav-800"])


def test_height_and_labels_against_dense_interpolation():
    labels, scores = np.array([4.0, 32.0, 64.0]), np.array([0.2, 0.5, 0.9])
    x = np.linspace(2, 6, 100_001)
    dense = np.interp(x, np.log2(labels), scores)
    assert mean_height(labels, scores) == pytest.approx(dense.mean(), abs=1e-4)
    first = 2 ** x[np.argmax(dense >= 0.6)]
    assert labels_for(labels, scores, 0.6) == pytest.approx(first, rel=1e-3)
    assert labels_for(labels, scores, 0.1) == 4.0
    assert np.isnan(labels_for(labels, scores, 0.95))


def test_the_order_of_encoders_at_few_and_many_labels_is_compared():
    """At 10 labels a, c, b; at 80 labels b, a, c: Spearman of (1, 3, 2) with (2, 1, 3) is -.5."""
    finding = label_efficiency(curves())
    assert "Spearman's correlation of -0.50 over 2 tasks" in finding.verdict
    assert "From 10 to 80 labels on 2 tasks" in finding.verdict


def test_labels_are_read_from_the_rows_where_the_table_has_none():
    table = curves()
    table["digest"] = [f"row{place}" for place in range(len(table))]
    known = dict(zip(table["digest"], table["train_images"], strict=True))

    class Row:
        def __init__(self, digest):
            self.hyperparameters = {"train_images": int(known[digest])}

    found = label_efficiency(table.drop(columns="train_images"), Context(row=Row))
    pd.testing.assert_frame_equal(found.table, label_efficiency(table).table)


def test_other_protocols_and_tasks_with_one_number_are_left_out_by_name():
    table = curves()
    single = table["task"] == "clevr-count"
    table = table[~single | (table["train_images"] == 10)]
    tuned = planted(names=("swav-200",), tasks=1).assign(train_images=5000)
    finding = label_efficiency(pd.concat([table, tuned], ignore_index=True))
    assert set(finding.table["task"]) == {"imagenet"}
    assert finding.notes == (
        "Read: protocol few-shot; left out: tuned.",
        "Left out, with one number of labels: clevr-count.",
    )


def test_one_number_of_labels_is_no_curve():
    with pytest.raises(SettingError, match="one number of labels"):
        label_efficiency(curves(labels=(10,)))
    with pytest.raises(SettingError, match="stands in the rows"):
        label_efficiency(planted(3, tasks=1))
