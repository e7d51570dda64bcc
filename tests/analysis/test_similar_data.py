"""Similar pre-training sets: comparisons by hand, the renaming test against all renamings."""

from itertools import permutations

import numpy as np
import pytest
from tests.analysis.planted import SIMILAR, Effects, planted, without

from vireo.analysis.context import Context, TaskFacts
from vireo.analysis.similar_data import Comparison, is_like, renaming_test, similar_data
from vireo.errors import SettingError

CONTEXT = Context(tasks={task: TaskFacts(sets) for task, sets in SIMILAR.items()})
SETS = ("imagenet", "places", "kinetics", "taskonomy")
PEERS = tuple(
    f"{method}-{name}200"
    for method in ("swav", "moco-v2")
    for name in ("", "places-", "kinetics-", "taskonomy-", "combination-")
)


def study(effects, draw=0, tasks=15):
    return planted(names=PEERS, tasks=tasks, effects=effects, draw=draw)


def test_a_comparison_by_hand():
    table = study(Effects())
    line = similar_data(table, CONTEXT).table.query("task == 'sun397' and method == 'swav'").iloc[0]
    wide = table.pivot(index="encoder", columns="task", values="score")
    score = {name: wide.loc[f"swav-{name}-200", "sun397"] for name in SETS[1:]}
    score["imagenet"] = wide.loc["swav-200", "sun397"]
    others = [score[name] for name in SETS if name != "places"]
    assert (line["similar_set"], line["others"]) == ("places", 3)
    assert line["score"] == pytest.approx(score["places"])
    assert line["best_other_score"] == pytest.approx(max(others))
    assert line["difference"] == pytest.approx(score["places"] - np.mean(others))
    assert line["first"] == (score["places"] > max(others))
    assert line["mixture_score"] == pytest.approx(wide.loc["swav-combination-200", "sun397"])


def test_beyond_is_the_interaction_of_two_factors():
    """Against a loop: score minus the set's, minus the task's mean, plus the grand mean."""
    table = study(Effects())
    wide = table.pivot(index="encoder", columns="task", values="score")
    z = wide / wide.std(ddof=1)
    rows = {name: z.loc["swav-200" if name == "imagenet" else f"swav-{name}-200"] for name in SETS}
    grand = np.mean([row.mean() for row in rows.values()])
    residual = {
        name: row["caltech-101"]
        - row.mean()
        - np.mean([other["caltech-101"] for other in rows.values()])
        + grand
        for name, row in rows.items()
    }
    found = similar_data(table, CONTEXT).table
    line = found[(found["task"] == "caltech-101") & (found["method"] == "swav")].iloc[0]
    expected = residual["imagenet"] - np.mean([residual[name] for name in SETS[1:]])
    assert line["beyond"] == pytest.approx(expected)


def test_a_planted_effect_of_similar_images_is_found():
    finding = similar_data(study(Effects(similar=0.05)), CONTEXT)
    assert "In 8 of 8 comparisons (4 tasks, 2 methods)" in finding.verdict
    assert "2.0 expected by chance, and in 8 of 8 above the one on the comb" in finding.verdict
    assert finding.verdict.endswith(
        "(names of 4 sets exchanged, one-sided p = 0.042): similar images help."
    )


def test_a_set_that_is_good_everywhere_is_not_similar():
    table = study(Effects())
    table["score"] += 0.1 * (table["pretraining_set"] == "imagenet")
    plain, lifted = (similar_data(one, CONTEXT) for one in (study(Effects()), table))
    spread = [
        one.pivot(index="encoder", columns="task", values="score").std().mean()
        for one in (study(Effects()), table)
    ]
    assert spread[1] > 2 * spread[0]
    first = lifted.table[lifted.table["similar_set"] == "imagenet"]
    assert first["first"].all()  # it wins its task, as it wins all
    assert abs(first["beyond"].mean()) < abs(plain.table["beyond"]).max()
    assert "no evidence" in lifted.verdict


def test_p_values_without_any_effect_are_uniform():
    """Four sets that differ everywhere alike, one similar to each of four of eight tasks."""
    rng, found = np.random.default_rng(6), []
    for _ in range(300):
        z = rng.normal(size=(4, 8)) + 3 * rng.normal(size=(4, 1))
        z = z - z.mean(axis=0) - z.mean(axis=1, keepdims=True) + z.mean()
        comparisons = [
            Comparison(
                {},
                name,
                tuple(other for other in SETS if other != name),
                dict(zip(SETS, map(float, z[:, task]), strict=True)),
            )
            for task, name in enumerate(SETS)
        ]
        found.append(renaming_test(comparisons)[1])
    for bound in (1 / 24, 0.25, 0.5, 0.75):
        deviation = np.sqrt(bound * (1 - bound) / len(found))
        assert np.mean(np.array(found) <= bound + 1e-9) == pytest.approx(bound, abs=3 * deviation)


def test_the_renaming_test_is_the_loop_over_all_renamings():
    rng = np.random.default_rng(4)
    names = ["a", "b", "c"]
    found = [
        Comparison(
            {},
            similar,
            tuple(n for n in names if n != similar),
            dict(zip(names, rng.normal(size=3), strict=True)),
        )
        for similar in ("a", "b", "a", "c")
    ]
    effects = []
    for new in permutations(names):
        renamed = dict(zip(names, new, strict=True))
        parts = []
        for one in found:
            own = one.residual[renamed[one.similar]]
            rest = [v for n, v in one.residual.items() if n != renamed[one.similar]]
            parts.append(own - np.mean(rest))
        effects.append(np.mean(parts))
    effect, p, smallest = renaming_test(found)
    assert effect == pytest.approx(effects[0])
    assert p == pytest.approx(np.mean([e >= effects[0] - 1e-9 for e in effects]))
    assert smallest == pytest.approx(1 / 6)


def test_a_renaming_that_leaves_no_comparison_is_not_counted():
    """Two tasks that share no set: of the 24 renamings some give neither a similar set."""
    found = [
        Comparison({}, "a", ("b",), {"a": 0.4, "b": -0.4}),
        Comparison({}, "c", ("d",), {"c": 0.1, "d": -0.1}),
    ]
    effects, same = [], []
    for new in permutations("abcd"):
        renamed = dict(zip("abcd", new, strict=True))
        parts = [
            2 * one.residual[renamed[one.similar]]
            for one in found
            if renamed[one.similar] in one.residual
        ]
        if parts:
            effects.append(np.mean(parts))
            same.append(all(renamed[one.similar] == one.similar for one in found))
    _, p, smallest = renaming_test(found)
    assert len(effects) < 24
    assert p == pytest.approx(np.mean(np.array(effects) >= effects[0] - 1e-9))
    assert smallest == pytest.approx(np.mean(same))


def test_two_sets_cannot_tell():
    table = study(Effects(similar=0.1))
    table = table[table["pretraining_set"].isin(["imagenet", "places"])]
    verdict = similar_data(table, CONTEXT).verdict
    assert verdict.endswith("so few sets cannot tell (the smallest possible p is 0.5).")


def test_one_task_cannot_tell_a_similar_set_from_a_good_one():
    table = study(Effects(), tasks=15)
    finding = similar_data(table[table["task"] == "sun397"], CONTEXT)
    assert finding.verdict.endswith("cannot tell a similar set from one that is good everywhere.")


def test_parts_stand_in_for_a_similar_set_and_count_for_no_other():
    names = ("swav-half-200", "swav-quarter-200", "swav-places-200", "swav-200")
    lines = similar_data(planted(names=names, tasks=15), CONTEXT).table.set_index("task")
    assert lines.loc["caltech-101", "similar_set"] == "imagenet"
    assert lines.loc["sun397", "others"] == 1
    parts = similar_data(planted(names=names[:3], tasks=15), CONTEXT).table.set_index("task")
    assert parts.loc["caltech-101", "similar_set"] == "imagenet-half"
    assert is_like("imagenet-half", ("imagenet",))
    assert not is_like("imagenetx", ("imagenet",))


def test_other_epochs_are_no_peers():
    with pytest.raises(SettingError, match="needs two encoders of one method"):
        similar_data(planted(names=("swav-100", "swav-places-200"), tasks=15), CONTEXT)


def test_nothing_stated_is_refused_and_a_task_without_peers_is_named():
    with pytest.raises(SettingError, match="No task here states"):
        similar_data(study(Effects()))
    holed = without(study(Effects()), *((name, "sun397") for name in PEERS if "places" in name))
    finding = similar_data(holed, CONTEXT)
    assert finding.notes[-1] == "Left out, no peers on a similar and another set: sun397."
    assert "sun397" not in set(finding.table["task"])
