"""``mark`` and ``reject``: people overrule what was run, signed, and take it back."""

import getpass
import socket
from typing import cast

import click

from firstbad.cli.output import say
from firstbad.errors import UserError
from firstbad.history.git import Repo
from firstbad.home import home
from firstbad.job import Job
from firstbad.session import fold, is_running, pinned
from firstbad.session.opinions import Opinion, Opinions, Says
from firstbad.store import Store

_LONGEST = 2000  # characters of a reason

_JOB = click.option("--job", "number", type=int, help="which job  [default: the last one]")
_UNDO = click.option("--undo", is_flag=True, help="take it back")


@click.command(epilog="Example: firstbad mark v6.11 good --why 'ran it by hand for a day'")
@click.argument("revision", metavar="REV")
@click.argument("verdict", type=click.Choice(["good", "bad", "ignore"]), required=False)
@click.option("--why", default="", help="the reason; it is kept with your name")
@_JOB
@_UNDO
def mark(revision: str, verdict: str | None, why: str, number: int | None, undo: bool) -> None:
    """Overrule what was run at a revision: the crash is there (bad), is not (good), or its runs say nothing (ignore).

    Good and bad are of the crash, in a search for a fix too. The runs of the revision no longer count, and it is not
    run again, until --undo. What you say is evidence like any other: much, if what is seen elsewhere does not
    contradict it. A job that was finished is open again; `firstbad resume` goes on from there.
    """
    if not undo and (verdict is None or not why.strip()):
        raise UserError("say good, bad or ignore, and --why: others have to be able to judge it")
    store = Store(home().database)
    stored = store.job(number)
    commit = Repo(stored.job.repo).resolve(revision)
    _check_start(store, stored.id, stored.job, commit)
    before = _opinions(store, stored.id).standing.get((commit, False))
    if undo and before is None:
        raise UserError(f"nobody marked {commit[:12]} in job {stored.id}")
    says = before.says if undo and before else cast(Says, verdict)
    _record(store, stored.id, Opinion(commit, says, _who(stored.job), why[:_LONGEST], undo=undo))


@click.command(epilog="Example: firstbad reject 3 --why 'reverted it: the crash stays'")
@click.argument("number", metavar="[JOB]", type=int, required=False)
@click.option("--why", default="", help="the reason; it is kept with your name")
@_UNDO
def reject(number: int | None, why: str, undo: bool) -> None:
    """Say that the culprit of a job (the last one by default) is wrong.

    It becomes improbable, and the runs that led to it, its own and its parents', are doubted; `firstbad resume` goes
    on from there. If all else contradicts you, it may be named again.
    """
    store = Store(home().database)
    stored = store.job(number)
    if stored.job.kind == "test":
        raise UserError(f"job {stored.id} is the test of one revision: it names no culprit")
    if undo:
        rejected = [one for one in _opinions(store, stored.id) if one.says == "wrong"]
        if not rejected:
            raise UserError(f"nobody rejected a culprit of job {stored.id}")
        opinion = rejected[-1]
        commit, parents = opinion.commit, opinion.parents
    else:
        if not why.strip():
            raise UserError("say --why: others have to be able to judge it")
        # The last answer, though somebody overruled a revision since.
        answers = [event.data for event in store.events(stored.id) if event.kind == "finished"]
        finished = answers[-1] if answers else {}
        if finished.get("status") != "found":
            raise UserError(f"job {stored.id} names no culprit; `firstbad mark` is about single revisions")
        commit = finished["commits"][0]
        parents = Repo(stored.job.repo).commit(commit).parents
    said = Opinion(commit, "wrong", _who(stored.job), why[:_LONGEST], undo=undo, parents=parents)
    _record(store, stored.id, said)


def _check_start(store: Store, number: int, job: Job, commit: str) -> None:
    if job.kind == "test":
        raise UserError(f"job {number} is the test of one revision: there is nothing to overrule")
    start = Repo(job.repo).resolve(pinned(job, store.events(number)).commit)
    if commit == start:
        raise UserError(f"{commit[:12]} is where the crash was seen: what is searched for is what its runs showed")


def _opinions(store: Store, number: int) -> Opinions:
    return fold(store.events(number)).opinions


def _record(store: Store, number: int, opinion: Opinion) -> None:
    store.append(number, "opinion", opinion.to_event())
    say(f"job {number}: {opinion.words()}")
    if not is_running(home().job(number)):
        say(f"go on with: firstbad resume {number}", style="dim")


def _who(job: Job) -> str:
    """Name and address as git has them, else the user of this machine."""
    repo = Repo(job.repo)
    name, email = (repo.git("config", "--get", key, check=False).strip() for key in ("user.name", "user.email"))
    if name or email:
        return f"{name} <{email}>" if name and email else name or email
    return f"{getpass.getuser()}@{socket.gethostname()}"


COMMANDS = (mark, reject)
