"""Rows in databases, SQLite and a real PostgreSQL: each once, exact, and all or none."""

import threading

import pytest
from sqlalchemy import create_engine, inspect, make_url, text
from tests.store.rows import HOSTILE, OUTCOMES, expected, make_row, parsed

from vireo.errors import MissingExtraError, SettingError, StoreError
from vireo.store import ResultStore
from vireo.store.export import COLUMNS, export
from vireo.store.folder import StudyFolder


def lines(database):
    """All lines of the table, by a statement of our own."""
    engine = create_engine(database[0])
    quoted = engine.dialect.identifier_preparer.quote(database[1])
    with engine.connect() as connection:
        found = connection.execute(text(f"SELECT * FROM {quoted} ORDER BY digest")).mappings()
        read = [dict(line) for line in found]
    engine.dispose()
    return read


def test_every_fact_of_every_row_arrives_whatever_the_names(study, database):
    said = export(study, database[0], table=database[1])
    assert said.startswith(f"{len(HOSTILE)} rows added and 0 updated in")
    assert [parsed(line) for line in lines(database)] == expected()


def test_exporting_again_updates_and_adds_nothing_twice(study, database):
    export(study, database[0], table=database[1])
    store = ResultStore(StudyFolder(study).results)
    row = store.rows()[3]
    path = next(store.root.glob(f"{expected()[3]['digest']}.json"))
    path.write_text(path.read_text().replace('"method": "supervised"', '"method": "renamed"'))
    store.write(make_row(seed=77), OUTCOMES)
    said = export(study, database[0], table=database[1])
    assert said.startswith(f"1 rows added and {len(HOSTILE)} updated in")
    found = lines(database)
    assert len(found) == len(HOSTILE) + 1
    assert [line["encoder"] for line in found if line["method"] == "renamed"] == [row.encoder]


def test_the_types_are_those_that_are_stated(study, database):
    export(study, database[0], table=database[1])
    engine = create_engine(database[0])
    found = {column["name"]: column for column in inspect(engine).get_columns(database[1])}
    key = inspect(engine).get_pk_constraint(database[1])["constrained_columns"]
    engine.dispose()
    names = {"text": ("TEXT", "VARCHAR(16)"), "integer": ("BIGINT",), "real": ("DOUBLE",)}
    for column in COLUMNS:
        said = str(found[column.name]["type"]).removesuffix(" PRECISION").removesuffix("_PRECISION")
        assert said in names[column.kind], column.name
        assert found[column.name]["nullable"] == column.optional
    assert key == ["digest"]


def test_exports_at_the_same_time_leave_each_row_once(study, database):
    meet, said = threading.Barrier(4), []

    def run():
        meet.wait()
        said.append(export(study, database[0], table=database[1]))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(said) == 4
    assert [parsed(line) for line in lines(database)] == expected()


def test_rows_added_meanwhile_are_updated_at_the_next_attempt(study, database, monkeypatch):
    """The look finds nothing, another export commits, the insert fails: as if they had met."""
    from vireo.store import database as module

    export(study, database[0], table=database[1])
    looks = []

    def blind(connection, table, rows, look=module._write):
        looks.append(1)
        if len(looks) == 1:
            connection.execute(table.insert(), rows)
        return look(connection, table, rows)

    monkeypatch.setattr(module, "_write", blind)
    assert f"0 rows added and {len(HOSTILE)} updated" in export(
        study, database[0], table=database[1]
    )
    assert len(looks) == 2
    assert [parsed(line) for line in lines(database)] == expected()


def test_all_rows_or_none(study, database):
    """A row that the database refuses takes the others with it, and the next export mends all."""
    export(study, database[0], table=database[1])
    engine = create_engine(database[0])
    quoted = engine.dialect.identifier_preparer.quote(database[1])
    with engine.begin() as connection:
        connection.execute(
            text(f"CREATE UNIQUE INDEX {database[1][6:15]}_seeds ON {quoted} (seed)")
        )
    engine.dispose()
    store = ResultStore(StudyFolder(study).results)
    for name, seed in (("fine", 50), ("clash", 0)):
        store.write(make_row(seed, encoder=name), OUTCOMES)
    with pytest.raises(StoreError, match="refused, and nothing was stored"):
        export(study, database[0], table=database[1])
    assert [parsed(line) for line in lines(database)] == expected()


def test_a_table_of_somebody_else_is_refused(study, database):
    engine = create_engine(database[0])
    quoted = engine.dialect.identifier_preparer.quote(database[1])
    with engine.begin() as connection:
        connection.execute(text(f"CREATE TABLE {quoted} (digest VARCHAR(16), score FLOAT)"))
    engine.dispose()
    with pytest.raises(StoreError, match=r"lacks the columns encoder, method, .*--table"):
        export(study, database[0], table=database[1])


def test_a_name_that_postgresql_cannot_hold_is_refused_whole(study, database):
    store = ResultStore(StudyFolder(study).results)
    store.write(make_row(seed=5, encoder="nul\0"), OUTCOMES)
    if database[0].startswith("sqlite"):
        export(study, database[0], table=database[1])
        assert "nul\0" in [line["encoder"] for line in lines(database)]
        return
    with pytest.raises(StoreError, match="NUL"):
        export(study, database[0], table=database[1])
    assert lines(database) == []


@pytest.mark.parametrize(
    ("address", "error", "said"),
    [
        ("nonsense://host/x", SettingError, "knows no database 'nonsense'"),
        ("mysql+pymysql://u:SECRET@host/x", MissingExtraError, "pip install pymysql"),
        ("postgresql://u:SECRET@127.0.0.1:1/x?password=SECRET", StoreError, "refused"),
        ("sqlite:////nowhere/at/all.sqlite", StoreError, "unable to open"),
        ("postgresql://u:SECRET@host:port/x", SettingError, "written dialect://user"),
        ("://SECRET", SettingError, "written dialect://user"),
    ],
)
def test_what_cannot_be_reached_is_said_without_the_password(study, address, error, said):
    with pytest.raises(error, match=said) as caught:
        export(study, address)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("name", ["postgres", "postgresql"])
def test_an_address_without_driver_takes_ours(name):
    """SQLAlchemy's own choice depends on its version, and `postgres` is none of its names."""
    from vireo.store.database import _url

    assert _url(f"{name}://me@host/lab") == make_url("postgresql+psycopg://me@host/lab")
    assert _url(f"{name}+asyncpg://me@host/lab").drivername == f"{name}+asyncpg"
