"""What the report's tests share."""

import pytest
from tests.report.folders import fill


@pytest.fixture
def study(tmp_path):
    return fill(tmp_path / "study")
