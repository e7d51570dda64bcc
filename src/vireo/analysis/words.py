"""How verdicts say numbers, tests and names."""

import math
from collections.abc import Sequence

_SHOWN = 12


def listed(names: Sequence[str], most: int = _SHOWN) -> str:
    """Join names for a sentence; of many, the first ones and how many more.

    Example:
        >>> listed(["a", "b", "c"]), listed(["a", "b", "c"], most=1)
        ('a, b and c', 'a and 2 more')
    """
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def numbered(count: int, noun: str) -> str:
    """Return a count with its noun.

    Example:
        >>> numbered(1, "task"), numbered(3, "task")
        ('1 task', '3 tasks')
    """
    return f"{count} {noun}{'s' * (count != 1)}"


def spanned(counts: Sequence[int], noun: str) -> str:
    """Return how many there are each time, with their noun.

    Example:
        >>> spanned([12, 9], "encoder"), spanned([4, 4], "encoder"), spanned([], "encoder")
        ('9 to 12 encoders', '4 encoders', '0 encoders')
    """
    least, most = min(counts, default=0), max(counts, default=0)
    return numbered(most, noun) if least == most else f"{least} to {numbered(most, noun)}"


def p_words(p: float) -> str:
    """Return a p-value as text.

    Example:
        >>> p_words(0.0312), p_words(0.00002)
        ('p = 0.031', 'p < 0.001')
    """
    if math.isnan(p):
        return "no p-value"
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def interval_words(low: float, high: float, level: float = 0.95) -> str:
    """Return an interval as text.

    Example:
        >>> interval_words(-0.1234, 0.5)
        '95 % interval -0.12 to 0.50'
    """
    if math.isnan(low) or math.isnan(high):
        return "no interval"
    return f"{100 * level:g} % interval {low:.2f} to {high:.2f}"
