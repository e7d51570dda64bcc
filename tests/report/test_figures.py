"""Static figures: written, the same twice, and they draw the right pair."""

import pandas as pd
from PIL import Image
from tests.report.folders import ENCODERS, fill

from vireo.report import write_figures
from vireo.report.figures import least_alike, overview


def cells(**scores):
    lines = [
        {
            "encoder": f"e{number}",
            "task": task,
            "score": score,
            "low": score - 0.1,
            "high": score + 0.1,
            "skill": 0.5,
            "unit": "share",
            "metric": "top-1",
            "family": "semantic-image",
        }
        for task, values in scores.items()
        for number, score in enumerate(values)
    ]
    return pd.DataFrame(lines)


def test_both_kinds_are_written_and_equal_the_second_time(study, tmp_path):
    first = write_figures(study, tmp_path / "one")
    second = write_figures(study, tmp_path / "two")
    assert [path.name for path in first] == ["overview.png", "overview.svg"]
    with Image.open(first[0]) as picture:
        assert picture.width > 1000
    assert first[1].read_bytes() == second[1].read_bytes()
    assert b"<svg" in first[1].read_bytes()


def test_the_pair_with_the_lowest_rank_correlation_is_drawn():
    made = cells(a=[0.1, 0.2, 0.3, 0.4], b=[0.1, 0.2, 0.4, 0.3], c=[0.4, 0.3, 0.2, 0.1])
    assert least_alike(made) == ("a", "c")
    assert least_alike(cells(a=[0.1, 0.2], b=[0.2, 0.1])) == ("a", "b")
    constant = cells(a=[0.1, 0.2, 0.3], b=[0.5, 0.5, 0.5], c=[0.1, 0.3, 0.2])
    assert least_alike(constant) == ("a", "c")


def test_names_are_not_mathematics(tmp_path):
    names = ("$x_{", "b$", "c")
    root = fill(tmp_path / "s", encoders=names, baseline="c")
    assert all(path.stat().st_size > 1000 for path in write_figures(root, tmp_path / "f"))


def test_bold_is_the_best_of_its_task():
    figure = overview(cells(a=[0.1, 0.9], b=[0.8, 0.2]))
    texts = {text.get_text(): text.get_fontweight() for text in figure.axes[0].texts}
    assert texts == {"10.0": "normal", "90.0": "bold", "80.0": "bold", "20.0": "normal"}


def test_every_encoder_is_a_row(study, tmp_path):
    from vireo.analysis import read_study
    from vireo.report.content import ordered_cells

    figure = overview(ordered_cells(read_study(study).table))
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list(ENCODERS)
