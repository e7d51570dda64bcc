"""Analysis of variance against statsmodels, R's published numbers, and null tables."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats
from statsmodels.stats.anova import anova_lm

from vireo.analysis.linear_model import anova, categorical, covariate, empty_cells, estimates

# R's `npk` (Venables & Ripley 2002, section 6.7): yield of peas, a 2^3 factorial in six blocks
NPK_YIELD = (
    *(49.5, 62.8, 46.8, 57.0, 59.8, 58.5, 55.5, 56.0, 62.8, 55.8, 69.5, 55.0),
    *(62.0, 48.8, 45.5, 44.2, 52.0, 51.5, 49.8, 48.8, 57.2, 59.0, 53.2, 56.0),
)
NPK_N = (0, 1, 0, 1, 1, 1, 0, 0, 0, 1, 1, 0, 1, 1, 0, 0, 1, 0, 1, 0, 1, 1, 0, 0)
NPK_P = (1, 1, 0, 0, 0, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1, 1, 0, 0, 1, 0, 1, 1, 0)
NPK_K = (1, 0, 0, 1, 0, 1, 1, 0, 0, 1, 0, 1, 0, 1, 1, 0, 0, 0, 1, 1, 1, 0, 1, 0)


def test_the_published_table_of_npk():
    """R 4: summary(aov(yield ~ block + N*P*K, npk)), whose N:P:K is aliased with blocks."""
    values = {"N": NPK_N, "P": NPK_P, "K": NPK_K, "block": np.repeat(np.arange(6), 4)}
    factors = {name: categorical(column) for name, column in values.items()}
    terms = ["block", "N", "P", "K", "N:P", "N:K", "P:K", "N:P:K"]
    lines = {line.term: line for line in anova(np.array(NPK_YIELD), factors, terms, 2)}
    published = {
        "N": (189.3, 12.259, 0.00437),
        "P": (8.4, 0.544, 0.47490),
        "K": (95.2, 6.166, 0.02880),
        "N:P": (21.3, 1.378, 0.26317),
        "N:K": (33.1, 2.146, 0.16865),
        "P:K": (0.5, 0.031, 0.86275),
    }
    for term, (squares, F, p) in published.items():
        line = lines[term]
        assert line.sum_of_squares == pytest.approx(squares, abs=0.05)
        assert (line.F, line.p) == (pytest.approx(F, abs=5e-4), pytest.approx(p, abs=5e-5))
        assert (line.df, line.df_residual) == (1, 12)
    assert lines["N:P:K"].df == 0
    assert np.isnan(lines["N:P:K"].p)


def unbalanced(n=90):
    rng = np.random.default_rng(3)
    table = pd.DataFrame(
        {
            "a": rng.choice(list("xyz"), n),
            "b": rng.choice(list("uv"), n, p=[0.7, 0.3]),
            "c": rng.normal(size=n),
        }
    )
    table["y"] = rng.normal(size=n) + 0.5 * (table["a"] == "x") + 0.4 * table["c"]
    return table


@pytest.mark.parametrize("kind", [2, 3])
def test_both_types_are_statsmodels_on_an_unbalanced_table(kind):
    table = unbalanced()
    factors = {"a": categorical(table["a"]), "b": categorical(table["b"])}
    factors["c"] = covariate(table["c"])
    model = smf.ols("y ~ C(a, Sum) * C(b, Sum) + I(c - c.mean())", table).fit()
    theirs = anova_lm(model, typ=kind)
    names = {"a": "C(a, Sum)", "b": "C(b, Sum)", "c": "I(c - c.mean())"}
    names["a:b"] = "C(a, Sum):C(b, Sum)"
    for line in anova(table["y"].to_numpy(), factors, list(names), kind):
        expected = theirs.loc[names[line.term]]
        assert line.df == expected["df"]
        assert line.sum_of_squares == pytest.approx(expected["sum_sq"])
        assert line.p == pytest.approx(expected["PR(>F)"])


def test_effect_sizes_by_hand():
    """Two groups of three: SS 6, residual 4, F = 6, eta2 = .6, omega2 = 5 / (5 + 6)."""
    y = np.array([1.0, 2, 3, 3, 4, 5])
    (line,) = anova(y, {"g": categorical([0, 0, 0, 1, 1, 1])}, ["g"])
    assert (line.sum_of_squares, line.F) == (pytest.approx(6.0), pytest.approx(6.0))
    assert line.eta2 == pytest.approx(0.6)
    assert line.omega2 == pytest.approx(5 / 11)


def test_many_tables_at_once_are_each_alone():
    table = unbalanced()
    rng = np.random.default_rng(0)
    y = rng.normal(size=(len(table), 4))
    factors = {name: categorical(table[name]) for name in "ab"}
    together = anova(y, factors, ["a", "b", "a:b"], 3)
    for place in range(4):
        alone = anova(y[:, place], factors, ["a", "b", "a:b"], 3)
        for many, one in zip(together, alone, strict=True):
            assert many.p[place] == pytest.approx(float(one.p))


def test_an_empty_cell_lowers_the_freedom_of_the_interaction():
    a, b = [0, 0, 0, 1, 1, 1, 2, 2] * 3, ["u", "v", "u", "u", "v", "v", "u", "u"] * 3
    assert empty_cells({"a": a, "b": b}, "a:b") == [(2, "v")]
    y = np.random.default_rng(1).normal(size=24)
    lines = anova(y, {"a": categorical(a), "b": categorical(b)}, ["a", "b", "a:b"], 2)
    assert [line.df for line in lines] == [2, 1, 1]
    assert lines[0].df_residual == 24 - 5


def test_null_tables_give_uniform_p_values_of_both_types():
    """An unbalanced design of 3 x 2 with a covariate, 600 tables of noise."""
    table = unbalanced()
    y = np.random.default_rng(11).normal(size=(len(table), 600))
    factors = {"a": categorical(table["a"]), "b": categorical(table["b"])}
    factors["c"] = covariate(table["c"])
    for kind in (2, 3):
        for line in anova(y, factors, ["a", "b", "c", "a:b"], kind):
            assert stats.kstest(line.p, "uniform").pvalue > 0.01


def test_estimates_are_statsmodels_and_know_what_they_cannot_tell():
    table = unbalanced()
    design = np.column_stack([np.ones(len(table)), table["c"], table["a"] == "x"]).astype(float)
    theirs = smf.ols("y ~ c + I(1.0 * (a == 'x'))", table).fit()
    values, errors, freedom = estimates(table["y"].to_numpy(), design, np.eye(3))
    assert values == pytest.approx(theirs.params.to_numpy())
    assert errors == pytest.approx(theirs.bse.to_numpy())
    assert freedom == theirs.df_resid
    twice = np.column_stack([design, design[:, 1]])
    values, errors, freedom = estimates(table["y"].to_numpy(), twice, np.eye(4))
    assert np.isnan(values).tolist() == [False, True, False, True]
    assert freedom == theirs.df_resid
