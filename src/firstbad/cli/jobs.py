"""``status``, ``show``, ``log``, ``cancel``: commands about jobs; by default this repository's, else the last one."""

import time
from typing import Any

import click

from firstbad.cli.by_hand import by_hand, hand_json, print_hand
from firstbad.cli.here import job_here, under_way
from firstbad.cli.options import JOB
from firstbad.cli.output import duration, say, say_json, write
from firstbad.cli.remote import Server, chosen
from firstbad.cli.result import print_result
from firstbad.hand.gitlog import git_bisect_log
from firstbad.home import home
from firstbad.session import bisection_log, fold, git_log_of
from firstbad.session.result import Jobs, result_json
from firstbad.store import Store, StoredJob, open_store

_LINE = "{:>4}  {:5}  {:11}  {:17}  {:6}  {:12}  {}"
_JSON = click.option("--json", "as_json", is_flag=True, help="one JSON object a job")


def _store() -> Store:
    return open_store(home())


@click.command(epilog="Example: firstbad status")
@JOB
@_JSON
@click.option("--all", "every", is_flag=True, help="all jobs, where one is under way in this repository too")
def status(number: int | None, as_json: bool, every: bool) -> None:
    """Where jobs are: all of them, or one in detail; where one is under way in this repository, that one."""
    server = chosen()
    if server is not None:
        _remote_status(server, number, as_json)
        return
    here = by_hand() if number is None and not every else None
    if here is not None:
        say_json(hand_json(here)) if as_json else print_hand(here)
        return
    store = _store()
    running = under_way(store) if number is None and not every else None
    number = running.id if running else number
    if number is not None and not as_json:
        store.job(number)
        print_result(store, home(), number)
        return
    rows = [_row(store, stored) for stored in ([store.job(number)] if number is not None else store.jobs())]
    if as_json:
        for row in rows:
            say_json(row)
        return
    _print_rows(rows)


def _print_rows(rows: list[dict[str, Any]]) -> None:
    if not rows:
        say("no jobs yet; `firstbad demo` makes one")
        return
    say(_LINE.format("job", "kind", "state", "answer", "sure", "age", "title"), style="dim")
    for row in rows:
        commits: list[str] = row.get("commits") or []
        answer = commits[0][:12] if len(commits) == 1 else f"{len(commits)} commits" if commits else row["status"]
        sure = f"{row['confidence']:.1%}" if "confidence" in row else ""
        age = duration(row["age_seconds"])
        say(_LINE.format(row["job"], row["kind"], row["state"], answer, sure, age, row["crash_title"]))


def _remote_status(server: Server, number: int | None, as_json: bool) -> None:
    """Of all jobs only what lists show: their events are on the server."""
    if number is not None and not as_json:
        print_result(server, home(), number)
        return
    if number is not None:
        say_json(_row(server, server.job(number)))
        return
    rows = []
    for one in server.newest():
        facts = {"crash_title": one["title"], "state": one["standing"], "age_seconds": time.time() - one["created"]}
        commits = {"commits": [one["culprit"]]} if one["culprit"] else {}
        row = {**one, **facts, **commits, "status": one["status"] or "unfinished"}
        if not one["status"]:
            row.pop("confidence")  # there is no answer that it could be of
        rows.append(row)
    if not as_json:
        _print_rows(rows)
    for row in rows if as_json else ():
        say_json(row)


def _row(store: Jobs, stored: StoredJob) -> dict[str, Any]:
    events = store.events(stored.id)
    state = fold(events, stored.job.title)
    title = state.crash["title"] if state.crash else stored.job.title
    return {
        **result_json(store, stored.id),
        "state": stored.standing,
        "name": stored.job.name,
        "crash_title": title,
        "age_seconds": round(time.time() - stored.created, 1),
    }


@click.command(epilog="Example: firstbad show 3")
@JOB
@_JSON
def show(number: int | None, as_json: bool) -> None:
    """The answer of a job and what it rests on; in a work tree that is bisected by hand, of that one."""
    server = chosen()
    here = by_hand() if number is None and server is None else None
    if here is not None:
        say_json(hand_json(here)) if as_json else print_hand(here)
        return
    store: Jobs = server or _store()
    found = job_here(store, number).id if isinstance(store, Store) else store.job(number).id
    if as_json:
        say_json(result_json(store, found))
    else:
        print_result(store, home(), found)


@click.command(epilog="Example: firstbad log > bisect.log; firstbad log --git > git.log && git bisect replay git.log")
@JOB
@click.option("--git", "as_git", is_flag=True, help="for `git bisect replay`; fix: bad is where the crash is gone")
def log(number: int | None, as_git: bool) -> None:
    """The bisection log of a job, as far as it is; in a work tree that is bisected by hand, of that one."""
    server = chosen()
    if server is not None:
        wanted = server.job(number).id
        write(server.ask("GET", f"/jobs/{wanted}/log", params={"git": as_git}).text)
        return
    here = by_hand() if number is None else None
    if here is not None:
        write(git_bisect_log(here.repo, here.hand()))
        return
    store = _store()
    stored = job_here(store, number)
    events = store.events(stored.id)
    as_git = as_git or stored.job.project is not None  # of other projects git's is the log that people know
    text = git_log_of(stored.job, events) if as_git else bisection_log(stored.job, events)
    write(text)


@click.command(epilog="Example: firstbad cancel 3")
@JOB
def cancel(number: int | None) -> None:
    """Give a job up; what it learned is kept, `firstbad resume` goes on."""
    server = chosen()
    if server is not None:
        _cancel_there(server, server.job(number))
        return
    store = _store()
    stored = store.job(number)
    events = store.events(stored.id)
    if fold(events, stored.job.title).finished is not None:
        say(f"job {stored.id} is finished")
        return
    store.cancel(stored.id)
    say(f"job {stored.id} is being cancelled" if stored.running else f"job {stored.id} is cancelled")


def _cancel_there(server: Server, stored: StoredJob) -> None:
    if stored.standing == "finished":
        say(f"job {stored.id} is finished")
        return
    standing = server.ask("POST", f"/jobs/{stored.id}/cancel").json()["standing"]
    say(f"job {stored.id} is {'being cancelled' if standing == 'running' else standing}")


COMMANDS = (status, show, log, cancel)
