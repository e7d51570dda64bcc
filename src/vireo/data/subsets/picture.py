"""The picture of a subset: images taken of each class, rarest first, beside all there are."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vireo import files
from vireo.data.subsets.draw import Drawn


def histogram(path: Path, rule: str, names: Sequence[str], parts: Sequence[Drawn]) -> Path:
    """Write a PNG with one panel a set: grey what there is, blue what is taken."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 2.6 * len(parts)), layout="constrained")
    panels = np.ravel(figure.subplots(len(parts), 1))
    for panel, name, part in zip(panels, names, parts, strict=True):
        order = np.argsort(part.taken, kind="stable")
        place = np.arange(len(order))
        panel.fill_between(place, part.sizes[order], step="mid", color="#d0d0d0", label="there")
        panel.fill_between(place, part.taken[order], step="mid", color="#2b6cb0", label="taken")
        panel.set_title(
            f"{name}, {rule}: {part.taken.sum():,} of {part.sizes.sum():,} images", loc="left"
        )
        panel.set(xlabel="classes, rarest first", ylabel="images", xlim=(-0.5, len(order) - 0.5))
        panel.set_ylim(0)
        panel.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    with files.atomic_writer(path) as file:
        figure.savefig(file, format="png", dpi=120)
    return path
