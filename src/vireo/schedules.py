"""Schedules as functions of progress; no state is kept, so a resumed run reads the same values.

`progress` runs from 0 (before the first step) to 1 (after the last).
"""

import math
from collections.abc import Sequence


def cosine(progress: float, start: float, end: float = 0.0) -> float:
    """Half a cosine from `start` to `end` (Loshchilov & Hutter 2017, without restarts).

    Example:
        >>> cosine(0.5, 1.0)
        0.5
    """
    return end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * progress))


def step(progress: float, start: float, milestones: Sequence[float], factor: float = 0.1) -> float:
    """`start`, multiplied by `factor` at every milestone (in progress) that has been reached.

    Example:
        >>> step(0.6, 1.0, (0.6, 0.8))
        0.1
    """
    return start * factor ** sum(progress >= milestone for milestone in milestones)


def warmup(progress: float, until: float, start: float, end: float) -> float:
    """A straight line from `start` at 0 to `end` at `until`.

    Example:
        >>> warmup(0.05, 0.1, 0.0, 1.0)
        0.5
    """
    return end if until <= 0 else start + (end - start) * min(1.0, progress / until)
