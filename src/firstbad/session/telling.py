"""What is told of a job that is under way, in the same words on a terminal and on its page."""

from firstbad.session.outcome import outcome_words
from firstbad.session.state import State, Test
from firstbad.store import Event


def outcomes(test: Test) -> str:
    """The runs of a test in few words: ``3 crashed, 1 other crash, 4 ok (3 reached, 1 not)``."""
    if test.same_as:
        return f"same kernel as {test.same_as[:12]}"
    return outcome_words(test.runs, bool(test.data.get("project")))


def verdict_of(test: Test) -> str:
    """``good``, ``bad`` or ``skip`` of a test that has ended; empty while it is under way."""
    return str(test.mark["verdict"]) if test.mark else ""


def belief_line(state: State) -> str:
    """What is believed after the last test that taught something."""
    for test in reversed(state.tests):
        facts = test.mark or test.data
        if "left90" in facts:
            rate, what = facts["rate"], "failure" if test.data.get("project") else "crash"
            hold = "1 commit holds" if facts["left90"] == 1 else f"{facts['left90']} commits hold"
            return (
                f"{hold} 90%; most likely {facts['best'][:12]} "
                f"({facts['best_probability']:.0%}); {what} rate {rate[0]:.2f} ({rate[1]:.2f} to {rate[2]:.2f})"
            )
    return ""


def machines_line(event: Event) -> str:
    """How machines run on this host."""
    how = {"kvm": "KVM", "uml": "user-mode Linux"}.get(event.data["acceleration"], "emulated (TCG)")
    return f"{event.data['at_a_time']} machines at a time, {how}"


def time_left(state: State) -> float | None:
    """Seconds that the search expects to need, None while it can't know."""
    for test in reversed(state.tests):
        if "left_seconds" in test.data:
            return float(test.data["left_seconds"])
    return None
