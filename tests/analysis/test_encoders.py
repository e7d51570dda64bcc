"""Who is compared with whom, on studies made of known encoders."""

import pytest
from tests.analysis.planted import planted

from vireo.analysis.encoders import facts_of, matched, self_supervised, whole_sets
from vireo.analysis.table import with_facts
from vireo.errors import SettingError

FIVE = ("supervised-resnet50", "random-resnet50", "swav-200", "moco-v2-200", "exemplar-v2")


@pytest.fixture
def table():
    return planted(names=FIVE, tasks=2)


def changed(table, encoder, **facts):
    """`table` with other facts of one encoder."""
    table = table.copy()
    for column, value in facts.items():
        table.loc[table["encoder"] == encoder, column] = value
    return table


def test_labels_and_random_weights_are_not_self_supervision(table):
    assert self_supervised(facts_of(table)) == ["moco-v2-200", "swav-200"]
    match = matched(table)
    assert (match.supervised, match.own) == ("supervised-resnet50", ["moco-v2-200", "swav-200"])
    (note,) = match.notes
    assert "exemplar-v2 (taught with labels)" in note
    assert "random-resnet50 (taught by nothing (random weights))" in note


def test_seeds_share_a_recipe_and_everything_else_tells_apart():
    facts = facts_of(planted(40, 1))
    seeds = [name for name in facts.index if name.startswith("swav-200")]
    assert len(seeds) == 3
    assert facts.loc[seeds, "recipe"].nunique() == 1
    assert facts.loc[["swav-log-200", "swav-log-200-draw2"], "recipe"].nunique() == 1
    assert facts["recipe"].nunique() == len(facts) - 4
    other = facts_of(changed(planted(40, 1), seeds[0], recipe="0123456789abcdef"))
    assert other.loc[seeds, "recipe"].nunique() == 2


def two_supervised(table):
    other = changed(table, "exemplar-v2", method="supervised", architecture="mobilenet_v2")
    return changed(other, "exemplar-v2", pretraining_set="cifar10")


def test_the_supervised_one_of_the_same_network_is_the_rival(table):
    assert matched(two_supervised(table)).supervised == "supervised-resnet50"
    odd = changed(two_supervised(table), "supervised-resnet50", architecture="vgg16")
    odd = changed(odd, "moco-v2-200", architecture="mobilenet_v2")
    match = matched(odd)
    assert (match.supervised, match.own, match.alike) == ("exemplar-v2", ["moco-v2-200"], True)
    assert "Left out, not mobilenet_v2 like exemplar-v2: swav-200." in match.notes


def test_a_supervised_baseline_is_the_rival_whatever_its_network(table):
    match = matched(with_facts(two_supervised(table), baseline="exemplar-v2"))
    assert match.supervised == "exemplar-v2"
    assert not match.alike
    assert match.own == ["moco-v2-200", "swav-200"]


def test_without_either_side_the_question_is_refused_with_a_reason(table):
    with pytest.raises(SettingError, match=r"got none\. Add one to the study"):
        matched(table[table["encoder"] != "supervised-resnet50"])
    with pytest.raises(SettingError, match=r"got none \(methods: random, supervised\)"):
        matched(table[table["encoder"].isin(FIVE[:2])])


def test_a_part_is_a_part_only_of_a_set_that_is_there():
    assert whole_sets(["imagenet-half", "imagenet-half-linear"]) == ["imagenet-half"]
    assert whole_sets(["places", "imagenetx", "imagenet"]) == ["places", "imagenetx", "imagenet"]
