"""A CSV file that lists images and their targets, one example a row."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Int64, UInt8

from vireo.catalog import unknown
from vireo.data.decode import decode_image
from vireo.data.sources.codes import encode_labels, whole_numbers
from vireo.data.sources.listing import Entry, fingerprint, inside, open_folder, read
from vireo.data.sources.source import Source, Target
from vireo.digest import digest_file
from vireo.errors import DataError


@final
class CsvSource(Source):
    """Rows of a table with a header, in the table's order; ".tsv" is split at tabs.

    The target "class" may be whole numbers or names (coded in sorted order); every other target is
    whole numbers.

    Args:
        root: folder of the table and the images; `$VARIABLES` are expanded.
        file: the table, below the root.
        image_column: column of file names.
        targets: target name to column.
        images: folder of the images below the root; or a pattern whose star stands for the value of
            the column ("images/*.jpg", for tables that list names without an extension).
        class_names: fixes the codes of "class".

    Raises:
        DataError: the table or an image is missing, leads outside the root or has broken values.
    """

    def __init__(
        self,
        *,
        root: str | Path,
        file: str,
        image_column: str = "file",
        targets: Mapping[str, str] | None = None,
        images: str = "",
        class_names: Sequence[str] = (),
    ) -> None:
        self._folder = open_folder(root)
        table = inside(self._folder, file)
        columns = targets or {}
        rows, self._lines = _read_table(table, [image_column, *columns.values()])
        pattern = images if "*" in images else f"{images}/*".lstrip("/")
        names = [pattern.replace("*", name.strip()) for name in rows[image_column]]
        self._entries = [
            _entry(self._folder, name, f"{table}, row {line}")
            for line, name in zip(self._lines, names, strict=True)
        ]
        self.name = table.stem
        self.targets = tuple(columns)
        self.class_names: tuple[str, ...] = tuple(class_names) if "class" in columns else ()
        self._values = {
            target: self._codes(target, rows[column], f"{table}, column '{column}', row")
            for target, column in columns.items()
        }
        self.digest = fingerprint(
            self._entries, "csv", digest_file(table), columns, self.class_names
        )

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._entries)

    def frames(self, index: int) -> tuple[UInt8[np.ndarray, "height width 3"], ...]:
        """Decode the image of one row."""
        path = inside(self._folder, self._entries[index].name)
        return (decode_image(read(path), str(path)),)

    def target(self, index: int, name: str) -> Target:
        """Return a value of one row."""
        if name not in self._values:
            raise DataError(unknown(name, self.targets, f"target of {self.name}"))
        return int(self._values[name][index])

    def label(self, index: int) -> str:
        """Return the file's name relative to the root."""
        return self._entries[index].name

    def _codes(self, target: str, values: list[str], place: str) -> Int64[np.ndarray, " n"]:
        def where(row: int) -> str:
            return f"{place} {self._lines[row]}"

        if target != "class":
            return whole_numbers(values, where)
        codes, self.class_names = encode_labels(values, self.class_names, where)
        return codes


def _read_table(table: Path, wanted: list[str]) -> tuple[dict[str, list[str]], list[int]]:
    """Return the wanted columns, and the line of the file that each of their rows ends in."""
    delimiter = "\t" if table.suffix == ".tsv" else ","
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            header = [column.strip() for column in next(reader, [])]
            lines = [(reader.line_num, row) for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"The table {table} cannot be read ({error}); save it as UTF-8 CSV.") from (
            error
        )
    for column in wanted:
        if column not in header:
            raise DataError(f"{table}: {unknown(column, header, 'column')}")
        if header.count(column) > 1:
            raise DataError(f"{table} has the column '{column}' twice; rename or remove one.")
    for line, row in lines:
        if len(row) != len(header):
            raise DataError(
                f"{table}, row {line} has {len(row)} values for {len(header)} columns; mend it."
            )
    if not lines:
        raise DataError(f"{table} has no rows below its header; there is nothing to read.")
    columns = {column: [row[header.index(column)] for _, row in lines] for column in wanted}
    return columns, [line for line, _ in lines]


def _entry(folder: Path, name: str, where: str) -> Entry:
    # the text is judged here and links are followed when the file is read: resolving is slow
    if Path(name).is_absolute() or ".." in Path(name).parts or "\0" in name:
        raise DataError(f"{where}: the name {name!r} leads outside {folder}; refused.")
    path = folder / name
    if not path.is_file():
        raise DataError(f"{where}: there is no file {path}; check 'images' and 'image_column'.")
    return Entry(name, path.stat().st_size)
