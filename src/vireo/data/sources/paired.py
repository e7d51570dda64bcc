"""The common base of folders of images with one target file each: masks, depths, flow."""

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from vireo.catalog import unknown
from vireo.data.decode import decode_image
from vireo.data.sources.listing import EXTENSIONS, fingerprint, open_folder, read
from vireo.data.sources.matching import match
from vireo.data.sources.source import Source, Target
from vireo.errors import DataError


class PairedSource(Source):
    """One image or more and a target file, matched by name; a leaf says how the file is decoded."""

    def __init__(
        self,
        root: str | Path,
        patterns: Sequence[str],
        *,
        target: str,
        facts: Sequence[object],
        extensions: Sequence[str] = EXTENSIONS,
    ) -> None:
        """Match the files.

        Args:
            root: the folder; `$VARIABLES` are expanded.
            patterns: of each frame in order, then of the target (see `matching`).
            target: its name.
            facts: what else the digest covers: kind and options of the source.
            extensions: of all these files.

        Raises:
            DataError: a folder, file or partner is missing.
        """
        self._folder = open_folder(root)
        self._rows = match(self._folder, patterns, extensions)
        self.name = self._folder.name
        self.targets = (target,)
        self.class_names = ()
        self.digest = fingerprint([e for row in self._rows for e in row.entries], *facts)

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
