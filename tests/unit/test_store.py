"""The event log in real SQLite."""

import multiprocessing
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from firstbad.errors import InfrastructureError, NotFoundError
from firstbad.job import Job
from firstbad.store import Store
from firstbad.store.store import HEAD
from firstbad.store.tables import metadata


@pytest.fixture
def job(tmp_path):
    return Job(repo=tmp_path, config=tmp_path / "c", repro=tmp_path / "r")


def test_jobs_and_events_come_back_as_they_were(tmp_path, job):
    store = Store(tmp_path / "new" / "db")
    first, second = store.submit(job), store.submit(job.model_copy(update={"title": "BUG"}))
    assert store.job().id == second
    assert store.job(first).job == job
    store.append(first, "run", {"title": "a\x00b \udc80".encode("utf-8", "replace").decode(), "n": 1.5})
    store.append(second, "run", {})
    store.append(first, "mark", {"deep": {"list": [1, None, True]}})
    again = Store(tmp_path / "new" / "db")
    assert [(event.seq, event.kind) for event in again.events(first)] == [(0, "run"), (1, "mark")]
    assert [event.kind for event in again.events(first, after=0)] == ["mark"]
    assert again.events(first)[1].data == {"deep": {"list": [1, None, True]}}
    with pytest.raises(NotFoundError, match="there is no job 99"):
        again.job(99)


def test_cancel_and_take_it_back(tmp_path, job):
    store = Store(tmp_path / "db")
    number = store.submit(job)
    store.cancel(number)
    assert store.job(number).cancelled
    store.cancel(number, False)
    assert not store.job(number).cancelled


def append_many(path: Path, number: int) -> None:
    store = Store(path)
    for i in range(25):
        store.append(number, "run", {"i": i})


def test_several_processes_append_to_one_job(tmp_path, job):
    path = tmp_path / "db"
    number = Store(path).submit(job)
    workers = [multiprocessing.get_context("spawn").Process(target=append_many, args=(path, number)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [event.seq for event in Store(path).events(number)] == list(range(75))


def test_the_migrations_make_the_tables(tmp_path):
    store = Store(tmp_path / "db")
    engine = sa.create_engine(f"sqlite:///{store.path}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    migrations = Path(__file__).parents[2] / "src/firstbad/store/migrations"
    assert ScriptDirectory(str(migrations)).get_current_head() == HEAD


def test_a_file_that_is_no_database(tmp_path):
    (tmp_path / "db").write_text("something else entirely, long enough to be read as a header of a file")
    with pytest.raises(InfrastructureError, match="db: file is not a database"):
        Store(tmp_path / "db")


def test_events_are_durable_when_append_returns(tmp_path, job):
    store = Store(tmp_path / "db")
    number = store.submit(job)
    store.append(number, "run", {})
    with sqlite3.connect(tmp_path / "db") as raw:
        assert raw.execute("select count(*) from events").fetchone() == (1,)


def test_a_place_that_can_not_be_written_is_named(tmp_path, job):
    store = Store(tmp_path / "db")
    (tmp_path / "db-writer").unlink()
    (tmp_path / "db-writer").mkdir()  # as for who may not write there; root may everywhere
    number = store.submit(job)
    assert store.append(number, "run", {}).seq == 0
    with store.database._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only = 1")
        connection.rollback()
    with pytest.raises(InfrastructureError, match="readonly"):
        store.submit(job)
