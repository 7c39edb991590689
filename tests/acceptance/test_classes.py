"""Bugs that are no crashes, bisected on real kernels: a boot failure and a failing test."""

import os
import subprocess

import pytest

from firstbad.demo import demo_job, make_demo
from firstbad.job import make_job
from firstbad.session import Bisection
from firstbad.store import Store

pytestmark = pytest.mark.kernel

# mlock() of nothing is refused where nothing may be locked; since "locking nothing needs no permission" it is not.
MLOCK = """
#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
int main(void) {
    struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_MEMLOCK, &none) || setuid(1000)) return 125;
    return !(mlock((void *)0x10000, 0) == -1 && errno == EPERM);
}
"""


class Quiet:
    def event(self, event, state):
        pass

    def activity(self, text):
        pass


def bisected(place, made, **fields):
    like = demo_job(made, made.cases["a"], 0.99, verify="off").model_dump(mode="json")
    job = make_job({**like, "title": "", **fields})
    store = Store(place.database)
    number = store.submit(job)
    return Bisection(store, number, place, Quiet()).run(), store.events(number)


def commit(made, what):
    """Full hash of what git names; ``:/text`` is the commit with that subject."""
    command = ["git", "-C", str(made.repo), "rev-parse", what]
    return subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ}).stdout.strip()


def test_a_revision_that_no_longer_boots(place):
    made = make_demo(place.root / "demo", 1)
    found, events = bisected(
        place,
        made,
        bug={"class": "boot"},
        commit=commit(made, made.where["boot-fix"] + "^"),
        good=[commit(made, made.where["boot"] + "~2")],
    )
    assert (found["status"], found["commits"]) == ("found", [made.where["boot"]])
    crashes = {event.data["title"] for event in events if event.kind == "run" and event.data["outcome"] == "crash"}
    assert crashes == {"kernel BUG in register_filesystem"}
    assert {event.data["outcome"] for event in events if event.kind == "run"} == {"crash", "ok"}


def test_a_test_that_fails(place, tmp_path):
    made = make_demo(place.root / "demo", 1)
    repro = tmp_path / "mlock.c"
    repro.write_text(MLOCK)
    culprit = commit(made, ":/mm/mlock: locking nothing needs no permission")
    found, events = bisected(
        place, made, bug={"class": "test"}, repro=str(repro), commit=made.cases["a"].start, good=[culprit + "~3"]
    )
    assert (found["status"], found["commits"]) == ("found", [culprit])
    assert {event.data["why"] for event in events if event.kind == "run"} == {"exit status 1", ""}
