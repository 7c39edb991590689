"""Consoles of jobs that ended go by age, then by size; those of jobs that may go on never."""

import time

import pytest
import sqlalchemy as sa

from firstbad.errors import UserError
from firstbad.home import Home
from firstbad.job import Job
from firstbad.session.housekeeping import keep_days, tidy
from firstbad.store import Store
from firstbad.store.tables import events

DAY = 86_400.0


@pytest.fixture
def made(tmp_path):
    """Jobs that ended 100, 10 and 1 days ago, one that was interrupted 100 days ago; 1,000 bytes of consoles each."""
    place = Home(tmp_path, 1 << 30)
    store = Store(place.database)
    for days, kind in ((100, "finished"), (10, "failed"), (1, "finished"), (100, "run")):
        number = store.submit(Job(repo=tmp_path, config=tmp_path / "c", repro=tmp_path / "r"))
        store.append(number, kind, {"error": "x", "status": "found", "commits": ["a"], "title": "t"})
        past = sa.update(events).where(events.c.job_id == number).values(time=time.time() - days * DAY)
        store.database.write(lambda connection, _, past=past: connection.execute(past))
        consoles = place.job(number) / "consoles"
        consoles.mkdir(parents=True)
        (consoles / "a-000.txt").write_bytes(b"x" * 1000)
        (place.job(number) / "bisect.log").write_text("kept")
    return store, place


def left(place):
    return sorted(int(path.parent.name) for path in (place.root / "jobs").glob("*/consoles"))


def test_by_age(made):
    store, place = made
    assert tidy(store, place, days=30, limit=1 << 30) == 1000
    assert left(place) == [2, 3, 4]
    assert (place.job(1) / "bisect.log").read_text() == "kept"
    assert len(store.events(1)) == 1
    assert tidy(store, place, days=30, limit=1 << 30) == 0


def test_by_size_oldest_first(made):
    store, place = made
    assert tidy(store, place, days=0, limit=2500) == 2000
    assert left(place) == [3, 4]
    assert tidy(store, place, days=0, limit=0) == 1000
    assert left(place) == [4]


def test_what_is_not_in_the_store_is_not_ours(made):
    store, place = made
    for name in ("99", "notes"):
        (place.root / "jobs" / name / "consoles").mkdir(parents=True)
    tidy(store, place, days=0.001, limit=0)
    assert (place.root / "jobs/99/consoles").is_dir()
    assert (place.root / "jobs/notes/consoles").is_dir()


def test_limits_that_are_none(monkeypatch):
    for text in ("x", "-1", "nan"):
        monkeypatch.setenv("FIRSTBAD_KEEP_DAYS", text)
        with pytest.raises(UserError, match="FIRSTBAD_KEEP_DAYS"):
            keep_days()
