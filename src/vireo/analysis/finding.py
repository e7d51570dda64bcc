"""What an analysis gives: an answer in one sentence, the table behind it, and figures as data.

A `Figure` says what to draw, never how: `vireo.report` draws it for the page and for a paper, and a
test can read it. All its columns are tidy, one mark a line, and the order of the lines is the order
in which marks are shown.
"""

from dataclasses import dataclass
from typing import Literal

from pandas import DataFrame

Kind = Literal["bars", "intervals", "scatter", "heatmap", "lines", "critical-difference", "box"]
COLUMNS: dict[str, tuple[str, ...]] = {
    "bars": ("label", "value"),
    "intervals": ("label", "value", "low", "high"),
    "scatter": ("x", "y", "label"),
    "heatmap": ("row", "column", "value"),
    "lines": ("x", "y", "group"),
    "critical-difference": ("label", "rank", "cliques", "difference"),
    "box": ("label", "value"),
}
"""What the data of each kind of figure must have."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure as data.

    Values are in the unit that the axis names: shares are drawn as the fractions they are.

    - `bars`: `label` (one bar each), `value`; may have `low`, `high` (an error bar) and `group`
      (the bar's colour, named in a legend).
    - `intervals`: a dot and its interval for each `label`: `value`, `low`, `high`, which are NaN
      where the value has no interval; may have `group`. `label` lies on the vertical axis.
    - `scatter`: `x`, `y`, `label` (shown on hover); may have `group` and `x_low`, `x_high`,
      `y_low`, `y_high`.
    - `heatmap`: `row`, `column`, `value`; a NaN or a line that is not there is an empty cell. The
      first row is at the top.
    - `lines`: `x`, `y`, `group` (one line each); may have `low`, `high` (a band).
    - `critical-difference`: `label`, `rank` (mean rank, 1 is best), `cliques` (the numbers of the
      bars that join this label with others it does not differ from, "0 2"; empty if none) and
      `difference`, the critical difference, the same in every line.
    - `box`: `label` (one box each), `value` (one point a line); may have `group` (colour of a box)
      and `point` (the point's name, shown on hover).

    Every kind may have `panel`: small multiples with axes of their own, in order of appearance.

    Attributes:
        x, y: words of the axes with their unit ("score, share"); of a heat map, what its columns
            and rows are. Empty where labels need no word.
        value: what the colour of a heat map shows.
        reference: a line drawn at this value of the value axis ("nothing gained"); None for none.
        limits: of the colour of a heat map, or of the value axis; None: as the data need.
    """

    kind: Kind
    title: str
    x: str
    y: str
    data: DataFrame
    value: str = ""
    reference: float | None = None
    limits: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        lacking = set(COLUMNS[self.kind]) - set(self.data.columns)
        assert not lacking, f"a figure of {self.kind} needs the columns {sorted(lacking)}"


@dataclass(frozen=True)
class Finding:
    """The result of one analysis.

    Attributes:
        title: a few words.
        table: tidy, one fact a line, sorted, so that equal inputs give equal tables.
        caption: what the columns mean, how they are computed, and what not to read into them.
        verdict: one sentence: the answer with its test, effect, interval and n, or what these
            results cannot say and why. Empty where nothing was asked.
        figures: what to draw.
        notes: a sentence for each thing left out: missing cells, by name, and cells that could not
            be used, with the reason.
    """

    title: str
    table: DataFrame
    caption: str
    verdict: str = ""
    figures: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()
