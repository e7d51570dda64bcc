"""Linear CKA against its definitions, in both forms and both estimators."""

from itertools import combinations

import numpy as np
import pytest
import torch
from tests.oracles import similarity as oracle

from vireo.similarity.cka import (
    ESTIMATORS,
    cka,
    cka_matrix,
    feature_moments,
    gram_moments,
    hsic,
    linear_cka,
    moments_of_features,
)
from vireo.similarity.costs import Form, cheaper, feature_flops, gram_flops

FORMS = {"gram": gram_moments, "feature": feature_moments}


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def blocks(n, widths=(1, 3, 20, 7), seed=0):
    """Features with two directions in common, far from the origin."""
    shared = normal(n, 2, seed=seed)
    return [
        shared @ normal(2, p, seed=seed + k) + normal(n, p, seed=seed + 100 + k) + 3
        for k, p in enumerate(widths)
    ]


def tensors(features):
    return [torch.from_numpy(x) for x in features]


@pytest.mark.parametrize("n", [4, 5, 8, 13])
@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("form", FORMS)
def test_both_forms_give_the_definition(n, estimator, form):
    features = blocks(n)
    found = hsic(FORMS[form](tensors(features)), estimator)
    expected = [[oracle.HSIC[estimator](x, y) for y in features] for x in features]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9, atol=1e-10)


def test_the_unbiased_formula_is_the_mean_over_four_images():
    x, y = blocks(7, (2, 5))
    found = hsic(gram_moments(tensors([x, y])), "unbiased")[0, 1]
    assert float(found) == pytest.approx(oracle.u_statistic(x, y), rel=1e-9)


def test_the_mean_over_all_batches_is_the_whole():
    """What makes minibatches work: HSIC1 of n images is the mean over all parts of m of them."""
    features = blocks(7, (2, 5))
    parts = [
        hsic(gram_moments(tensors([x[list(part)] for x in features])), "unbiased")
        for part in combinations(range(7), 5)
    ]
    whole = hsic(gram_moments(tensors(features)), "unbiased")
    torch.testing.assert_close(torch.stack(parts).mean(0), whole)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_matrix_is_that_of_every_pair(estimator):
    features = blocks(9)
    found = cka_matrix(tensors(features), estimator)
    np.testing.assert_allclose(found, oracle.cka_matrix(features, estimator), rtol=1e-8)


def test_a_worked_example():
    """Centred: x = (-1, 0, 1, 0), y = (1, 1, -1, -1), so x.y = -2 and CKA = 4 / (2 * 4) = 1/2."""
    x = torch.tensor([[0.0], [1.0], [2.0], [1.0]])
    y = torch.tensor([[3.0], [3.0], [1.0], [1.0]])
    assert linear_cka(x, y) == pytest.approx(0.5)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_rotation_scale_and_shift_do_not_matter_but_stretching_does(estimator):
    x = torch.from_numpy(blocks(30, (6,))[0])
    rotation = torch.linalg.qr(torch.from_numpy(normal(6, 6))).Q
    assert linear_cka(x, 5 * x @ rotation - 2, estimator) == pytest.approx(1)
    stretched = x * torch.tensor([100.0, 1, 1, 1, 1, 1]).double()
    assert linear_cka(x, stretched, estimator) < 0.9


def test_independent_features_are_alike_only_to_the_biased_estimator():
    """With d features and n images the biased one tends to d / (n + d): .89 at d = 8 n."""
    x, y = (torch.from_numpy(normal(64, 512, seed=seed)) for seed in range(2))
    assert linear_cka(x, y, "biased") == pytest.approx(8 / 9, abs=0.02)
    assert linear_cka(x, y, "unbiased") == pytest.approx(0, abs=0.1)


def test_features_that_never_change_have_no_similarity():
    same, other = torch.full((6, 3), 7.0), torch.randn(6, 2)
    assert np.isnan(linear_cka(same, other))
    assert np.isnan(linear_cka(same, same))


def test_mirrored_cells_differ():
    """Of two encoders, (first block of A, last of B) is not (last of A, first of B)."""
    a, b = blocks(20, (2, 9)), blocks(20, (3, 4), seed=7)
    found = cka_matrix(tensors(a + b), "biased")[:2, 2:]
    expected = [[oracle.cka(x, y, "biased") for y in b] for x in a]
    np.testing.assert_allclose(found, expected, rtol=1e-8)
    assert abs(found[0, 1] - found[1, 0]) > 0.01


def test_features_may_come_a_few_images_at_a_time():
    features = tensors(blocks(11))
    x = torch.cat([column - column.mean(0) for column in features], dim=1)
    found = moments_of_features(x.split(4), [column.shape[1] for column in features])
    whole = feature_moments(features)
    torch.testing.assert_close(found.off, whole.off)
    torch.testing.assert_close(found.diagonals, whole.diagonals)


@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_float32_keeps_what_a_large_mean_hides(scale):
    """After a ReLU a map's mean is far larger than its differences; 5 digits of CKA survive."""
    features = [scale * (x + 300) for x in blocks(40, (5000, 300))]
    exact = oracle.cka_matrix(features, "unbiased")
    found = cka(hsic(gram_moments([torch.from_numpy(x).float() for x in features]), "unbiased"))
    np.testing.assert_allclose(found.numpy(), exact, atol=1e-4)


def test_the_form_with_fewer_operations_is_chosen():
    assert cheaper(10_000, [200_704, 32_768]) is Form.gram
    assert cheaper(10_000, [16] * 18) is Form.feature
    for n, widths in ((100, [7, 9]), (9, [100, 3]), (50, [5] * 30)):
        costs = {Form.gram: gram_flops(n, widths), Form.feature: feature_flops(n, widths)}
        assert costs[cheaper(n, widths)] == min(costs.values())


def test_the_counted_operations_are_those_of_the_products():
    """n^2 / 2 multiplications a column, twice counted; and a covariance of all columns."""
    n, widths = 10, [3, 4]
    grams, pairs = sum(n * n * p for p in widths), 3 * n * n
    assert gram_flops(n, widths) == grams + pairs
    assert feature_flops(n, widths) == 2 * n * 7 * 7
