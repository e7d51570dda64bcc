"""A folder of rows, and the databases to export it to."""

import os
import uuid

import pytest
from tests.store.rows import OUTCOMES, hostile_rows

from vireo.store import ResultStore
from vireo.store.folder import StudyFolder


@pytest.fixture
def study(tmp_path):
    root = tmp_path / "study"
    store = ResultStore(StudyFolder(root).results)
    for row in hostile_rows():
        store.write(row, OUTCOMES)
    return root


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    """The address of a database, and the name of a table that is not there yet."""
    from sqlalchemy import MetaData, create_engine

    name = f"rows 'r{uuid.uuid4().hex[:8]}\""  # a name to be quoted
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'rows.sqlite'}", name
        return
    address = os.environ.get("VIREO_TEST_POSTGRES")
    if not address:
        pytest.skip("set VIREO_TEST_POSTGRES to the address of a database; .ci/run starts one")
    yield address, name
    engine, made = create_engine(address), MetaData()
    made.reflect(engine, only=lambda table, _: table == name)
    made.drop_all(engine)
    engine.dispose()
