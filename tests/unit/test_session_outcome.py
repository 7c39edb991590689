"""What one run says, by how it ended and what the console shows."""

import pytest
from tests.support.lab import OOPS, WARNING

from firstbad.crash import Bug
from firstbad.session.outcome import from_event, judge, to_event
from firstbad.vm import MachineRun

TITLE = "BUG: unable to handle kernel NULL pointer dereference in demo_read"
CRASH = OOPS.replace("FUNC", "demo_read")
BUG = Bug([TITLE])


def ended(how, console="", *, booted=True):
    return MachineRun(how, booted, console.encode(), None, 1.0, 1.0, "what the machine said")


@pytest.mark.parametrize(
    ("run", "bug", "outcome", "title"),
    [
        (ended("panic", CRASH), BUG, "crash", TITLE),
        (ended("panic", CRASH), None, "crash", TITLE),
        (ended("panic", WARNING), BUG, "other", "WARNING in other_thing"),
        (ended("panic", WARNING), None, "crash", "WARNING in other_thing"),
        (ended("finished", "[ 0.1] Linux version 6.12\n"), BUG, "ok", ""),
        (ended("timeout"), BUG, "ok", ""),
        (ended("hang"), BUG, "other", "no output from test machine"),
        (ended("hang"), Bug(["no output from test machine"]), "crash", "no output from test machine"),
        (ended("lost"), BUG, "other", "lost connection to test machine"),
        (ended("lost"), None, "crash", "lost connection to test machine"),
        (ended("lost", CRASH), BUG, "crash", TITLE),
        (ended("infrastructure"), BUG, "infra", "what the machine said"),
        (ended("boot-failed", booted=False), BUG, "boot", "what the machine said"),
        (ended("boot-failed", WARNING, booted=False), BUG, "boot", "WARNING in other_thing"),
    ],
)
def test_outcomes(run, bug, outcome, title):
    found = judge(run, bug)
    assert (found.outcome, found.title) == (outcome, title)
    again = from_event(to_event(found))
    assert (again.outcome, again.title, again.verdict()) == (found.outcome, found.title, found.verdict())
    assert (again.report is None) == (found.report is None)
