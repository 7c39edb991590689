"""The recipes that bisect a kernel, typed as they stand in the documentation: real builds, real machines.

``linux`` is a clone of the demo's history in which the tags that the pages name stand for a revision with a bug and one
from before it; so all recipes are about the same few kernels, which are built once.
"""

import json
import os
import shutil
import subprocess
import time

import pytest
from tests.support.pages import ROOT, blocks, check_events, programs, shell

from firstbad.demo import demo_job, make_demo
from firstbad.engine import BuildRequest
from firstbad.session.lab import make_engine
from firstbad.store import Store

pytestmark = pytest.mark.kernel
MINUTES = 25 * 60.0


@pytest.fixture(scope="module")
def desk(place, tmp_path_factory):
    """A directory with what the recipes start from."""
    made = make_demo(place.root / "demo", 1)
    case = made.cases["a"]
    job = demo_job(made, case, 0.99)
    directory = tmp_path_factory.mktemp("desk")
    linux = directory / "linux"
    subprocess.run(["git", "clone", "-q", "--shared", "--no-checkout", str(made.repo), str(linux)], check=True)
    # Any revision without the bug will do as the older release; a near one, so that little is built.
    good = subprocess.run(
        ["git", "-C", str(linux), "rev-parse", f"{case.culprit}~3"], check=True, capture_output=True, text=True
    ).stdout.strip()
    for tag, commit in (("v6.12", case.start), ("v6.11", good)):
        subprocess.run(["git", "-C", str(linux), "tag", "-f", tag, commit], check=True, capture_output=True)
    engine = make_engine(place, job)
    try:
        built = engine.build(BuildRequest(made.repo, case.start)).result()
    finally:
        engine.close()
    shutil.copy(built.directory / "config", directory / ".config")  # a whole one, as people have it
    shutil.copy(job.repro, directory / "crash.c")
    shutil.copy(job.repro, directory / "repro.c")
    store = Store(place.database)
    return directory, case, lambda: max(stored.id for stored in store.jobs()), time.time()


def run(desk, name, page="howto.md"):
    directory, _, newest, _ = desk
    path = f"{programs(directory / 'bin')}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "TITLE": desk[1].title}
    found = [block for block in blocks(ROOT / "docs" / page) if block.mark == f"kernel: {name}"]
    assert found
    # On a reader's machine it is the first job.
    return [
        shell(block.text.replace("test 1 ", f"test {newest()} "), directory, environment, MINUTES) for block in found
    ]


def test_own_tree(desk):
    said, tested = run(desk, "own tree")
    assert desk[1].culprit[:12] in said
    assert desk[1].culprit[:12] in (desk[0] / "crash.html").read_text()
    assert "not seen" in tested


def test_what_the_tutorial_looks_at_after_the_demo(desk):
    said = run(desk, "demo", "tutorial.md")
    assert desk[1].culprit[:12] in said[0]


def test_syzbot(desk):
    assert desk[1].culprit[:12] in run(desk, "syzbot")[0]


def test_ci(desk):
    run(desk, "ci")
    assert json.loads((desk[0] / "answer.json").read_text())["commits"] == [desk[1].culprit]
    assert "<testsuite" in (desk[0] / "bisection.xml").read_text()


def test_a_fleet_on_one_machine(desk):
    assert desk[1].culprit[:12] in run(desk, "fleet")[0]


def test_each_event_is_as_it_is_described(desk, place):
    store = Store(place.database)
    for stored in store.jobs():
        check_events(event for event in store.events(stored.id) if event.time > desk[3])
