"""The study's own numbers, read off its figure 4: the signs of its correlations come out.

Set VIREO_PUBLISHED to the folder of `figure4.csv`, or put it as `published` beside VIREO_DATA.
"""

import os
from pathlib import Path

import pandas as pd
import pytest

from vireo.analysis.proxy import proxy
from vireo.analysis.table import with_facts
from vireo.tasks import find_task

NEGATIVE = "thor-egomotion"
"""The study's text calls one task inversely correlated with ImageNet; the others here rise."""
STRONG = 0.3


@pytest.fixture(scope="module")
def points():
    beside = Path(os.environ.get("VIREO_DATA", "/nowhere")).parent / "published"
    path = Path(os.environ.get("VIREO_PUBLISHED", beside)) / "figure4.csv"
    if not path.is_file():
        pytest.skip("set VIREO_PUBLISHED to the folder of figure4.csv")
    return pd.read_csv(path)


def as_table(points: pd.DataFrame) -> pd.DataFrame:
    """The tidy table of these points: an encoder is known by its accuracy on ImageNet."""
    accuracy = sorted(set(points["imagenet_top1"]))
    imagenet = pd.DataFrame({"imagenet_top1": accuracy, "task": "imagenet", "score": accuracy})
    table = pd.concat([points, imagenet], ignore_index=True)
    facts = {name: find_task(name) for name in set(table["task"])}
    return with_facts(
        table.assign(
            encoder=[f"e{value:.3f}" for value in table["imagenet_top1"]],
            method="swav",
            pretraining_set=[f"set {value:.3f}" for value in table["imagenet_top1"]],
            images=1_281_167,
            epochs=200.0,
            balance="balanced",
            recipe="",
            architecture="resnet50",
            family=[facts[name].family for name in table["task"]],
            metric=[facts[name].metric for name in table["task"]],
            unit=[facts[name].unit for name in table["task"]],
            protocol="paper",
            scoring="released",
            seed=0,
            raw=table["score"].abs(),
            low=table["score"],
            high=table["score"],
            n=1000,
            floor=0.0,
        )
    )


@pytest.mark.data
def test_the_signs_of_figure_four_come_out(points):
    finding = proxy(as_table(points[points["ambiguous"] == 0]))
    lines = finding.table.set_index("task")
    strong = lines[lines["pearson"].abs() > STRONG]
    assert len(strong) >= 9
    for task, line in strong.iterrows():
        assert (line["pearson"] < 0) == (task == NEGATIVE), task
    semantic = lines[lines["family"] == "semantic-image"]
    assert (semantic["pearson"] > 0.6).all()


@pytest.mark.data
def test_imagenet_is_a_weaker_proxy_for_other_families(points):
    finding = proxy(as_table(points[points["ambiguous"] == 0]))
    assert "it is a weaker proxy outside its own family" in finding.verdict
    assert "24 self-supervised encoders" in finding.caption
    assert "Not there, and so left out: " in finding.notes[0]
