"""Statistics on the tidy table of results: pure functions, no torch, no plotting.

An analysis takes the table (one line a result row, see `vireo.analysis.table`) and returns a
`Finding`. Adding one is a file and a line in `ANALYSES`; the command line, the report and the
contract tests read that table.
"""

from pandas import DataFrame

from vireo.analysis.finding import Finding
from vireo.analysis.table import read_study
from vireo.catalog import resolve

ANALYSES = {
    "scores": "vireo.analysis.scores:scores",
    "normalised": "vireo.analysis.normalised:normalised",
    "ranking": "vireo.analysis.ranking:ranking",
    "correlation": "vireo.analysis.correlation:correlation",
}

__all__ = ["ANALYSES", "Finding", "analyse", "read_study"]


def analyse(name: str, table: DataFrame) -> Finding:
    """Return what the analysis called `name` finds in the tidy table.

    Raises:
        SettingError: no such analysis, or a table it cannot use (the message names the cells).
    """
    finding = resolve(ANALYSES, name, "analysis")(table)
    assert isinstance(finding, Finding)
    return finding
