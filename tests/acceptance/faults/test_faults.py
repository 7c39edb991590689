"""A small part of the fault campaign, with fixed seeds: each kind of fault once. All of it: see docs/faults.md."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.acceptance.faults import checks
from tests.acceptance.faults.kinds import KINDS, NEEDS_MOUNTS
from tests.acceptance.faults.sessions import Ended

_ROOT = Path(__file__).parents[3]

for tool in ("gcc", "ccache", "make", "setpriv", "git"):
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed", allow_module_level=True)


def campaign(*words: str) -> tuple[int, list[dict]]:
    command = [sys.executable, "-m", "tests.acceptance.faults", "--json", *words]
    done = subprocess.run(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_each_kind_of_fault_once(tmp_path):
    status, told = campaign("--seeds", f"0-{len(KINDS) - 1}", "--jobs", "1", "--keep", str(tmp_path / "kept"))
    assert {row["seed"]: row["wrong"] for row in told if row["wrong"]} == {}
    assert status == 0
    assert {row["kinds"][0] for row in told} >= {kind.name for kind in KINDS if kind.name not in NEEDS_MOUNTS}
    assert sum(row["outcome"] != "not reached" for row in told) > len(told) / 2


@pytest.mark.optional
def test_several_hundred_seeds(tmp_path):
    status, told = campaign("--seeds", os.environ.get("FAULTS_SEEDS", "400"), "--keep", str(tmp_path / "kept"))
    assert {row["seed"]: row["wrong"] for row in told if row["wrong"]} == {}
    assert status == 0


# The checks themselves: what must not be is seen.


def ended(status: int, out: str = "", err: str = "", hung: bool = False) -> Ended:
    return Ended(status, out, err, True, "", 1.0, hung)


@pytest.mark.parametrize(
    ("session", "finding"),
    [
        (ended(0, '{"status": "found", "commits": ["other"]}'), "another answer"),
        (ended(10, '{"status": "candidates"}', "?"), "exit status 10"),
        (ended(150, "", 'Traceback (most recent call last):\n  File "x"\nOSError: y'), "a traceback"),
        (ended(128), "without a word"),
        (ended(-9, hung=True), "hung"),
    ],
)
def test_a_session_that_ends_wrong_is_found(session, finding):
    assert any(finding in one for one in checks.outcome(session, json.loads(session.out or "{}"), "culprit")[1])


def test_a_session_that_ends_right_is_not(tmp_path):
    found = {"status": "found", "commits": ["culprit"]}
    assert checks.outcome(ended(0), found, "culprit") == ("found", [])
    assert checks.outcome(ended(128, "", "firstbad: no room"), {"status": "infra_failure"}, "culprit") == (
        "could not",
        [],
    )


def test_events_that_are_lost_or_changed_are_found():
    before = [(1, 0, 1.0, "started", "{}"), (1, 1, 2.0, "run", "{}")]
    assert checks.lost(before, [*before, (1, 2, 3.0, "mark", "{}")]) == []
    assert checks.lost(before, before[:1])
    assert checks.lost(before, [before[0], (1, 1, 2.0, "run", '{"other": 1}')])


def test_what_is_left_behind_is_found(tmp_path):
    for place in ("home/builders/0", "tmp", "user", "repo/.git/refs"):
        (tmp_path / "in" / place).mkdir(parents=True)
    (tmp_path / "in/repo/.git/HEAD").write_text("ref: refs/heads/master")
    usual, before = checks.names(tmp_path / "in/home"), checks.contents(tmp_path / "in/repo")
    assert checks.left_behind(tmp_path, usual, before) == []
    for left in ("home/builders/0/new-x", "tmp/x", "user/x", "repo/.git/index.lock", "other"):
        (tmp_path / "in" / left).write_text("")
        assert len(checks.left_behind(tmp_path, usual, before)) == 1, left
        (tmp_path / "in" / left).unlink()
    (tmp_path / "in/repo/.git/HEAD").write_text("ref: refs/heads/other")
    assert checks.left_behind(tmp_path, usual, before)
