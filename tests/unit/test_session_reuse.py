"""Runs of one job stand for those that another would make; `tests/integration/test_worker.py` has a real project."""

from concurrent.futures import Future
from dataclasses import dataclass

import pytest
from tests.support.histories import History
from tests.support.lab import Lab
from tests.support.stories import Quiet
from tests.unit.test_session import contains, job_for

from firstbad.engine import RunRequest
from firstbad.home import Home
from firstbad.session import Bisection, Hold
from firstbad.store import Queue, Store
from firstbad.vm import MachineRun


@dataclass
class Keeping(Lab):
    """A lab whose machines write consoles, and that says what its runs depend on."""

    reproducer: str = "a"

    def identity(self, kernel) -> str:
        return self.reproducer

    def run(self, request: RunRequest) -> "Future[MachineRun]":
        future = super().run(request)
        request.console.parent.mkdir(parents=True, exist_ok=True)
        request.console.write_bytes(future.result().console)
        return future


@pytest.fixture
def history(tmp_path):
    made = History(tmp_path / "linux")
    for number in range(24):
        made.commit(f"c{number}", parents=[f"c{number - 1}"] if number else [])
        if number % 8 == 0:
            made.tag(f"v6.{number // 8}", f"c{number}")
    return made


def bisect(place, store, job, lab, **more):
    queue = Queue(store)
    number = queue.submit(job, **more).number
    with Hold(queue, queue.take(number)) as hold:
        answer = Bisection(store, number, place, Quiet(), engine=lambda *_: lab, hold=hold).run()
    return number, answer


def phases(store, number):
    """Each run's phase, and whether it was another job's."""
    phase, found = "", []
    for event in store.events(number):
        phase = event.data["phase"] if event.kind == "test" else phase
        if event.kind == "run":
            found.append((phase, "reused" in event.data))
    return found


def test_runs_of_the_same_kernel_machine_and_reproducer_are_taken_over(history, tmp_path):
    place = Home(tmp_path / "home", 1 << 30)
    store = Store(place.database)
    job = job_for(history)
    labs = [Keeping(tmp_path, contains(history, "c11"), crash_rate=0.6, seed=7) for _ in range(3)]
    first, answer = bisect(place, store, job, labs[0])
    second, again = bisect(place, store, job, labs[1])
    assert again["commits"] == answer["commits"] == [history.commits["c11"]]
    assert not any(reused for _, reused in phases(store, first))
    taken = phases(store, second)
    assert any(reused for phase, reused in taken if phase == "initial")
    assert any(reused for phase, reused in taken if phase in ("release", "search"))
    assert not any(reused for phase, reused in taken if phase in ("confirm", "test")), "proofs are made anew"
    assert len(labs[1].runs) < len(labs[0].runs)
    used = [tuple(event.data["reused"].values()) for event in store.events(second) if "reused" in event.data]
    assert len(set(used)) == len(used), "no run counts twice"
    runs = {event.seq: event.data for event in store.events(first)}
    for event in store.events(second):
        if "reused" in event.data:
            other = runs[event.data["reused"]["seq"]]
            assert (event.data["outcome"], event.data["title"]) == (other["outcome"], other["title"])
            assert event.data["wall"] == 0.0
    assert len(list((place.job(second) / "consoles").iterdir())) >= len(taken)
    labs[2].reproducer = "b"
    third, _ = bisect(place, store, job, labs[2])
    assert not any(reused for _, reused in phases(store, third)), "another reproducer is another run"


def test_another_machine_or_a_private_job_of_others_gives_nothing(history, tmp_path):
    place = Home(tmp_path / "home", 1 << 30)
    store = Store(place.database)
    lab = Keeping(tmp_path, contains(history, "c11"))
    bisect(place, store, job_for(history, private=True), lab, project="secret")
    other, _ = bisect(place, store, job_for(history), lab, project="open")
    larger, _ = bisect(place, store, job_for(history, machine={"cpus": 4}), lab, project="open")
    same, _ = bisect(place, store, job_for(history, private=True), lab, project="secret")
    own = [any(reused for _, reused in phases(store, number)) for number in (other, larger, same)]
    assert own == [False, False, True]


def test_a_command_at_a_terminal_makes_its_own_runs(history, tmp_path):
    place = Home(tmp_path / "home", 1 << 30)
    store = Store(place.database)
    lab = Keeping(tmp_path, contains(history, "c11"))
    bisect(place, store, job_for(history), lab)
    number = store.submit(job_for(history))
    Bisection(store, number, place, Quiet(), engine=lambda *_: lab).run()
    assert not any(reused for _, reused in phases(store, number))
