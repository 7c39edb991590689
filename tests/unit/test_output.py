"""What reaches a terminal: nothing that steers it, nothing that hides what it says, and no markup."""

import io
import json
import re

import pytest
from rich.console import Console
from tests.support.stories import finished_job

from firstbad.cli import live, output
from firstbad.cli.output import clean
from firstbad.session import State
from firstbad.session.state import apply, fold
from firstbad.store import Event

STEERS = "\x1b]0;owned\x07\x1b[2J\x9b31m\x90q\x9c\x08\x7f\r"
HIDES = "\u202e\u2066\u2069\u200e\u200f\u061c\u200b\u2028\u2029\ufeff\U000e0041\ud800"
MARKUP = "[/nothing][link=http://example.org/]x[/link][bold]:bomb:"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
BAD = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f" + HIDES.replace("\ud800", "") + "\ud800-\udfff]")


@pytest.mark.parametrize("sign", sorted({sign for sign in STEERS if not sign.isprintable()}))
def test_nothing_steers_a_terminal(sign):
    assert clean(f"a{sign}b") == "a\N{REPLACEMENT CHARACTER}b"


@pytest.mark.parametrize("sign", HIDES)
def test_what_is_not_to_be_seen_is_named(sign):
    assert clean(f"a{sign}b") == f"a<U+{ord(sign):04X}>b"


def test_text_stays_text():
    for text in ("a\tb\nc", "Łódź, naïve, 日本語, עברית", "\N{SPARKLES} \N{HEAVY BLACK HEART}\ufe0f"):
        assert clean(text) == text


def test_json_says_the_same_and_steers_nothing(capsys):
    said = {"title": STEERS + HIDES + "Łódź"}
    output.say_json(said)
    line = capsys.readouterr().out
    assert not BAD.search(line.rstrip("\n"))
    assert "Łódź" in line
    assert json.loads(line) == said


def test_a_whole_text_is_cleaned_on_a_terminal_alone(monkeypatch, capsys):
    output.write("a\x1b[2Jb\n")
    assert capsys.readouterr().out == "a\x1b[2Jb\n"
    monkeypatch.setattr("sys.stdout", terminal := io.StringIO())
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    output.write("a\x1b[2Jb\n")
    assert terminal.getvalue() == "a\N{REPLACEMENT CHARACTER}[2Jb\n"


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    """Those of a finished job, with all that a kernel and its authors wrote made worse."""
    done = finished_job(tmp_path_factory.mktemp("job"))
    return [Event(one.seq, one.time, one.kind, _worse(one.kind, one.data)) for one in done.store.events(1)]


def _worse(kind, data):
    evil = STEERS + HIDES + MARKUP
    wanted = {"run": ("title", "why"), "mark": ("title",), "test": ("title",), "crash": ("title",), "build": ("error",)}
    worse = {name: f"{data.get(name, '')} {evil}" for name in wanted.get(kind, ()) if name in data}
    return data | (worse if kind != "build" or data.get("error") else {})


@pytest.mark.parametrize("plain", [True, False])
def test_the_live_views(events, plain, monkeypatch):
    said = io.StringIO()
    options = {"width": 300, "force_terminal": True, "markup": False, "emoji": False, "highlight": False}
    monkeypatch.setattr(live, "err", Console(file=said, **options))
    view, state = live.PlainView() if plain else live.LiveView(f"job 1 {STEERS}{HIDES}{MARKUP}"), State()
    for event in events:
        apply(state, event)
        view.event(event, state)
        if not plain:
            view.activity(f"building {STEERS}{HIDES}{MARKUP}")
            live.err.print(view._render())
    text = _COLOURS.sub("", said.getvalue())
    assert not BAD.search(text.replace("\n", ""))
    assert "[/nothing][link=http://example.org/]x[/link][bold]:bomb:" in text
    assert "<U+202E>" in text


def test_consoles_take_no_text_for_markup(capsys):
    for console in (output.out, output.err):
        console.print(MARKUP)
    said = capsys.readouterr()
    assert said.out == said.err == MARKUP + "\n"


def test_the_worsened_events_are_a_job(events):
    assert fold(events).finished is not None
