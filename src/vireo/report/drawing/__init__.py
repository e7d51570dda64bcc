"""Figures by matplotlib: `vireo.analysis.Figure` says what, this package how.

A kind of figure is a file with a `Drawer` and a line in `KINDS`. The same drawing serves the page
(`inline`: real text, colours that follow the reader's light or dark page) and a paper (`files`).
"""

from vireo.report.drawing.draw import KINDS, draw
from vireo.report.drawing.files import save
from vireo.report.drawing.inline import inline_svg

__all__ = ["KINDS", "draw", "inline_svg", "save"]
