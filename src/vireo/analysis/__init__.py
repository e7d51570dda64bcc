"""Statistics on the tidy table of results: pure functions, no torch, no plotting.

An analysis takes the table (one line a result row, see `vireo.analysis.table`) and what lies beside
it (`vireo.analysis.context`), and returns a `Finding`. Adding one is a file and a line in
`ANALYSES`; the command line, the report and the contract tests read that table.
"""

from pandas import DataFrame

from vireo.analysis.context import ALONE, Context
from vireo.analysis.finding import Figure, Finding
from vireo.analysis.table import read_study
from vireo.catalog import resolve

ANALYSES = {
    "scores": "vireo.analysis.scores:scores",
    "normalised": "vireo.analysis.normalised:normalised",
    "ranking": "vireo.analysis.ranking:ranking",
    "correlation": "vireo.analysis.correlation:correlation",
    "supervised": "vireo.analysis.supervised:supervised",
    "proxy": "vireo.analysis.proxy:proxy",
    "algorithms": "vireo.analysis.algorithms:algorithms",
    "gain": "vireo.analysis.gain:gain",
    "similar-data": "vireo.analysis.similar_data:similar_data",
    "balance": "vireo.analysis.balance:balance",
    "seeds": "vireo.analysis.seeds:seeds",
    "multi-crop": "vireo.analysis.multi_crop:multi_crop",
    "other-methods": "vireo.analysis.other_methods:other_methods",
    "differences": "vireo.analysis.differences:differences",
    "predictors": "vireo.analysis.predictors:predictors",
    "pareto": "vireo.analysis.pareto:pareto",
    "label-efficiency": "vireo.analysis.label_efficiency:label_efficiency",
    "similarity": "vireo.analysis.similar:similar",
}
QUESTIONS = {
    "supervised": "Is supervised learning on ImageNet a good default encoder choice?",
    "proxy": "Is ImageNet accuracy a good metric for progress on self-supervised learning?",
    "algorithms": "How do different pre-training algorithms compare for different end tasks?",
    "gain": "Does self-supervision work better on certain end tasks?",
    "similar-data": "Does training with images from a similar domain improve performance?",
    "balance": "Do we learn poor representations if we use unbalanced ImageNet?",
}
"""The study's questions, in its words, by the analysis that answers them."""

__all__ = [
    "ANALYSES",
    "QUESTIONS",
    "Context",
    "Figure",
    "Finding",
    "analyse",
    "read_study",
]


def analyse(name: str, table: DataFrame, context: Context = ALONE) -> Finding:
    """Return what the analysis called `name` finds in the tidy table and what lies beside it.

    Raises:
        SettingError: no such analysis, or a table it cannot use (the message names the cells).
    """
    finding = resolve(ANALYSES, name, "analysis")(table, context)
    assert isinstance(finding, Finding)
    return finding
