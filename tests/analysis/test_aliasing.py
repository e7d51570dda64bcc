"""What a design cannot tell apart, on the study's design and on worked ones."""

import numpy as np
import pytest
from tests.analysis.planted import factorial as names_of
from tests.analysis.planted import planted

from vireo.analysis.aliasing import aliases, own_share
from vireo.analysis.factorial import base_set, factorial
from vireo.analysis.linear_model import categorical, covariate
from vireo.errors import SettingError


def test_in_the_studys_design_steps_follow_from_size_and_method():
    design = factorial(planted(names=names_of(), tasks=2))
    assert [str(alias) for alias in design.aliases] == ["steps follows from method and size"]
    assert list(design.factors) == ["balance", "method", "size"]


def test_with_two_lengths_of_training_they_do_not():
    design = factorial(planted(32, tasks=2))
    assert design.aliases == []
    assert "steps" in design.factors
    assert set(design.facts["epochs"]) == {100, 200}


def test_where_steps_are_not_stated_images_seen_take_their_place():
    """As in tables of published encoders: all for 200 epochs, images seen are the size."""
    table = planted(names=names_of(), tasks=2).drop(columns="steps")
    assert [str(alias) for alias in factorial(table).aliases] == ["seen follows from size"]


def test_own_share_is_one_minus_r_squared():
    rng = np.random.default_rng(0)
    x, y, z = (covariate(rng.normal(size=40)) for _ in range(3))
    mixed = x + y + 0.3 * z
    known = np.column_stack([np.ones(40), x, y])
    left = mixed - known @ np.linalg.lstsq(known, mixed, rcond=None)[0]
    expected = np.square(left).sum() / np.square(mixed - mixed.mean()).sum()
    assert own_share(mixed, [x, y]) == pytest.approx(expected)


def test_a_category_is_aliased_by_the_direction_that_is():
    colour = categorical(["r", "r", "g", "g", "b", "b"])
    size = covariate([0, 0, 1, 1, 1, 1])
    found = aliases({"colour": colour, "size": size, "constant": covariate(np.ones(6))})
    assert [str(alias) for alias in found] == [
        "size follows from colour",
        "constant is the same everywhere",
    ]


def test_counterparts_have_the_same_method_size_origin_and_epochs():
    """Halves of 500,000 and 500,500 images are of one size; the full set is no counterpart."""
    table = planted(32, tasks=1)
    linear = table["balance"] == "linear"
    table.loc[linear, "images"] = 500_500
    names = set(factorial(table).facts.index)
    assert names == {
        f"{method}-{subset}"
        for method in ("swav", "moco-v2")
        for subset in ("half-200", "half-100", "linear-200", "linear-100", "quarter-200", "log-200")
    }
    assert factorial(table).facts.loc["swav-linear-200", "size"] == pytest.approx(
        factorial(table).facts.loc["swav-half-200", "size"]
    )


def test_a_subset_of_another_set_is_no_counterpart():
    table = planted(names=("swav-log-200", "swav-quarter-200"), tasks=1)
    table.loc[table["balance"] == "balanced", "pretraining_set"] = "places-quarter"
    with pytest.raises(SettingError, match="balanced subset of the same size"):
        factorial(table)
    assert base_set("tiny-imagenet-100-half-linear") == "tiny-imagenet"
