"""A drawing as a file for a paper: SVG, PDF or PNG, the same bytes for the same figure."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from vireo.files import atomic_writer

if TYPE_CHECKING:
    import matplotlib.figure

_DATELESS = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}


def save(drawing: "matplotlib.figure.Figure", path: Path) -> Path:
    """Write `drawing` to `path`; its ending says how."""
    import matplotlib as mpl

    kind = path.suffix[1:]
    with (
        mpl.rc_context({"svg.hashsalt": "vireo", "svg.fonttype": "path", "pdf.fonttype": 42}),
        warnings.catch_warnings(),
        atomic_writer(path) as file,
    ):
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        drawing.savefig(file, format=kind, metadata=_DATELESS[kind], dpi=160)
    return path
