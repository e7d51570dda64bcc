"""Images inside parquet files, in the layout of the Hugging Face Hub.

An image is a struct column {bytes, path} with the compressed file in `bytes`, or a plain binary
column; a label is a whole number, whose names the Hub keeps in the schema's metadata, or a name.
Compressed images are held in memory if they fit, because shuffled reading of parquet would unpack
a whole row group for one image.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
import xxhash
from jaxtyping import Float32, UInt8

from vireo.catalog import unknown
from vireo.data.decode import decode_image
from vireo.data.sources import parquet_files as reading
from vireo.data.sources.codes import digest_integers, encode_labels
from vireo.data.sources.listing import Entry, fingerprint
from vireo.data.sources.source import Source, Target
from vireo.errors import DataError

_GROUPS_HELD = 4


@final
class ParquetSource(Source):
    """Rows of all files that match, files by name and rows in order.

    Args:
        path: a glob of files; `$VARIABLES` are expanded.
        root: a folder that `path` is relative to.
        image_column: if empty, the one called "image", or the only one that holds images; several
            for examples of several frames, in their order.
        label_column: if empty, the one called "label", or the only one with class names; without
            either there is no target "class".
        measures: further targets of floating point numbers, name to column, null where missing;
            several columns, split by commas ("x, y"), are one target of several numbers.
        class_names: fixes the codes; otherwise the Hub's names, or the sorted names found.
        memory_gib: images are held in memory, compressed, up to this size; above it the last few
            row groups are, and shuffled reading is slow.

    Raises:
        DataError: no file, a broken file, a missing column, or labels that are missing or mixed.
    """

    def __init__(  # noqa: PLR0913
        self,
        *,
        path: str,
        root: str | Path = "",
        image_column: str | Sequence[str] = "",
        label_column: str = "",
        measures: Mapping[str, str] | None = None,
        class_names: Sequence[str] = (),
        memory_gib: int | float = 4.0,
    ) -> None:
        self._paths = reading.match_files(root, path)
        metas = [reading.read_metadata(file) for file in self._paths]
        schema = reading.common_schema([schema for schema, _ in metas], self._paths)
        hub = reading.hub_features(schema)
        wanted = [image_column] if isinstance(image_column, str) else image_column or [""]
        self._columns = [reading.find_image_column(schema, hub, column) for column in wanted]
        self._groups = [
            (file, group) for file, meta in enumerate(metas) for group in range(len(meta[1]))
        ]
        sizes = [size for _, groups in metas for size in groups]
        self._starts = np.cumsum([0, *(rows for rows, _ in sizes)])
        self._file_starts = np.cumsum([0, *(sum(n for n, _ in groups) for _, groups in metas)])
        self._hold_all = sum(size for _, size in sizes) <= memory_gib * 2**30
        self._held: OrderedDict[int, list[Any]] = OrderedDict()
        self.name = self._paths[0].stem
        if not len(self):
            raise DataError(f"{self._paths[0]} has no rows; check the path.")
        column = reading.find_label_column(schema, hub, label_column)
        self._read_codes(column, class_names or reading.hub_class_names(hub, column))
        self._measures = {
            target: self._read_measures(schema, columns.split(","))
            for target, columns in (measures or {}).items()
        }
        if "class" in self._measures:
            raise DataError("'class' is in 'measures', but classes are codes: use 'label_column'.")
        self.targets += tuple(self._measures)
        entries = [Entry(file.name, file.stat().st_size) for file in self._paths]
        facts: list[object] = [digest_integers(self._codes), self.class_names]
        facts += [dict(measures), self._digest_measures()] if measures else []
        columns = self._columns if len(self._columns) > 1 else self._columns[0]
        self.digest = fingerprint(entries, "parquet", columns, *facts)

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self._starts[-1])

    def frames(self, index: int) -> tuple[UInt8[np.ndarray, "height width 3"], ...]:
        """Decode the images of one row."""
        group = int(np.searchsorted(self._starts, index, side="right")) - 1
        row = index - int(self._starts[group])
        contents = [column[row].as_py() for column in self._images(group)]
        if None in contents:
            raise DataError(
                f"{self._place(index)} holds no image bytes; embed the images or drop the row."
            )
        return tuple(decode_image(content, self._place(index)) for content in contents)

    def target(self, index: int, name: str) -> Target:
        """Return the class code of one row, or a measure."""
        if name not in self.targets:
            raise DataError(unknown(name, self.targets, f"target of {self.name}"))
        if name not in self._measures:
            return int(self._codes[index])
        numbers = self._measures[name][index]
        return float(numbers[0]) if len(numbers) == 1 else numbers

    def label(self, index: int) -> str:
        """Return file and row."""
        file, row = self._locate(index)
        return f"{file.name}:{row}"

    def __getstate__(self) -> dict[str, Any]:
        """Leave the held images behind: another process reads its own."""
        return {**self.__dict__, "_held": OrderedDict()}

    def _read_codes(self, column: str, class_names: Sequence[str]) -> None:
        labels = reading.read_labels(self._paths, column) if column else []
        self.targets: tuple[str, ...] = ()
        self.class_names: tuple[str, ...] = ()
        self._codes = np.zeros(0, dtype=np.int64)
        # the Hub marks the withheld labels of a test split by -1
        if labels and not all(label == -1 for label in labels):
            self.targets = ("class",)
            self._codes, self.class_names = encode_labels(
                labels, class_names, lambda row: f"{self._place(row)}, column '{column}'"
            )

    def _read_measures(self, schema: Any, columns: list[str]) -> Float32[np.ndarray, "rows _"]:
        names = [column.strip() for column in columns]
        for name in names:
            if name not in schema.names:
                raise DataError(f"{self._paths[0]}: {unknown(name, schema.names, 'column')}")
        return np.stack([reading.read_measures(self._paths, name) for name in names], axis=1)

    def _digest_measures(self) -> dict[str, str]:
        """Return a hash of each measure's numbers: a corrected file may keep its size."""
        return {
            target: xxhash.xxh3_64_hexdigest(numbers.astype("<f4").tobytes())
            for target, numbers in self._measures.items()
        }

    def _images(self, group: int) -> list[Any]:
        """Return the compressed images of one row group, a column each."""
        wanted = range(len(self._groups)) if self._hold_all else (group,)
        for number in () if group in self._held else wanted:
            file, within = self._groups[number]
            self._held[number] = [
                reading.read_images(self._paths[file], within, column) for column in self._columns
            ]
        while not self._hold_all and len(self._held) > _GROUPS_HELD:
            self._held.popitem(last=False)
        return self._held[group]

    def _locate(self, index: int) -> tuple[Path, int]:
        file = int(np.searchsorted(self._file_starts, index, side="right")) - 1
        return self._paths[file], index - int(self._file_starts[file])

    def _place(self, index: int) -> str:
        file, row = self._locate(index)
        return f"{file}, row {row}"
