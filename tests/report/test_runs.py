"""Learning curves, bills and maps of similarity, as the page gets them."""

import json

import numpy as np
import pandas as pd
import pytest
from tests.report.folders import fill
from tests.report.planted_folder import add_runs

from vireo.files import read_json
from vireo.report import alike
from vireo.report.alike import embedded_similarities, similarity_figures
from vireo.report.costs import cost_tables
from vireo.report.curves import MOST_POINTS, curve_figures, embedded_curves, read_runs


@pytest.fixture
def root(tmp_path):
    root = fill(tmp_path / "s", encoders=("moco-a", "swav-b"), tasks=("digits",), baseline="")
    add_runs(root, ["moco-a", "swav-b"], epochs=50)
    return root


def test_runs_of_the_plan_are_read_in_its_order(root):
    runs = read_runs(root, read_json(root / "plan.json"))
    assert [(run.encoder, run.method) for run in runs] == [("moco-a", "moco"), ("swav-b", "swav")]
    assert len(runs[0].lines) == 500


def test_a_run_with_other_settings_or_no_log_is_left_out(root):
    plan = read_json(root / "plan.json")
    plan["pretrain"]["moco-a"]["epochs"] = 999
    (root / "runs" / "swav-b-00000001" / "metrics.jsonl").unlink()
    assert read_runs(root, plan) == []
    assert read_runs(root, {}) == []


def test_an_encoder_opened_from_a_run_has_its_curve(root):
    folder = root / "runs" / "moco-a-00000000"
    plan = {"encoders": [{"spec": f"run:{folder}", "name": "mine"}, {"spec": "random:resnet20"}]}
    assert [run.encoder for run in read_runs(root, plan)] == ["mine"]


def test_half_a_line_ends_a_log(root):
    log = root / "runs" / "moco-a-00000000" / "metrics.jsonl"
    log.write_text(log.read_text()[:-20])
    assert len(read_runs(root, read_json(root / "plan.json"))[0].lines) == 499


def test_long_curves_are_thinned_to_means_of_neighbours(root):
    runs = read_runs(root, read_json(root / "plan.json"))
    curve = embedded_curves(runs)[0]
    assert len(curve["epoch"]) == MOST_POINTS
    whole = runs[0].lines["loss"].to_numpy()
    expected = [part.mean() for part in np.array_split(whole, MOST_POINTS)]
    assert np.allclose(curve["measures"]["loss"], expected, rtol=1e-3)
    known = [value for value in curve["measures"]["knn"] if value is not None]
    assert len(known) == 25  # measured at every 20th line, gaps stay gaps
    json.dumps(curve, allow_nan=False)


def test_curves_for_a_paper_have_a_line_a_run(root):
    figures = curve_figures(read_runs(root, read_json(root / "plan.json")))
    assert {"loss", "knn", "learning_rate"} <= set(figures)
    assert list(figures["loss"].data["group"].unique()) == ["moco-a", "swav-b"]
    assert figures["knn"].data["y"].notna().all()


def test_bills_are_in_units_that_are_named(root):
    from vireo.analysis import read_study

    tables = cost_tables(read_study(root).table, read_runs(root, read_json(root / "plan.json")))
    bill = tables["Pre-training runs"].set_index("encoder").loc["swav-b"]
    assert (bill["hours"], bill["CPU hours"], bill["PFLOP"]) == (2.0, 2.0, 1.0)
    assert np.isnan(bill["energy, kWh"])
    encoders = tables["Encoders: size, one pass, and all their probes"].set_index("encoder")
    assert encoders.loc["moco-a", "probing, s"] == pytest.approx(2 * 3.25)
    assert encoders.loc["moco-a", "parameters, M"] == pytest.approx(0.272474)
    cells = tables["Seconds a cell, all seeds"].set_index("encoder")
    assert cells.loc["swav-b", "digits"] == pytest.approx(2 * 3.25)


def similarities():
    lines = []
    for first, second in (("a", "a"), ("a", "b")):
        for i, row in enumerate(("stem", "layer10", "layer2")):
            for j, column in enumerate(("stem", "layer10", "layer2")):
                value = {"first": first, "second": second, "first_block": row}
                value |= {"second_block": column, "first_index": i, "second_index": j}
                value |= {"estimator": "biased", "n": 100, "value": (3 * i + j) / 10}
                lines.append(value)
    return pd.DataFrame(lines).sample(frac=1, random_state=0)


def test_a_map_has_the_blocks_in_the_order_of_depth_and_is_never_mirrored():
    found = embedded_similarities(similarities())
    (pair,) = [one for one in found["maps"] if one["second"] == "b"]
    assert pair["rows"] == pair["columns"] == ["stem", "layer10", "layer2"]
    assert pair["values"] == [[0, 100, 200], [300, 400, 500], [600, 700, 800]]
    figure = similarity_figures(similarities())["biased, 100 images-a-b"]
    at = figure.data.set_index(["row", "column"])["value"]
    assert at["layer10", "layer2"] == 0.5
    assert at["layer2", "layer10"] == 0.7


def test_maps_of_other_settings_are_apart():
    both = pd.concat([similarities(), similarities().assign(n=50, value=0.5)])
    found = embedded_similarities(both)
    assert sorted(found["settings"]) == ["biased, 100 images", "biased, 50 images"]
    assert len(found["maps"]) == 4


def test_too_many_values_leave_maps_of_two_encoders_out(monkeypatch):
    monkeypatch.setattr(alike, "MOST_VALUES", 10)
    found = embedded_similarities(similarities())
    assert [(one["first"], one["second"]) for one in found["maps"]] == [("a", "a")]
    assert found["left_out"] == 1
    assert embedded_similarities(None) is None
