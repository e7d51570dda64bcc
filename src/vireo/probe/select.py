"""Which of several heads is kept: the best on validation, never on test."""

import math
from collections.abc import Sequence

from vireo.probe.grid import Configuration, chosen_place
from vireo.records import ProbeSettings


def best(scores: Sequence[float], losses: Sequence[float]) -> int:
    """Return the place of the highest score; of equal ones that of the lowest loss, then the first.

    Accuracies on a small validation set are often equal, and then the loss still tells heads
    apart. A head whose score is not finite (its training diverged) loses to every other.

    Example:
        >>> best([0.5, 0.75, 0.75, math.nan], [1.0, 0.9, 0.8, 0.1])
        2
    """
    assert scores, "one head at least"

    def rank(place: int) -> tuple[float, float, int]:
        score, loss = scores[place], losses[place]
        return (
            score if math.isfinite(score) else -math.inf,
            -loss if math.isfinite(loss) else -math.inf,
            -place,
        )

    return max(range(len(scores)), key=rank)


def select(
    settings: ProbeSettings,
    grid: Sequence[Configuration],
    scores: Sequence[float],
    losses: Sequence[float],
) -> tuple[int, dict[str, float | int | str]]:
    """Return the place of the configuration that is tested, and what the row says of the choice.

    Under "reference" it is the one that the reference encoder chose; which one this encoder would
    have chosen, and what both score on validation, is kept.
    """
    own = best(scores, losses)
    if settings.protocol != "reference":
        return own, {}
    told = chosen_place(grid, settings.chosen)
    place = own if told is None else told
    facts: dict[str, float | int | str] = {
        "optimizer": grid[place].optimizer,
        "set": grid[place].name,
        "own_set": grid[own].name,
        "validation_score": scores[place],
        "own_validation_score": scores[own],
    }
    return place, facts | ({"reference": settings.reference} if settings.reference else {})
