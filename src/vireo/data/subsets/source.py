"""The examples of a subset's folder, part after part."""

from collections.abc import Sequence
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import UInt8

from vireo.catalog import unknown
from vireo.data.opening import open_split
from vireo.data.sources.listing import open_folder
from vireo.data.sources.source import Source, Target
from vireo.data.splits import Subset
from vireo.data.subsets.folder import read_subset
from vireo.data.subsets.making import draw_parts
from vireo.digest import digest
from vireo.errors import DataError
from vireo.records import SubsetRecipe


@final
class SubsetSource(Source):
    """What `vireo subset` drew.

    The sets are opened where the recipe says they are. Targets are those that all sets share with
    the same class names; sets with other classes are mixed without labels.

    Args:
        root: the folder of the subset; `$VARIABLES` are expanded.

    Raises:
        DataError: no subset, or a set that has changed since it was drawn.
    """

    def __init__(self, *, root: str | Path) -> None:
        folder = open_folder(root)
        manifest = read_subset(folder)
        parts = []
        for spec, expected, indices in zip(
            manifest.recipe.data, manifest.sources, manifest.indices, strict=True
        ):
            source = open_split(spec, "train")
            if source.digest != expected:
                raise DataError(
                    f"The images of '{spec.name}' are not those that the subset {folder} was drawn "
                    "from (files were added, removed or replaced); draw the subset again."
                )
            parts.append(Subset(source, indices))
        self._join(folder.name, manifest.balance, parts)

    @classmethod
    def drawn(cls, recipe: SubsetRecipe) -> "SubsetSource":
        """Return what `vireo subset` would draw, without a folder.

        Raises:
            SettingError: numbers that cannot be met.
            DataError: images that are missing, or a set without classes.
        """
        parts = draw_parts(recipe)
        balances = [part.balance for _, part in parts]
        made = cls.__new__(cls)
        made._join(
            recipe.name,
            balances[0] if len(balances) == 1 else "mixed",
            [Subset(source, part.indices) for source, part in parts],
        )
        return made

    def _join(self, name: str, balance: str, parts: Sequence[Subset]) -> None:
        self.name, self.balance, self._parts = name, balance, list(parts)
        self._starts = np.cumsum([0, *map(len, self._parts)])
        first = self._parts[0]
        same = all(part.class_names == first.class_names for part in self._parts)
        self.targets: tuple[str, ...] = tuple(
            name for name in first.targets if same and all(name in p.targets for p in self._parts)
        )
        self.class_names: tuple[str, ...] = first.class_names if self.targets else ()
        self.digest = digest("subset", *(part.digest for part in self._parts), self.targets)

    def __len__(self) -> int:
        """Return the number of chosen examples."""
        return int(self._starts[-1])

    def frames(self, index: int) -> tuple[UInt8[np.ndarray, "height width 3"], ...]:
        """Decode the images of one example."""
        part, within = self._locate(index)
        return part.frames(within)

    def target(self, index: int, name: str) -> Target:
        """Return one target of one example."""
        if name not in self.targets:
            raise DataError(unknown(name, self.targets, f"target of {self.name}"))
        part, within = self._locate(index)
        return part.target(within, name)

    def label(self, index: int) -> str:
        """Return the set's name of one example, with the set's own name where there are several."""
        part, within = self._locate(index)
        start = f"{part.name}:" if len(self._parts) > 1 else ""
        return start + part.label(within)

    def _locate(self, index: int) -> tuple[Subset, int]:
        number = int(np.searchsorted(self._starts, index, side="right")) - 1
        return self._parts[number], index - int(self._starts[number])
