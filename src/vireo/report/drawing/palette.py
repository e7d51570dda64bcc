"""The colours of figures, as on the light page; on the page each becomes a variable of the style.

References:
    Okabe & Ito 2008, Color Universal Design: hues that colour-blind readers tell apart; darkened
    here until each has a contrast of 3 against paper.
"""

PAPER, INK, SOFT, LINE = "#fdfdfb", "#1c1f22", "#5b636b", "#d9dbd7"
UP, DOWN = "#1f66ad", "#b9442c"
"""Above and below zero, in heat maps."""
SERIES = (
    *("#0072b2", "#d05a00", "#008a63", "#a8518a"),
    *("#a97a00", "#2f8fc4", "#6f55b0", "#6b7278"),
)
MARKERS = "oDs^vPX*"

VARIABLES = {
    PAPER: "--paper",
    INK: "--ink",
    SOFT: "--soft",
    LINE: "--line",
    UP: "--up",
    DOWN: "--down",
    **{colour: f"--series-{number}" for number, colour in enumerate(SERIES, start=1)},
}
"""Colour to the name that the page's style gives it."""


def series_colour(number: int) -> str:
    """Return the colour of the group with that number; the ninth looks like the first.

    Example:
        >>> series_colour(0) == series_colour(8)
        True
    """
    return SERIES[number % len(SERIES)]


def marker(number: int) -> str:
    """Return the marker of the group with that number: another one for every eight groups."""
    return MARKERS[number // len(SERIES) % len(MARKERS)]
