"""`firstbad test` on the demo's history, for real: the culprit crashes, and without what it changed it does not."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from tests.support.processes import machines_of

from firstbad.demo import make_demo
from firstbad.store import Store

pytestmark = pytest.mark.kernel


def firstbad(*args: object, **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "firstbad", *map(str, args)],
        stdout=subprocess.PIPE, env=os.environ, text=True, check=False, **more,
    )  # fmt: skip


def test_the_culprit_with_and_without_its_change(place):
    made = make_demo(place.root / "demo", 1)
    case = made.cases["a"]
    culprit = case.culprit
    revert = subprocess.run(
        ["git", "-C", made.repo, "diff", culprit, f"{culprit}^"], check=True, capture_output=True, text=True
    ).stdout
    job = ["--repo", made.repo, "--config", case.config, "--config-base", "tinyconfig", "--repro", case.repro,
           "--cpus", case.cpus]  # fmt: skip
    patched = firstbad("test", *job, "--start", culprit, "--rev", culprit, "--patch", "-", "--json", input=revert)
    found = json.loads(patched.stdout)
    assert (patched.returncode, found["status"]) == (0, "not_seen"), found
    assert found["chance"] <= 0.01
    assert found["tested"] == culprit
    assert found["patched"] is True
    plain = firstbad("test", found["job"], "--json")
    crashed = json.loads(plain.stdout)
    assert (plain.returncode, crashed["status"]) == (1, "crashes"), crashed
    assert crashed["crashes"] >= 1
    killed_and_resumed(place, found["job"], revert)
    status = subprocess.run(
        ["git", "-C", made.repo, "status", "--porcelain", "--untracked-files=all"], capture_output=True, check=False
    )
    assert status.stdout == b"", "nothing is written to the repository"


def killed_and_resumed(place, known: int, revert: str) -> None:
    """``kill -9`` of a test of which some runs are made loses none of them."""
    store = Store(place.database)
    last = store.job().id
    command = [sys.executable, "-m", "firstbad", "test", str(known), "--patch", "-", "--target", "0.9999", "--plain"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, env=os.environ, text=True, start_new_session=True)
    process.stdin.write(revert)
    process.stdin.close()
    until = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < until:
        if store.job().id > last and any(event.kind == "run" for event in store.events(store.job().id)):
            break
        time.sleep(0.05)
    assert process.poll() is None, "the test was over before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    number = store.job().id
    time.sleep(1)
    assert machines_of(place.root) == []
    before = store.events(number)
    resumed = firstbad("resume", number, "--json")
    assert resumed.returncode == 0, resumed.stdout
    after = store.events(number)
    assert after[: len(before)] == before
    made = [event for event in after if event.kind == "run"]
    assert json.loads(resumed.stdout)["runs"] == len(made)
    assert [event.kind for event in after].count("learned") == 1
    assert after[-1].data["chance"] <= 1e-4
