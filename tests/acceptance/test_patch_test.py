"""`firstbad test` on the demo's history, for real: the culprit crashes, and without what it changed it does not."""

import json
import os
import subprocess
import sys

import pytest

from firstbad.demo import make_demo

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
    status = subprocess.run(
        ["git", "-C", made.repo, "status", "--porcelain", "--untracked-files=all"], capture_output=True, check=False
    )
    assert status.stdout == b"", "nothing is written to the repository"
