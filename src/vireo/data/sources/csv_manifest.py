"""A CSV file that lists images and their targets, one example a row."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, final

import numpy as np
from jaxtyping import Int64, UInt8

from vireo.catalog import unknown
from vireo.data.decode import decode_image
from vireo.data.sources.codes import Where, encode_labels, read_measures, whole_numbers
from vireo.data.sources.listing import Entry, fingerprint, inside, open_folder, read
from vireo.data.sources.source import Source, Target
from vireo.digest import digest_file
from vireo.errors import DataError


@final
class CsvSource(Source):
    """Rows of a table with a header, in the table's order; ".tsv" is split at tabs.

    Args:
        root: folder of the table and the images; `$VARIABLES` are expanded.
        file: the table, below the root.
        image_column: column of file names; several for examples of several frames, in their order.
        targets: target name to column. "class" may be whole numbers or names (coded in sorted
            order); every other is whole numbers.
        measures: likewise of targets that are floating point numbers, blank where missing; several
            columns, split by commas ("x, y"), are one target of several numbers.
        images: folder of the images below the root; or a pattern whose star stands for the value of
            the column ("images/*.jpg", for tables that list names without an extension).
        class_names: fixes the codes of "class".

    Raises:
        DataError: the table or an image is missing, leads outside the root or has broken values.
    """

    def __init__(  # noqa: PLR0913
        self,
        *,
        root: str | Path,
        file: str,
        image_column: str | Sequence[str] = "file",
        targets: Mapping[str, str] | None = None,
        measures: Mapping[str, str] | None = None,
        images: str = "",
        class_names: Sequence[str] = (),
    ) -> None:
        self._folder = open_folder(root)
        table = inside(self._folder, file)
        names = [image_column] if isinstance(image_column, str) else list(image_column)
        columns, measured = _columns(targets or {}, measures or {}, names)
        wanted = [*names, *columns.values(), *(c for group in measured.values() for c in group)]
        rows = _read_table(table, wanted)
        pattern = images if "*" in images else f"{images}/*".lstrip("/")
        files = zip(*(_entries(self._folder, rows, name, pattern) for name in names), strict=True)
        self._entries: list[tuple[Entry, ...]] = list(files)
        self.name = table.stem
        self.targets = (*columns, *measured)
        self.class_names: tuple[str, ...] = tuple(class_names) if "class" in columns else ()
        self._values = {target: self._codes(target, rows, name) for target, name in columns.items()}
        self._measures = {
            target: np.stack([read_measures(rows.columns[c], rows.where(c)) for c in group], axis=1)
            for target, group in measured.items()
        }
        facts = [columns, self.class_names, *([measured] if measured else [])]
        everything = [entry for row in self._entries for entry in row]
        self.digest = fingerprint(everything, "csv", digest_file(table), *facts)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._entries)

    def frames(self, index: int) -> tuple[UInt8[np.ndarray, "height width 3"], ...]:
        """Decode the images of one row."""
        paths = [inside(self._folder, entry.name) for entry in self._entries[index]]
        return tuple(decode_image(read(path), str(path)) for path in paths)

    def target(self, index: int, name: str) -> Target:
        """Return a value of one row."""
        if name in self._values:
            return int(self._values[name][index])
        if name not in self._measures:
            raise DataError(unknown(name, self.targets, f"target of {self.name}"))
        numbers = self._measures[name][index]
        return float(numbers[0]) if len(numbers) == 1 else numbers

    def label(self, index: int) -> str:
        """Return the names of the files relative to the root."""
        return " + ".join(entry.name for entry in self._entries[index])

    def _codes(self, target: str, rows: "_Rows", column: str) -> Int64[np.ndarray, " n"]:
        values, where = rows.columns[column], rows.where(column)
        if target != "class":
            return whole_numbers(values, where)
        codes, self.class_names = encode_labels(values, self.class_names, where)
        return codes


class _Rows(NamedTuple):
    """What is read of a table.

    Attributes:
        columns: the texts of each wanted column.
        lines: of the file that each row ends in.
    """

    table: Path
    columns: dict[str, list[str]]
    lines: list[int]

    def where(self, column: str) -> Where:
        """Say where a value of a column stands."""
        return lambda row: f"{self.table}, column '{column}', row {self.lines[row]}"


def _columns(
    targets: Mapping[str, str], measures: Mapping[str, str], images: list[str]
) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Return the column of each target that is a code, and the columns of each that is measured."""
    both = sorted(targets.keys() & measures.keys())
    if both:
        raise DataError(f"'{both[0]}' is in 'targets' and in 'measures'; take it out of one.")
    if "class" in measures:
        raise DataError("'class' is in 'measures', but classes are codes: put it in 'targets'.")
    if not images:
        raise DataError("'image_column' is empty; name the column of image files, or several.")
    groups = {name: text.split(",") for name, text in measures.items()}
    return dict(targets), {name: tuple(c.strip() for c in group) for name, group in groups.items()}


def _read_table(table: Path, wanted: list[str]) -> _Rows:
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
    return _Rows(table, columns, [line for line, _ in lines])


def _entries(folder: Path, rows: _Rows, column: str, pattern: str) -> list[Entry]:
    names = [pattern.replace("*", name.strip()) for name in rows.columns[column]]
    places = [f"{rows.table}, row {line}" for line in rows.lines]
    return [_entry(folder, name, where) for name, where in zip(names, places, strict=True)]


def _entry(folder: Path, name: str, where: str) -> Entry:
    # the text is judged here and links are followed when the file is read: resolving is slow
    if Path(name).is_absolute() or ".." in Path(name).parts or "\0" in name:
        raise DataError(f"{where}: the name {name!r} leads outside {folder}; refused.")
    path = folder / name
    if not path.is_file():
        raise DataError(f"{where}: there is no file {path}; check 'images' and 'image_column'.")
    return Entry(name, path.stat().st_size)
