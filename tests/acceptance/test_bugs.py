"""The demo's bugs, bisected for real; bug (c) is in test_kill9.py."""

import json
import os
import subprocess
import sys

import pytest

from firstbad.report import read_log, write

pytestmark = pytest.mark.kernel


# What the clean runs beside the culprit (g-fix: after it) say of the crash's code.
REACHED = {
    "a": "clean runs came to do_timer_create",
    "b": "clean runs came to free_msg",
    "g-cause": "reach: absent: the source has no tasksum_show",
    "g-fix": "clean runs came to tasksum_show",
}


def firstbad(*args: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "firstbad", *args], stdout=subprocess.PIPE, env=os.environ, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize("bug", ["a", "g-cause", "g-fix", "b"])
def test_the_right_commit(place, bug):
    verify = "clean" if bug == "a" else "off"  # it takes minutes, once for all
    row = json.loads(firstbad("demo", "--bug", bug, "--json", "--verify", verify))
    assert row["verdict"] == "right", row
    assert row["confidence"] >= 0.99
    assert (row["truth"] in row.get("verified", [])) == (verify == "clean")
    log = firstbad("log", str(row["job"]))
    assert write(read_log(log)) == log
    side = "good" if bug == "g-fix" else "bad"
    assert f"first {side} commit: {row['truth']} " in log
    assert REACHED[bug] in log
    assert "not even near" not in log
