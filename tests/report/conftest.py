"""What the report's tests share."""

import pytest
from tests.report.folders import fill


@pytest.fixture
def study(tmp_path):
    return fill(tmp_path / "study")


FEW = ("scores", "ranking", "correlation")


@pytest.fixture
def few(monkeypatch):
    """Three analyses instead of all, where a test is about what is done with them."""
    known = {name: f"vireo.analysis.{name}:{name}" for name in FEW}
    monkeypatch.setattr("vireo.report.questions.ANALYSES", known)
    monkeypatch.setattr("vireo.report.curves.MEASURES", {"loss": "loss", "knn": "kNN accuracy"})
