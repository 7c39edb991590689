"""A store that the first release made is brought up to date, in both kinds of database.

`tests/support/store_0001.sql` has two jobs of `firstbad run`: one was overruled after its end, one failed.
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

DUMP = Path(__file__).parents[1] / "support" / "store_0001.sql"
MIGRATIONS = Path(__file__).parents[2] / "src/firstbad/store/migrations"


@pytest.fixture
def old(where, tmp_path):
    """The old database as it was written, or its rows in tables that the same migration made in PostgreSQL."""
    path = tmp_path / ("db" if "://" not in where else "copied")
    with sqlite3.connect(path) as raw:
        raw.executescript(DUMP.read_text())
    if "://" in where:
        engine = sa.create_engine(where)
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "0001")
            for table in ("jobs", "events"):
                rows = raw.execute(f"select * from {table}").fetchall()
                marks = ", ".join(["%s"] * len(rows[0]))
                for row in rows:
                    connection.exec_driver_sql(f"insert into {table} values ({marks})", row)
                most = f"select setval('{table}_id_seq', (select max(id) from {table}))"
                connection.exec_driver_sql(most)
        engine.dispose()
    raw.close()
    return where


def test_an_old_store_is_brought_up_to_date(old):
    store = Store(old)
    first, second = store.job(1), store.job(2)
    assert (first.standing, second.standing) == ("reopened", "failed")
    for job in (first, second):
        events = store.events(job.id)
        assert job.state == job_state(events, False)
        assert job.seq == events[-1].seq
        assert (job.builds, job.runs) == tuple(sum(e.kind == kind for e in events) for kind in ("build", "run"))
    assert (first.runs, first.kind, first.queued, first.project) == (8, "cause", False, "default")
    assert [one.id for one in store.page(Filter(standing=["failed"])).jobs] == [2]
    assert store.append(1, "told", {}).seq == 31
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
    assert found == [30] * 6
