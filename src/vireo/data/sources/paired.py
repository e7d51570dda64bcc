"""The common base of folders of images with one target file each: masks, depths, flow."""

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from vireo.catalog import unknown
from vireo.data.decode import decode_image
from vireo.data.sources.contents import digest_contents
from vireo.data.sources.listing import fingerprint, read
from vireo.data.sources.matching import Match
from vireo.data.sources.source import Source, Target
from vireo.errors import DataError


class PairedSource(Source):
    """One image or more and a target file, matched by name; a leaf says how the file is decoded."""

    def __init__(
        self, folder: Path, rows: Sequence[Match], *, target: str, facts: Sequence[object]
    ) -> None:
        """Keep the examples.

        Args:
            folder: the files are in it.
            rows: the files of each example: its frames in order, then the target's (see `match`).
            target: its name.
            facts: what else the digest covers: kind and options of the source.

        Raises:
            DataError: a target's file cannot be read.
        """
        self._folder, self._rows = folder, rows
        self.name = folder.name
        self.targets = (target,)
        self.class_names = ()
        truth = digest_contents(folder, [row.entries[-1].name for row in rows])
        self.digest = fingerprint([e for row in rows for e in row.entries], *facts, truth)

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self._rows)

    def frames(self, index: int) -> tuple[UInt8[np.ndarray, "height width 3"], ...]:
        """Decode the images of one example."""
        paths = [self._folder / entry.name for entry in self._rows[index].entries[:-1]]
        return tuple(decode_image(read(path), str(path)) for path in paths)

    def target(self, index: int, name: str) -> Target:
        """Decode the target of one example."""
        if name not in self.targets:
            raise DataError(unknown(name, self.targets, f"target of {self._folder}"))
        path = self._folder / self._rows[index].entries[-1].name
        return self.decode(read(path), str(path))

    def label(self, index: int) -> str:
        """Return the first image file's name relative to the folder."""
        return self._rows[index].entries[0].name

    @abstractmethod
    def decode(self, content: bytes, name: str) -> np.ndarray:
        """Turn the bytes of a target file into the target.

        Raises:
            DataError: naming the file, where they cannot be one.
        """
