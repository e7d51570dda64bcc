"""The picture of a comparison: every block against every block, encoders set apart by lines."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from vireo import files
from vireo.records import SimilarityRow

_MOST_NAMES = 60
_INCHES = {"fewest": 4.0, "a_block": 0.16, "most": 14.0}


def heatmap(path: Path, rows: Sequence[SimilarityRow]) -> Path:
    """Write a PNG or PDF, by the name's end: all of `rows` side by side, shallow blocks first.

    Args:
        path: of the picture.
        rows: of one estimator, each pair of encoders once.
    """
    from matplotlib.figure import Figure

    matrix, encoders = together(rows)
    blocks = [name for names in encoders.values() for name in names]
    side = min(_INCHES["most"], max(_INCHES["fewest"], _INCHES["a_block"] * len(blocks)))
    figure = Figure(figsize=(side + 1.2, side + 0.6), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(matrix, vmin=0, vmax=1, cmap="viridis", interpolation="none")
    figure.colorbar(image, ax=axes, label="CKA", shrink=0.8)
    ends = np.cumsum([len(names) for names in encoders.values()])
    for end in ends[:-1]:
        axes.axhline(end - 0.5, color="white", linewidth=1.5)
        axes.axvline(end - 0.5, color="white", linewidth=1.5)
    if len(blocks) <= _MOST_NAMES:
        axes.set_xticks(range(len(blocks)), blocks, rotation=90, fontsize=6)
        axes.set_yticks(range(len(blocks)), blocks, fontsize=6)
    else:
        axes.set(xticks=[], yticks=[])
    middles = [
        end - (len(names) + 1) / 2 for end, names in zip(ends, encoders.values(), strict=True)
    ]
    above = axes.secondary_xaxis("top")
    above.set_xticks(middles, [_plain(name) for name in encoders], fontsize=8)
    beside = axes.secondary_yaxis("right")
    beside.set_yticks(
        middles, [_plain(name) for name in encoders], rotation=270, va="center", fontsize=8
    )
    for axis in (above, beside):
        axis.tick_params(length=0)
    first = rows[0]
    title = f"{first.key.estimator} linear CKA, {first.n:,} images ({_plain(first.dataset)})"
    axes.set_title(f"{title}, {first.key.side} px, {first.key.representation}", fontsize=9)
    with files.atomic_writer(path) as file:
        figure.savefig(file, format=path.suffix.removeprefix(".") or "png", dpi=150)
    return path


def together(
    rows: Sequence[SimilarityRow],
) -> tuple[Float64[np.ndarray, "blocks blocks"], dict[str, tuple[str, ...]]]:
    """Return the CKA of all blocks of all encoders in one matrix, and the encoders' blocks.

    Below the diagonal lies what is above it: CKA of (A's i, B's j) is that of (B's j, A's i), and
    another than that of (A's j, B's i).
    """
    encoders: dict[str, tuple[str, ...]] = {}
    for row in rows:
        encoders.setdefault(row.first, row.first_blocks)
        encoders.setdefault(row.second, row.second_blocks)
    ends = np.cumsum([len(names) for names in encoders.values()])
    places = {
        name: slice(end - len(encoders[name]), end)
        for name, end in zip(encoders, ends, strict=True)
    }
    matrix = np.full((ends[-1], ends[-1]), np.nan)
    for row in rows:
        values = np.array(row.values, dtype=np.float64)
        matrix[places[row.first], places[row.second]] = values
        matrix[places[row.second], places[row.first]] = values.T
    return matrix, encoders


def _plain(text: str) -> str:
    return text.replace("$", r"\$")
