"""The overview: every score, the right pair, and names that are names."""

import pandas as pd
from tests.report.folders import ENCODERS

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


def test_the_pair_with_the_lowest_rank_correlation_is_drawn():
    made = cells(a=[0.1, 0.2, 0.3, 0.4], b=[0.1, 0.2, 0.4, 0.3], c=[0.4, 0.3, 0.2, 0.1])
    assert least_alike(made) == ("a", "c")
    assert least_alike(cells(a=[0.1, 0.2], b=[0.2, 0.1])) == ("a", "b")
    constant = cells(a=[0.1, 0.2, 0.3], b=[0.5, 0.5, 0.5], c=[0.1, 0.3, 0.2])
    assert least_alike(constant) == ("a", "c")


def test_names_are_not_mathematics():
    made = cells(a=[0.1, 0.2, 0.3], b=[0.3, 0.2, 0.1]).replace({"e0": "$x_{", "e1": "b$"})
    overview(made).draw_without_rendering()


def test_bold_is_the_best_of_its_task():
    figure = overview(cells(a=[0.1, 0.9], b=[0.8, 0.2]))
    texts = {text.get_text(): text.get_fontweight() for text in figure.axes[0].texts}
    assert texts == {"10.0": "normal", "90.0": "bold", "80.0": "bold", "20.0": "normal"}


def test_every_encoder_is_a_row(study):
    from vireo.analysis import read_study
    from vireo.report.score_table import ordered_cells

    figure = overview(ordered_cells(read_study(study).table))
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list(ENCODERS)
