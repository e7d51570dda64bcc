"""The mixed model against statsmodels, the analysis of means, and calibration on null tables."""

import warnings

import numpy as np
import pytest
from scipy import stats
from statsmodels.regression.mixed_linear_model import MixedLM

from vireo.analysis.linear_model import categorical, estimates
from vireo.analysis.mixed_model import mixed_model

ENCODERS, TASKS = 10, 20


def design(keep=None):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(ENCODERS, 2))
    tasks = np.tile(categorical(np.arange(TASKS)), (ENCODERS, 1))
    X = np.concatenate([np.ones((len(tasks), 1)), np.repeat(x, TASKS, axis=0), tasks], axis=1)
    groups = np.repeat(np.arange(ENCODERS), TASKS)
    keep = np.ones(len(X), dtype=bool) if keep is None else keep
    return x, X[keep], groups[keep]


def response(groups, draw, between=0.7):
    rng = np.random.default_rng(draw)
    return rng.normal(size=len(groups)) + between * rng.normal(size=ENCODERS)[groups] + 3


@pytest.mark.parametrize("share", [0.0, 0.15])
def test_it_is_statsmodels_with_and_without_holes(share):
    keep = np.random.default_rng(9).uniform(size=ENCODERS * TASKS) >= share
    _, X, groups = design(keep)
    y = response(groups, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its optimiser speaks of gradients
        theirs = MixedLM(y, X, groups=groups).fit(reml=True)
    ours = mixed_model(y, X, groups, slice(1, 3))
    assert ours.coefficients == pytest.approx(theirs.fe_params, rel=1e-3, abs=1e-4)
    errors = np.sqrt(np.diag(ours.covariance))
    assert errors == pytest.approx(theirs.bse_fe, rel=1e-3)
    assert ours.between**2 == pytest.approx(float(theirs.cov_re[0, 0]), rel=1e-2)
    assert ours.within**2 == pytest.approx(theirs.scale, rel=1e-3)
    assert ours.freedom == ENCODERS - 3


def test_without_holes_it_is_the_regression_of_the_encoders_means():
    x, X, groups = design()
    y = response(groups, 2)
    means = y.reshape(ENCODERS, TASKS).mean(1)
    plain = np.column_stack([np.ones(ENCODERS), x])
    values, errors, freedom = estimates(means, plain, np.eye(3))
    fit = mixed_model(y, X, groups, slice(1, 3))
    for place in (1, 2):
        value, error = fit.contrast(np.eye(X.shape[1])[place])
        assert (value, error) == (
            pytest.approx(values[place]),
            pytest.approx(errors[place], rel=1e-3),
        )
    assert fit.freedom == freedom


def test_the_units_of_the_scores_change_nothing_but_the_units():
    _, X, groups = design()
    y = response(groups, 3)
    one, other = (mixed_model(s * y, X, groups, slice(1, 3)) for s in (1.0, 1e-3))
    assert one.wald(slice(1, 3))[1] == pytest.approx(other.wald(slice(1, 3))[1], rel=1e-4)
    assert other.between == pytest.approx(one.between * 1e-3, rel=1e-4)


def test_null_tables_with_lucky_encoders_give_uniform_p_values_where_cells_as_units_do_not():
    """200 tables in which encoders differ by luck and nothing else."""
    _, X, groups = design()
    mixed, cells = [], []
    for draw in range(200):
        y = response(groups, 100 + draw)
        mixed.append(mixed_model(y, X, groups, slice(1, 3)).wald(slice(1, 3))[1])
        values, errors, freedom = estimates(y, X, np.eye(X.shape[1])[1:2])
        cells.append(2 * stats.t.sf(abs(values[0] / errors[0]), freedom))
    assert stats.kstest(mixed, "uniform").pvalue > 0.01
    assert np.mean(np.array(cells) < 0.05) > 0.3


def test_encoders_that_do_not_differ_by_luck_have_variance_zero():
    """Half of null tables lie on the boundary, where statsmodels' errors are NaN or huge."""
    _, X, groups = design()
    fits = [
        mixed_model(response(groups, draw, between=0.0), X, groups, slice(1, 3))
        for draw in range(30)
    ]
    zero = [fit for fit in fits if fit.between == 0]
    assert len(zero) > 5
    for fit in zero:
        values = np.sqrt(np.diag(fit.covariance))
        assert np.isfinite(values).all()
        assert values[0] == pytest.approx(fit.within / np.sqrt(ENCODERS * TASKS), rel=0.7)


def test_no_freedom_left_gives_no_p_value():
    _, X, groups = design()
    few = groups < 3
    part = X[few][:, : 3 + TASKS - 1]
    fit = mixed_model(response(groups, 1)[few], part, groups[few], slice(1, 3))
    assert fit.freedom == 0
    assert np.isnan(fit.wald(slice(1, 3))[1])
