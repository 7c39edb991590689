"""A job's answer, for people and for scripts."""

import time
from typing import Any

from firstbad.cli.output import command, duration, say
from firstbad.errors import FirstbadError
from firstbad.history.git import Repo
from firstbad.history.graph import titles
from firstbad.home import Home
from firstbad.report.smtp import MailSettings
from firstbad.session import State, fold, verdict_of
from firstbad.session.config_words import choice_words
from firstbad.session.posting import Wishes, posting
from firstbad.session.result import Jobs
from firstbad.session.story import wall_seconds
from firstbad.session.telling import belief_line, outcomes, time_left
from firstbad.store import Event, Store, StoredJob

_MEANING = {
    "found": "",
    "candidates": "not sure enough for one commit; the culprit is one of these",
    "older_than_oldest": "the oldest tested release already has the bug",
    "not_fixed": "the crash still happens on the head",
}
_SHOWN = 40  # candidates that are printed for people


def print_result(store: Jobs, place: Home, number: int, evidence: bool = True) -> None:
    """The answer, then what it rests on."""
    stored = store.job(number)
    events = store.events(number)
    state = fold(events, stored.job.title)
    running = stored.running
    if state.finished is None and (running or state.budget is None):
        _print_open(stored, events, state, running)
        return
    if stored.job.kind == "test":
        _print_test(stored, state)
        return
    _print_answer(stored, state)
    if evidence:
        _print_evidence(state)
        if stored.job.project is None and isinstance(store, Store):
            _print_reporting(store, place, stored)
    say(
        f"\nrevisions tested: {state.revisions_tested()}, runs: {state.runs()}, total time: "
        f"{duration(wall_seconds(events))} (build: {duration(state.build_seconds())}, "
        f"test: {duration(state.test_seconds())})",
        style="dim",
    )
    say(f"log: {command()} log {number}", style="dim")


def _print_test(stored: StoredJob, state: State) -> None:
    finished = state.finished or state.budget or {}
    patch = " with the patch" if finished["patched"] else ""
    style = {"not_seen": "green", "crashes": "red"}.get(finished["status"], "yellow")
    say(f"{finished['tested'][:12]}{patch}: {finished['why']}", style=f"bold {style}")
    if "rate" in finished:
        mean, low, high = finished["rate"]
        between = f" ({low:.2f} to {high:.2f})" if low < high else ""
        say(f"crash rate: {mean:.2f}{between}, {finished['rate_from']}")
    if finished["unreached"]:
        say(f"{finished['unreached']} clean runs did not come near the code of the crash", style="yellow")
    if finished["other"]:
        say(f"{finished['other']} more runs ended in another crash and say nothing")
    say(f"log: {command()} log {stored.id}", style="dim")


def _print_answer(stored: StoredJob, state: State) -> None:
    finished = state.finished or state.budget or {}
    word = "bad" if stored.job.kind == "cause" else "good"
    if finished["status"] == "found":
        say(finished["show"])
        say(f"\nfirst {word} commit: {finished['commits'][0]} {finished['title']}", style="bold")
        say(f"probability: {finished['probabilities'][0]:.2%}")
        for claim in finished.get("claims", []):
            say(f"{claim['commit'][:12]} says that it {claim['kind']} this commit: {claim['title']}")
        if finished["noop"]:
            say(
                "the kernel is the same without it: this answer contradicts itself, do not report it",
                style="yellow",
            )
    else:
        meaning = "" if stored.job.project is not None else _MEANING.get(finished["status"])
        meaning = meaning or finished["why"]
        say(f"{finished['status']}: {meaning}", style="bold")
        if finished["boundary"]:
            which = "latest" if finished["status"] == "not_fixed" else "oldest"
            does = "crashes" if stored.job.project is None else "fails"
            say(f"{which} revision that still {does}: {finished['boundary']}")
        _print_candidates(stored, finished)
    if state.budget and not state.finished:
        say(f"go on with: {command()} resume {stored.id}", style="dim")
    if finished.get("to"):
        say(f"recipients: {', '.join(finished['to'])}")


def _print_candidates(stored: StoredJob, finished: dict[str, Any]) -> None:
    shown = finished["commits"][:_SHOWN]
    names = finished.get("titles") or {}
    if shown and not names and stored.job.repo.is_dir():
        names = titles(Repo(stored.job.repo), shown)
    for commit, probability in zip(shown, finished["probabilities"], strict=False):
        say(f"  {probability:6.2%} {commit[:12]} {names.get(commit, '')}")
    if len(finished["commits"]) > len(shown):
        say(f"  and {len(finished['commits']) - len(shown)} more (--json has them all)")
    if finished["commits"]:
        say(f"one of them with a probability of {finished['confidence']:.2%}")


def _print_evidence(state: State) -> None:
    if state.crash:
        say(f"\nthe crash: {state.crash['title']}", style="bold")
    if state.config:
        say(choice_words(state.config))
    finished, crash = state.finished or state.budget or {}, state.bug is not None or state.crash is not None
    for note in finished.get("notes", []):
        say(note, style="yellow")
    shown = [*finished["commits"][:1], *finished.get("parents", [])]
    for opinion in state.opinions:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(opinion.time))
        say(f"{when} {opinion.words()}", style="yellow")
    for commit in shown:
        tally = state.tally(commit)
        if tally.total:
            role = "culprit" if finished["status"] == "found" else "likeliest"
            role = role if commit in finished["commits"] else "parent "
            say(
                f"{role} {commit[:12]}: {tally.crashes} of {tally.total} runs "
                f"{'crashed with it' if crash else 'failed'}"
                + (f", {tally.lost} with another bug" if tally.lost else "")
            )
    if "proof" in finished:
        style = {"gone": "green", "still": "red"}.get(finished["proof"]["verdict"], "yellow")
        say(f"proof: {finished['proof']['why']}", style=style)


def _print_reporting(store: Store, place: Home, stored: StoredJob) -> None:
    """Who was told, or what speaks against telling."""
    try:
        made = posting(place, store, stored, MailSettings.read(place.mail_settings), Wishes())
    except FirstbadError as error:
        say(f"no report: {error}", style="yellow")
        return
    if made.corrects:
        say(f"the mail {made.corrects} says otherwise; `firstbad mail {stored.id}` corrects it", style="yellow")
    for held in made.held:
        say(f"report held back: {held.reason}", style="yellow")
    if not made.held and not made.corrects:
        say(f"nothing holds a report back: firstbad mail {stored.id}", style="dim")


def _print_open(stored: StoredJob, events: list[Event], state: State, running: bool) -> None:
    where = stored.standing
    say(f"job {stored.id}: {stored.job.kind} bisection, {where}", style="bold")
    failed = next((event.data["error"] for event in reversed(events) if event.kind == "failed"), "")
    if failed and where == "failed":
        say(f"why: {failed}")
    for test in state.tests[-8:]:
        verdict = verdict_of(test) or "..."
        say(f"  {test.data['phase']:8} {test.commit[:12]} {verdict:5} {outcomes(test)}  {test.data['title']}")
    for opinion in state.opinions:
        say(opinion.words(), style="yellow")
    if belief_line(state):
        say(belief_line(state))
    left = time_left(state)
    if running and left is not None:
        say(f"about {duration(left)} left (as of {duration(time.time() - events[-1].time)} ago)")
    if not running:
        say(f"go on with: {command()} resume {stored.id}", style="dim")
