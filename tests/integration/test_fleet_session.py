"""A whole bisection on a fleet: real hosts, real builds of the miniature tree, several revisions at once, a kill."""

import signal
import subprocess
import sys
import time
from collections import Counter

import pytest
from tests.support.fleet_session import SPEC, session
from tests.support.fleets import Fleet
from tests.support.histories import History, miniature
from tests.unit.test_session import job_for
from tests.unit.test_session_several import interleaved

from firstbad.history.git import Repo
from firstbad.home import Home
from firstbad.report import read_log, write
from firstbad.session import bisection_log
from firstbad.session.state import fold
from firstbad.store import Store

REVISIONS, BAD = 16, 11


@pytest.fixture
def history(tmp_path):
    made = History(tmp_path / "repo")
    tree = miniature()
    made.commit("r0", tree | {"include/value.h": "#define VALUE 0\n"})
    for i in range(1, REVISIONS):
        made.commit(f"r{i}", {"include/value.h": f"#define VALUE {i}\n"})
    return made


@pytest.fixture
def fleet(tmp_path):
    made = Fleet(tmp_path / "fleet")
    yield made
    made.close()


def test_two_builders_test_several_revisions_and_a_kill_costs_what_was_under_way(history, fleet):
    fleet.hub()
    for name in ("h1", "h2"):
        fleet.host(name, slots="build=1,machine=4")
    root = fleet.root
    fleet.engine(SPEC, 2).close()  # both have joined
    store = Store(Home(root / "session", 1 << 30).database)
    number = store.submit(job_for(history, good=[history.commits["r0"]]))
    words = [str(root), str(number), fleet.address, str(BAD)]
    process = subprocess.Popen([sys.executable, "-m", "tests.support.fleet_session", *words])
    deadline = time.monotonic() + 120
    while sum(event.kind == "mark" for event in store.events(number)) < 5:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait(20)
    before = store.events(number)
    assert before[-1].kind != "finished"
    made = [fleet.built_by(name) for name in ("h1", "h2")]

    finished = session(root, number, fleet.address, BAD).run()
    assert (finished["status"], finished["commits"]) == ("found", [history.commits[f"r{BAD}"]])
    events = store.events(number)
    assert events[: len(before)] == before
    assert interleaved(events) > 0, "runs of several revisions were under way at once"
    told = Counter(event.data["commit"] for event in events if event.kind == "build")
    assert set(told.values()) == {1}
    state = fold(events)
    assert all(test.mark is not None for test in state.tests if test.runs and state.is_open(test.commit))
    log = bisection_log(store.job(number).job, events)
    assert write(read_log(log)) == log
    again = [fleet.built_by(name) for name in ("h1", "h2")]
    assert made[0] <= again[0]
    assert made[1] <= again[1]
    titles = {Repo(history.path).commit(commit).title for commit in told}
    assert len(titles) < REVISIONS
