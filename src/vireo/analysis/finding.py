"""What an analysis gives: a table with a title and a caption that says how to read it."""

from dataclasses import dataclass

from pandas import DataFrame


@dataclass(frozen=True)
class Finding:
    """The result of one analysis.

    Attributes:
        title: a few words.
        table: tidy, one fact a line, sorted, so that equal inputs give equal tables.
        caption: what the columns mean, how they are computed, and what not to read into them.
    """

    title: str
    table: DataFrame
    caption: str
