"""The sixth question on tables whose answer was planted."""

import re
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from tests.analysis.planted import Effects, planted, without
from tests.analysis.planted import factorial as names_of

from vireo.analysis.balance import balance
from vireo.analysis.balance_models import BY_CELL, BY_ENCODER, cells_of, mixed_fit
from vireo.analysis.factorial import factorial
from vireo.analysis.linear_model import anova
from vireo.analysis.multiplicity import holm
from vireo.errors import SettingError


def effects_of(finding, model):
    data = finding.figures[0].data
    return data[data["group"] == model].set_index("label")


def line(finding, term, model, kind="", scores="centred"):
    t = finding.table
    chosen = t[(t["term"] == term) & (t["model"] == model) & (t["type"] == kind)]
    return chosen[chosen["scores"] == scores].iloc[0]


def test_planted_effects_are_recovered_within_their_intervals():
    planted_effects = Effects(log=0.03, linear=-0.02, method=0.04, size=0.02, cell=0.004)
    table = planted(names=names_of(True), effects=planted_effects, draw=4)
    table = table[table["unit"] == "share"]
    finding = balance(table)
    for model in (BY_CELL, BY_ENCODER):
        found = effects_of(finding, model)
        expected = {
            "log - balanced": 0.03,
            "linear - balanced": -0.02,
            "moco-v2 - swav": 0.04,
            "twice the images": 0.02,
        }
        for label, value in expected.items():
            assert found.loc[label, "low"] < value < found.loc[label, "high"]
            assert found.loc[label, "p"] < 0.01
    assert line(finding, "balance", "main effects", "II")["p"] < 1e-6
    assert "log - balanced above 0" in finding.verdict
    assert "linear - balanced below 0" in finding.verdict
    assert "10 encoders x 18 tasks" in finding.verdict
    assert any("steps follows from method and size" in note for note in finding.notes)


def test_lucky_encoders_fool_the_cells_and_not_the_encoders():
    """Without effects but with luck, cells find one in most tables, encoders in 5 % of them."""
    cells = cells_of(*_table_and_design(planted(names=names_of(), tasks=12)))
    rng = np.random.default_rng(8)
    _, groups = np.unique(cells.lines["encoder"], return_inverse=True)
    y = 0.01 * rng.normal(size=(len(groups), 150)) + 0.02 * rng.normal(size=(8, 150))[groups]
    wrong = anova(y, cells.factors, list(cells.factors))[1]
    assert wrong.term == "balance"
    assert np.mean(wrong.p < 0.05) > 0.5
    right = []
    for column in y.T:
        lines = cells.lines.assign(centred=column)
        fit = mixed_fit(replace(cells, lines=lines), "centred")
        right.append(fit.wald(slice(1, 3))[1])
    assert stats.kstest(right, "uniform").pvalue > 0.01


def _table_and_design(table):
    return table, factorial(table)


def test_without_holes_centring_costs_what_the_factor_task_takes():
    """8 encoders x 12 tasks: 96 - 1 - 11 (tasks) - 2 (balance) - 1 (method) - 1 (size) = 80."""
    finding = balance(planted(names=names_of(), tasks=12))
    assert line(finding, "method", "main effects", "II")["df_residual"] == 80
    assert line(finding, "balance", "mixed")["df_residual"] == 8 - 5
    assert set(finding.table["type"]) == {"II", "III", ""}
    assert "task" not in set(finding.table["term"])


def test_an_empty_cell_of_an_interaction_stops_type_three_and_is_said():
    table = planted(names=names_of(), tasks=12)
    holed = without(table, ("swav-log-200", "imagenet"), ("moco-v2-log-200", "imagenet"))
    finding = balance(holed)
    assert set(finding.table["type"]) == {"II", ""}
    assert "No sums of squares of type III: task:balance has empty cells." in finding.notes
    assert "moco-v2-log-200 x imagenet and swav-log-200 x imagenet" in finding.notes[0]


def test_one_method_and_one_pair_leave_no_encoder_to_judge_by():
    finding = balance(planted(names=("swav-log-200", "swav-quarter-200"), tasks=6))
    assert finding.verdict.startswith("Cannot tell")
    assert "No mixed model" in " ".join(finding.notes)
    assert "mixed" not in set(finding.table["model"])


def test_cells_that_hold_balance_and_tasks_together_are_no_crash():
    """Balanced encoders on two tasks, unbalanced ones on two others: nothing tells them apart."""
    table = planted(names=names_of(), tasks=4)
    first = table["task"].isin(["imagenet", "clevr-count"])
    finding = balance(table[first == (table["balance"] == "balanced")])
    assert finding.verdict.startswith("Cannot tell")
    assert "log - balanced cannot be told from the tasks that these" in finding.verdict
    assert "No mixed model" in " ".join(finding.notes)


def test_scores_that_factors_explain_leave_no_luck_to_judge_by():
    table = planted(names=names_of(), tasks=4).assign(score=0.5)
    finding = balance(table)
    assert finding.verdict.startswith("Cannot tell")
    assert "nan" not in finding.verdict


def test_the_corrected_p_value_stands_beside_the_plain_one():
    finding = balance(planted(names=names_of(), tasks=12))
    effects = effects_of(finding, BY_ENCODER)
    plain = effects.loc[["linear - balanced", "log - balanced"], "p"]
    said = re.findall(r"p [=<] [\d.]+, ([\d.e-]+) after Holm", finding.verdict)
    assert sorted(map(float, said)) == pytest.approx(sorted(holm(plain)), rel=0.06)


def test_without_an_unbalanced_set_it_says_what_to_add():
    with pytest.raises(SettingError, match="got sets that are: balanced"):
        balance(planted(names=("swav-half-200", "swav-quarter-200"), tasks=2))
