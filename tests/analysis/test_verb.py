"""`vireo analyse --json`: what its numbers may be."""

import json
import math

import pandas as pd

from vireo.analysis import Finding
from vireo.cli.analyse import _line


def test_what_is_no_number_is_null_in_json():
    table = pd.DataFrame({"F": [math.inf, -math.inf, math.nan, 1.0], "df": [1, 2, 3, 4]})
    line = _line("balance", Finding("title", table, "caption", "verdict"))
    text = json.dumps(line, allow_nan=False)
    assert [row["F"] for row in json.loads(text)["rows"]] == [None, None, None, 1.0]
    assert [row["df"] for row in json.loads(text)["rows"]] == [1, 2, 3, 4]
