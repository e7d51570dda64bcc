"""How alike the layers of algorithms' encoders are: planted similarities come back."""

from itertools import combinations_with_replacement

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from scipy import stats
from tests.analysis.planted import planted

from vireo.analysis.alike import one_setting
from vireo.analysis.context import Context
from vireo.analysis.similar import PARTS, similar
from vireo.errors import SettingError
from vireo.store.similarities import COLUMNS

BLOCKS = 6
THIRD = [0, 0, 1, 1, 2, 2]


def cells(first, second, values, **facts):
    lines = [
        {
            "first": first,
            "second": second,
            "first_block": f"b{i}",
            "second_block": f"b{j}",
            "first_index": i,
            "second_index": j,
            "value": values[i, j],
        }
        for i in range(len(values))
        for j in range(len(values[0]))
    ]
    common = {
        "images": "digest",
        "estimator": "biased",
        "n": 10_000,
        "first_method": first.rpartition("-")[0],
        "second_method": second.rpartition("-")[0],
        "first_set": "imagenet",
        "second_set": "imagenet",
        "dataset": "imagenet train",
        "side": 112,
        "representation": "flattened",
        "batch_size": 0,
        "compute": "float32",
        "digest": f"{first} {second}",
        "time": "2026-01-01",
    }
    return pd.DataFrame(lines).assign(**(common | facts))[list(COLUMNS)]


def planted_similarities(levels, seed=0):
    """Encoders whose layers agree by `levels`: method to one level an encoder."""
    rng = np.random.default_rng(seed)
    names = [f"{method}-{k}" for method, given in levels.items() for k in range(len(given))]
    level = dict(zip(names, [value for given in levels.values() for value in given], strict=True))
    parts = []
    for first, second in combinations_with_replacement(names, 2):
        values = rng.uniform(0, 1, (BLOCKS, BLOCKS))
        if first == second:
            values = (values + values.T) / 2
            upper = np.triu_indices(BLOCKS, 1)
            values += level[first] - values[upper].mean()
            np.fill_diagonal(values, 1)
        parts.append(cells(first, second, values))
    return pd.concat(parts, ignore_index=True)


LEVELS = {"moco-v2": [0.6, 0.64, 0.62], "swav": [0.41, 0.45, 0.43, 0.47], "random": [0.9]}
SIMILARITIES = planted_similarities(LEVELS)


def found(similarities=SIMILARITIES, table=None):
    return similar(planted(4, 2) if table is None else table, Context(similarities=similarities))


def test_the_mean_between_layers_of_each_method_comes_back():
    lines = found().table.set_index("method")
    for method, levels in LEVELS.items():
        assert lines.loc[method, "between_layers"] == pytest.approx(np.mean(levels))
        assert lines.loc[method, "encoders"] == len(levels)


def test_thirds_of_the_depth_are_means_of_their_pairs():
    line = found().table.set_index("method").loc["random"]
    part = SIMILARITIES[SIMILARITIES["first"] == "random-0"]
    value = part[part["second"] == "random-0"]["value"].to_numpy().reshape(BLOCKS, BLOCKS)
    words = ("early", "middle", "late")
    for a, b in combinations_with_replacement(range(3), 2):
        pairs = [
            value[i, j]
            for i in range(BLOCKS)
            for j in range(i + 1, BLOCKS)
            if (THIRD[i], THIRD[j]) == (a, b)
        ]
        assert line[f"{words[a]}_{words[b]}"] == pytest.approx(np.mean(pairs))
    assert len(PARTS) == 6


def test_networks_of_other_depths_are_said():
    shallow = cells("swav-9", "swav-9", np.full((4, 4), 0.4))
    verdict = found(pd.concat([SIMILARITIES, shallow], ignore_index=True)).verdict
    assert "networks of 4 and 6 blocks, not algorithms alone" in verdict
    assert "blocks, not algorithms" not in found().verdict


def test_the_verdict_gives_the_difference_with_its_test():
    verdict = found().verdict
    test = stats.ttest_ind(LEVELS["moco-v2"], LEVELS["swav"], equal_var=False)
    interval = test.confidence_interval(0.95)
    assert "0.62 for moco-v2 and 0.44 for swav, a difference of +0.18" in verdict
    assert f"95 % interval {interval.low:.2f} to {interval.high:.2f}" in verdict
    assert "Welch's t test over encoders, p < 0.001; 3 and 4 encoders, 10000 images" in verdict


def test_two_runs_are_not_two_algorithms():
    single = planted_similarities({"moco-v2": [0.7], "swav": [0.5]})
    assert found(single).verdict.startswith("Of two runs, not of two algorithms: mean biased CKA")


def test_one_method_cannot_be_compared():
    alone = planted_similarities({"swav": [0.7, 0.6], "random": [0.5], "supervised": [0.4]})
    assert "cannot say how algorithms differ" in found(alone).verdict


def test_other_methods_are_compared_where_the_studys_are_not_there():
    others = planted_similarities({"simsiam": [0.7, 0.6], "pirl": [0.4, 0.3], "byol": [0.1]})
    assert "0.35 for pirl and 0.65 for simsiam" in found(others).verdict


def test_the_tables_methods_count_before_the_cards():
    table = planted(4, 2)
    renamed = SIMILARITIES.replace({"first": {"random-0": table["encoder"].iloc[0]}})
    renamed = renamed.replace({"second": {"random-0": table["encoder"].iloc[0]}})
    assert "supervised" in set(found(renamed, table).table["method"])


def test_figures_are_maps_and_boxes():
    figures = {figure.title: figure for figure in found().figures}
    maps = figures["Mean biased CKA between the layers of an encoder"].data
    assert set(maps["panel"]) == {
        "moco-v2 (3 encoders)",
        "swav (4 encoders)",
        "random (1 encoder)",
    }
    own = SIMILARITIES[SIMILARITIES["first"] == SIMILARITIES["second"]]
    swav = own[own["first_method"] == "swav"].groupby(["first_block", "second_block"])["value"]
    drawn = maps[maps["panel"] == "swav (4 encoders)"].set_index(["row", "column"])["value"]
    pd.testing.assert_series_equal(drawn.sort_index(), swav.mean().sort_index(), check_names=False)
    assert len(figures["Mean biased CKA between layers, by method"].data) == 8


def test_encoders_are_compared_at_the_same_place():
    figure = next(f for f in found().figures if "same place" in f.title)
    pair = SIMILARITIES[
        (SIMILARITIES["first"] == "moco-v2-0") & (SIMILARITIES["second"] == "swav-1")
    ]
    expected = pair[pair["first_index"] == pair["second_index"]]["value"].mean()
    at = figure.data.set_index(["row", "column"])["value"]
    assert at["moco-v2-0", "swav-1"] == pytest.approx(expected)
    assert at["swav-1", "moco-v2-0"] == at["moco-v2-0", "swav-1"]
    assert len(figure.data) == 64


def test_one_setting_is_taken_and_the_others_are_named():
    pooled = SIMILARITIES.assign(representation="pooled", value=0.0, digest="p")
    fewer = SIMILARITIES[SIMILARITIES["first"] == "random-0"].assign(images="other", n=50)
    chosen, notes = one_setting(pd.concat([fewer, pooled, SIMILARITIES], ignore_index=True))
    assert len(chosen) == len(SIMILARITIES)
    assert set(chosen["representation"]) == {"flattened"}
    assert len(notes) == 2
    assert "pooled" in notes[0]
    assert "1 encoder on 50 images" in notes[1]


def test_of_an_encoder_that_was_trained_anew_the_later_comparison_counts():
    later = SIMILARITIES.assign(value=0.25, time="2026-02-01", digest=lambda t: t["digest"] + "2")
    chosen, _ = one_setting(pd.concat([later, SIMILARITIES], ignore_index=True))
    assert set(chosen["value"]) == {0.25}


def test_the_order_of_lines_changes_nothing():
    shuffled = SIMILARITIES.sample(frac=1, random_state=0)
    assert_frame_equal(found(shuffled).table, found().table)
    assert found(shuffled).verdict == found().verdict


@pytest.mark.parametrize("similarities", [None, SIMILARITIES.iloc[:0]])
def test_without_similarities_it_says_how_to_get_them(similarities):
    with pytest.raises(SettingError, match="vireo similarity"):
        found(similarities) if similarities is not None else similar(planted(4, 2), Context())
