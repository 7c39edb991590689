"""``mark`` and ``reject``: people overrule what was run, signed, and take it back."""

from typing import Any, cast

import click

from firstbad.cli.options import JOB
from firstbad.cli.output import say
from firstbad.cli.remote import Server, chosen
from firstbad.errors import UserError
from firstbad.home import home
from firstbad.session import overrule
from firstbad.session.opinions import Opinion, Says
from firstbad.store import StoredJob, open_store

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
    server = chosen()
    if server is not None:
        _tell_there(server, number, {"says": verdict or "ignore", "revision": revision, "why": why, "undo": undo})
        return
    store = open_store(home())
    stored = store.job(number)
    says = None if undo else cast(Says, verdict)
    _tell(stored, overrule.mark(store, stored, revision, says, overrule.signer(stored.job), why))


@click.command(epilog="Example: firstbad reject 3 --why 'reverted it: the crash stays'")
@JOB
@click.option("--why", default="", help="the reason; it is kept with your name")
@_UNDO
def reject(number: int | None, why: str, undo: bool) -> None:
    """Say that the culprit of a job (the last one by default) is wrong.

    It becomes improbable, and the runs that led to it, its own and its parents', are doubted; `firstbad resume` goes
    on from there. If all else contradicts you, it may be named again.
    """
    if not undo and not why.strip():
        raise UserError("say --why: others have to be able to judge it")
    server = chosen()
    if server is not None:
        _tell_there(server, number, {"says": "wrong", "why": why, "undo": undo})
        return
    store = open_store(home())
    stored = store.job(number)
    _tell(stored, overrule.reject(store, stored, overrule.signer(stored.job), why, undo))


def _tell_there(server: Server, number: int | None, said: dict[str, Any]) -> None:
    wanted = server.job(number).id
    words = server.ask("POST", f"/jobs/{wanted}/opinions", json=said).json()["words"]
    say(f"job {wanted}: {words}")
    say(f"go on with: firstbad --server {server.url} resume {wanted}", style="dim")


def _tell(stored: StoredJob, opinion: Opinion) -> None:
    say(f"job {stored.id}: {opinion.words()}")
    if not stored.running and not stored.queued:
        say(f"go on with: firstbad resume {stored.id}", style="dim")


COMMANDS = (mark, reject)
