"""``kill -9`` of the whole process tree, five times at random moments of one bisection of a real race."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.support.processes import machines_of

from firstbad.demo import demo_job, make_demo
from firstbad.store import Store

pytestmark = pytest.mark.kernel


def tree(root: int) -> list[int]:
    """A process and all its descendants."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, todo = [], [root]
    while todo:
        found.append(todo.pop())
        todo += parents.get(found[-1], [])
    return found


def test_kill_9_and_resume(place):
    made = make_demo(place.root / "demo", 2)
    case = made.cases["c"]
    store = Store(place.database)
    number = store.submit(demo_job(made, case, 0.99, verify="off"))
    command = [sys.executable, "-m", "firstbad", "resume", str(number), "--plain"]
    moments = random.Random(2)
    kills, seen = 0, []
    while True:
        process = subprocess.Popen(command, env=os.environ, start_new_session=True)
        try:
            process.wait(moments.uniform(2.5, 8) if kills < 5 else 1800)
            assert kills == 5 or process.returncode == 0
            break
        except subprocess.TimeoutExpired:
            for pid in tree(process.pid):
                # the tree's root goes first; what it started may follow it by itself before its turn
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()
            kills += 1
        time.sleep(1)
        assert machines_of(place.root) == [], "no machine is left behind"
        now = store.events(number)
        assert now[: len(seen)] == seen, "nothing that was recorded is lost or changed"
        seen = now
    events = store.events(number)
    assert process.returncode == 0
    assert kills >= 3, "the bisection was over before it could be killed often enough"
    assert machines_of(place.root) == []
    assert events[-1].kind == "finished"
    assert events[-1].data["status"] == "found"
    assert events[-1].data["commits"] == [case.culprit]
    built = Counter(event.data["commit"] for event in events if event.kind == "build")
    assert max(built.values()) == 1, "no revision is built twice"
