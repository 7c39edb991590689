"""How long it is to the deadline, in the live view and in plain lines."""

import time

import pytest
from rich.console import Console

from firstbad.cli import live
from firstbad.session import State
from firstbad.session.state import apply
from firstbad.store import Event


@pytest.mark.parametrize(("seconds", "words"), [(5400, "1 h 30 min to the deadline"), (-1, "the deadline has passed")])
def test_both_views_tell_it(seconds, words, monkeypatch):
    console = Console(record=True, width=200, force_terminal=False)
    monkeypatch.setattr(live, "err", console)
    state, event = State(), Event(0, 0.0, "deadline", {"at": time.time() + seconds})
    apply(state, event)
    live.PlainView().event(event, state)
    assert words in console.export_text()
    view = live.LiveView("job 1")
    view.event(event, state)
    console.print(view._render())
    assert words in console.export_text()


def test_without_one_nothing_is_told():
    assert live.deadline_words(State()) == ""
