"""Stores of each earlier schema are brought up to date, in both kinds of database.

`tests/support/store_NNNN.sql` were written by firstbad when that was its schema; each has two jobs of `firstbad run`.
In the first one, one was overruled after its end and one failed; in the second, one found its commit and one failed.
"""

import sqlite3
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

from firstbad.session import job_state
from firstbad.store import Filter, Queue, Store
from firstbad.store.database import HEAD
from firstbad.store.tables import metadata

SUPPORT = Path(__file__).parents[1] / "support"
SCHEMAS = sorted(path.stem.removeprefix("store_") for path in SUPPORT.glob("store_*.sql"))
MIGRATIONS = Path(__file__).parents[2] / "src/firstbad/store/migrations"


@pytest.fixture(params=SCHEMAS)
def schema(request) -> str:
    return request.param


@pytest.fixture
def old(where, tmp_path, schema):
    """The old database as it was written, or its rows in tables that the same migrations made in PostgreSQL."""
    path = tmp_path / ("db" if "://" not in where else "copied")
    with sqlite3.connect(path) as raw:
        raw.executescript((SUPPORT / f"store_{schema}.sql").read_text())
    if "://" in where:
        engine = sa.create_engine(where)
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, schema)
            for table in ("jobs", "events"):
                rows = raw.execute(f"select * from {table}")
                names = ", ".join(f'"{column[0]}"' for column in rows.description)
                marks = ", ".join(["%s"] * len(rows.description))
                for row in rows.fetchall():
                    connection.exec_driver_sql(f"insert into {table} ({names}) values ({marks})", row)
                most = f"select setval('{table}_id_seq', (select max(id) from {table}))"
                connection.exec_driver_sql(most)
        engine.dispose()
    raw.close()
    return where


def test_every_earlier_schema_is_tried():
    made = sorted(path.name[:4] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))
    assert made[-1] == HEAD
    assert made[:-1] == SCHEMAS


def test_an_old_store_is_brought_up_to_date(old, schema):
    store = Store(old)
    first, second = store.job(1), store.job(2)
    assert (first.standing, second.standing) == ("reopened" if schema == "0001" else "finished", "failed")
    for job in (first, second):
        events = store.events(job.id)
        assert job.state == job_state(events, False)
        assert job.seq == events[-1].seq
        assert (job.builds, job.runs) == tuple(sum(e.kind == kind for e in events) for kind in ("build", "run"))
    assert (first.runs, first.kind, first.queued, first.project) == (8, "cause", False, "default")
    assert [one.id for one in store.page(Filter(standing=["failed"])).jobs] == [2]
    assert store.append(1, "told", {}).seq == first.seq + 1
    queue = Queue(store)
    assert queue.claim() is None, "what was begun at a terminal is left to it"
    assert queue.submit(first.job, key="k").number == 3
    assert queue.claim().job == 3
    with sa.create_engine(old if "://" in old else f"sqlite:///{old}").connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert connection.execute(sa.text("select version_num from alembic_version")).scalar() == HEAD


def test_many_processes_upgrade_at_once(old):
    found, errors = [], []

    def open_it():
        try:
            found.append(Store(old).job(1).seq)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert found == [found[0]] * 6
