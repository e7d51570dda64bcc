"""Result rows in a table of any database that SQLAlchemy knows, one line a row, keyed by `digest`.

Everything goes in one transaction: all rows or none. Rows that are there already are updated in
place, so exporting twice, from several folders or at the same time leaves each row once. Names are
bound parameters, never part of a statement.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vireo.catalog import needs
from vireo.errors import MissingExtraError, SettingError, StoreError
from vireo.records import ResultRow
from vireo.store.columns import Column
from vireo.store.results import as_table

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine, Table

DEFAULT_TABLE = "vireo_results"
_IDENTITY = "digest"
_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
"""The driver of the extra `sql`, where an address names none."""
_LIBRARIES = {"psycopg": "psycopg[binary]"}
_WAITING = {"sqlite": {"timeout": 60}}
"""Seconds to wait for another writer; SQLite's default of 5 loses exports that meet."""
_ATTEMPTS = 3


def upsert(
    rows: Sequence[ResultRow], columns: Sequence[Column], *, address: str, table: str
) -> str:
    """Insert or update `rows` by digest, making the table if there is none; say what was done.

    Args:
        rows: what to store.
        columns: what to store of them; types are text, 64-bit integers and double precision.
        address: as SQLAlchemy writes them, `dialect://user:password@host/database`.
        table: its name.

    Raises:
        SettingError: an address that SQLAlchemy does not understand.
        MissingExtraError: SQLAlchemy or the database's driver is not installed.
        StoreError: the database cannot be reached or refuses; nothing was stored.
    """
    try:
        import sqlalchemy
    except ModuleNotFoundError as error:
        raise MissingExtraError(needs("sqlalchemy", "Exporting into a database")) from error

    url = _url(address)
    lines = _lines(rows, columns)
    with _errors_of(url):
        engine = sqlalchemy.create_engine(
            url, connect_args=_WAITING.get(url.get_backend_name(), {})
        )
        try:
            known = _store(engine, _table(table, columns), lines)
        finally:
            engine.dispose()
    return f"{len(lines) - known} rows added and {known} updated in '{table}' of {_shown(url)}."


def _store(engine: "Engine", table: "Table", lines: list[dict[str, Any]]) -> int:
    """Write the lines in one transaction; return how many rows were there.

    Another export may add the same rows between the look and the insert: its rows are then there at
    the next attempt.
    """
    from sqlalchemy.exc import IntegrityError

    _make(engine, table)
    for attempt in range(_ATTEMPTS):
        try:
            with engine.begin() as connection:
                return _write(connection, table, lines)
        except IntegrityError:
            if attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("every attempt returns or raises")


def _write(connection: "Connection", table: "Table", lines: list[dict[str, Any]]) -> int:
    from sqlalchemy import bindparam, insert, select, update

    there = set(connection.scalars(select(table.c[_IDENTITY])))
    new = [line for line in lines if line[_IDENTITY] not in there]
    known = [{"known": line[_IDENTITY], **line} for line in lines if line[_IDENTITY] in there]
    if new:
        connection.execute(insert(table), new)
    if known:
        connection.execute(update(table).where(table.c[_IDENTITY] == bindparam("known")), known)
    return len(known)


def _make(engine: "Engine", table: "Table") -> None:
    """Create the table if there is none, and check that one that is there has our columns."""
    from sqlalchemy import inspect
    from sqlalchemy.exc import DatabaseError

    try:
        table.create(engine, checkfirst=True)
    except DatabaseError:
        if not inspect(engine).has_table(table.name):  # else another export made it meanwhile
            raise
    found = {column["name"] for column in inspect(engine).get_columns(table.name)}
    if lacking := [column.name for column in table.columns if column.name not in found]:
        raise StoreError(
            f"The table '{table.name}' lacks the columns {', '.join(lacking)}: an older vireo or "
            "somebody else made it. Drop it, or export to another with --table."
        )


def _table(name: str, columns: Sequence[Column]) -> "Table":
    from sqlalchemy import BigInteger, Double, MetaData, Table, Unicode, UnicodeText
    from sqlalchemy import Column as Field

    types: dict[str, Callable[[], Any]] = {
        "text": UnicodeText,
        "integer": BigInteger,
        "real": Double,
    }
    fields = [
        Field(_IDENTITY, Unicode(16), primary_key=True)
        if column.name == _IDENTITY
        else Field(column.name, types[column.kind](), nullable=column.optional)
        for column in columns
    ]
    return Table(name, MetaData(), *fields)


def _lines(rows: Sequence[ResultRow], columns: Sequence[Column]) -> list[dict[str, Any]]:
    """Return plain Python values, in the order of digests: exports that meet lock alike."""
    frame = as_table(rows, columns).astype(object)
    plain = frame.where(frame.notna(), None).sort_values(_IDENTITY)
    names = [column.name for column in columns]
    return [dict(zip(names, line, strict=True)) for line in plain.itertuples(index=False)]


def _url(address: str) -> "URL":
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(address)
    except (ArgumentError, ValueError) as error:
        raise SettingError(
            "An address is written dialect://user:password@host:port/database, a file "
            "sqlite:///PATH; correct what was given."  # it may hold a password
        ) from error
    return url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))


@contextmanager
def _errors_of(url: "URL") -> Iterator[None]:
    """Say what a database or its driver refuses, without the password."""
    from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

    try:
        yield
    except NoSuchModuleError as error:
        raise SettingError(
            f"SQLAlchemy knows no database '{url.drivername}'; correct the address, or install "
            "what adds it."
        ) from error
    except ModuleNotFoundError as error:
        library = _LIBRARIES.get(error.name or "", error.name or url.drivername)
        raise MissingExtraError(needs(library, f"Exporting to {url.drivername}")) from error
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise StoreError(
            f"{_shown(url)} refused, and nothing was stored: {reason}. Check the address, the "
            "rights on it and the rows."
        ) from error


def _shown(url: "URL") -> str:
    return url.set(query={}).render_as_string(hide_password=True)
