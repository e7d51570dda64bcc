"""Result rows for other programs: a CSV, Parquet or SQLite file, or a table of any database.

The JSON files stay the record; an export is a copy that can be made again at any time. Files appear
complete or not at all, and take the place of an older export of the same name. Columns and types
are those of `vireo.store.columns`.
"""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from vireo.catalog import needs, unknown
from vireo.errors import MissingExtraError, SettingError, StoreError
from vireo.files import atomic_writer
from vireo.records import ResultRow
from vireo.store.columns import FURTHER, TABLE
from vireo.store.database import DEFAULT_TABLE, upsert
from vireo.store.folder import StudyFolder
from vireo.store.results import ResultStore, as_table
from vireo.store.row_files import FORMAT

COLUMNS = (*TABLE, *FURTHER)


def export(root: Path, to: str, out: Path | None = None, *, table: str = DEFAULT_TABLE) -> str:
    """Copy all rows of a study's folder to a file or a database; return what was done, in words.

    Args:
        root: a folder with `results` in it.
        to: "csv", "parquet", "sqlite", or an address that SQLAlchemy knows (`dialect://...`).
        out: the file; `root/results.csv` and so on if None. An address takes none.
        table: the table's name in a database or an SQLite file.

    Raises:
        SettingError: `to` is unknown, or goes with no `out`.
        StoreError: no rows there, a broken row, a full disk, or a database that refuses.
        MissingExtraError: SQLAlchemy or the database's driver is not installed.
    """
    if "://" not in to and to not in FILES:
        raise SettingError(unknown(to, (*FILES, "dialect://..."), "export format"))
    if "://" in to and out is not None:
        raise SettingError(f"A database takes no file; leave {out} out, or export to {[*FILES]}.")
    rows = _rows(root)
    if "://" in to:
        return upsert(rows, COLUMNS, address=to, table=table)
    path = root / f"results.{to}" if out is None else out
    if path.is_dir():
        raise SettingError(f"{path} is a folder; an export is a file: give its name.")
    with atomic_writer(path) as file:
        FILES[to](rows, file, table)
    return f"{len(rows)} rows are in {path}."


def _rows(root: Path) -> list[ResultRow]:
    folder = StudyFolder(root).results
    rows = ResultStore(folder).rows() if folder.is_dir() else []
    if not rows:
        raise StoreError(f"{root} holds no results; run a study or a probe with --out {root}.")
    return rows


def _csv(rows: Sequence[ResultRow], file: IO[bytes], table: str) -> None:
    """Write CSV of RFC 4180 in UTF-8; floats have all their digits.

    Lines end in CR LF not only because the standard says so: Python 3.11 quotes a CR inside a name
    only where a line's end has one.
    """
    as_table(rows, COLUMNS).to_csv(file, index=False, lineterminator="\r\n", encoding="utf-8")


def _parquet(rows: Sequence[ResultRow], file: IO[bytes], table: str) -> None:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise MissingExtraError(needs("pyarrow", "Exporting to Parquet")) from error
    types = {"text": pa.string(), "integer": pa.int64(), "real": pa.float64()}
    fields = [pa.field(c.name, types[c.kind], nullable=c.optional) for c in COLUMNS]
    schema = pa.schema(fields, {"vireo.format": str(FORMAT)})
    frame = as_table(rows, COLUMNS)
    parquet.write_table(pa.Table.from_pandas(frame, schema, preserve_index=False), file)


def _sqlite(rows: Sequence[ResultRow], file: IO[bytes], table: str) -> None:
    """Fill a database of its own, then copy it: SQLite opens files by name only."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.sqlite"
        upsert(rows, COLUMNS, address=f"sqlite:///{path}", table=table)
        with path.open("rb") as database:
            shutil.copyfileobj(database, file)


FILES: dict[str, Callable[[Sequence[ResultRow], IO[bytes], str], None]] = {
    "csv": _csv,
    "parquet": _parquet,
    "sqlite": _sqlite,
}
