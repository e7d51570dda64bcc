"""Numbers, units and names as a reader sees them."""

import math
from dataclasses import dataclass

import pandas as pd

MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"
METRICS = {"top-1": "top-1", "miou": "mIoU", "l1": "L1", "fl": f"1 {MINUS} Fl-all"}
FAMILIES = {
    "semantic-image": "semantic, image",
    "structural-image": "structural, image",
    "semantic-pixel": "semantic, pixel",
    "structural-pixel": "structural, pixel",
}
TURNERS = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)], "\ufffd")
"""Letters that turn the direction of all text after them: a name must not, so they are marked."""
_FROZEN = "Every encoder is frozen; only a small head is trained on its features."
PROTOCOLS = {
    "tuned": f"{_FROZEN} Its learning rate and weight decay are chosen for each encoder on a "
    "validation part of the training images.",
    "paper": f"{_FROZEN} The published hyper-parameters are used, and the last epoch.",
    "reference": f"{_FROZEN} Its optimiser and rate are those that were best for one reference "
    "encoder on a validation part of the training images.",
    "knn": "Every encoder is frozen and nothing is trained: the nearest training examples vote.",
    "few-shot": f"{_FROZEN} A few training examples of every class are drawn, several times.",
    "fine-tune": "Every encoder is trained together with its head.",
}
"""Protocol to what it does."""


@dataclass(frozen=True)
class TaskWords:
    """How a task's scores are shown.

    Attributes:
        metric: with "negative" where the score is a negated error; unit: "%" for shares.
        factor: from stored to shown scores.
    """

    name: str
    metric: str
    unit: str
    family: str
    factor: float

    @property
    def axis(self) -> str:
        """The label of an axis."""
        return f"{self.name} ({self.metric}, {self.unit})"

    def show(self, score: float) -> str:
        """Return a score as text: one decimal of a percent, else three digits.

        Example:
            >>> TaskWords("digits", "top-1", "%", "", 100.0).show(0.9134)
            '91.3'
        """
        return number(score * self.factor, digits=1 if self.unit == "%" else 3)


def task_words(cells: pd.DataFrame) -> dict[str, TaskWords]:
    """Return how each task of a table of cells is shown, in the order of the table."""
    return {
        str(task): _words(str(task), group) for task, group in cells.groupby("task", sort=False)
    }


def number(value: float, digits: int) -> str:
    """Return `value` with a true minus sign; an empty cell is a dash.

    Example:
        >>> number(0.51234, 3)
        '0.512'
    """
    return DASH if math.isnan(value) else f"{value:.{digits}f}".replace("-", MINUS)


def listed(names: list[str], most: int = 6) -> str:
    """Join names for a sentence.

    Example:
        >>> listed(["a", "b", "c"]), listed(["a"])
        ('a, b and c', 'a')
    """
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _words(task: str, group: pd.DataFrame) -> TaskWords:
    first = group.iloc[0]
    share = first["unit"] == "share"
    negated = bool((group["score"] < 0).any())
    metric = METRICS.get(first["metric"], str(first["metric"]))
    return TaskWords(
        name=task,
        metric=f"negative {metric}" if negated else metric,
        unit="%" if share else str(first["unit"]),
        family=FAMILIES.get(first["family"], str(first["family"])),
        factor=100.0 if share else 1.0,
    )
