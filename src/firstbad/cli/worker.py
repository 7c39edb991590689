"""``worker``: works on the jobs of a queue."""

import asyncio
import platform
import signal
from pathlib import Path

import click

from firstbad.cli.fleet import TLS, told_to_end
from firstbad.cli.options import DATABASE
from firstbad.errors import UserError
from firstbad.home import home


@click.command(epilog="Example: firstbad worker --database postgresql://firstbad@db.example.org/firstbad")
@DATABASE
@click.option("--until-empty", is_flag=True, help="end when there is nothing left to do")
@click.option(
    "--lease",
    type=click.FloatRange(1, 3600),
    default=60.0,
    show_default=True,
    help="seconds without a sign of life after which others take a job over; the same for all workers",
)
@click.option(
    "--fix-after",
    type=click.FloatRange(0),
    envvar="FIRSTBAD_FIX_AFTER",
    default=0.0,
    help="search for the fix of crashes that were not seen for so many days  [default: never]",
)
@click.option("--server", help="join this fleet instead, and do its builds and runs, as tls://10.0.0.1:8786")
@click.option("--slots", help="with --server: how many at a time  [default: build=1,machine=as many as fit]")
@click.option(
    "--shelf",
    envvar="FIRSTBAD_SHELF",
    help="with --server: where the fleet keeps what it built, a directory "
    "or URL that all hosts reach  [default: $FIRSTBAD_SHELF]",
)
@click.option("--name", help="with --server: what this host is called  [default: its host name]")
@TLS
def worker(
    database: str,
    until_empty: bool,
    lease: float,
    fix_after: float,
    server: str | None,
    slots: str | None,
    shelf: str | None,
    name: str | None,
    tls: Path | None,
) -> None:
    """Work on the jobs of the queue, one at a time, until this process is told to end (SIGTERM, Ctrl-C).

    Any number of workers share a queue, on this machine (then they share what was built too) and on others. What was
    begun is ended and given back; a worker that is killed loses no more than what it was doing.

    With --server it knows no jobs: it joins a fleet (`firstbad fleet`), says which compilers and machines it has, and
    builds and runs what sessions anywhere ask for.
    """
    if server:
        _join(server, slots or "", shelf or "", name or platform.node(), tls)
        return
    from firstbad.logs import set_up
    from firstbad.session.housekeeping import Housekeeper
    from firstbad.store import open_store
    from firstbad.store.database import FOREVER
    from firstbad.worker import Worker

    set_up()
    place = home()
    store = open_store(place, database)
    store.database.patience = FOREVER
    found = Worker(store, place, lease, fix_after)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: found.stop())
    with Housekeeper(store, place):
        found.run(until_empty)


def _join(server: str, slots: str, shelf: str, name: str, tls: Path | None) -> None:
    from firstbad.fleet.host import Crew
    from firstbad.fleet.join import join
    from firstbad.fleet.security import security
    from firstbad.fleet.shelf import Shelf
    from firstbad.logs import set_up

    if not shelf:
        raise UserError("--shelf: a fleet needs a place that all its hosts reach, a directory or an URL")
    wanted = _slots(slots)
    trusted, place = security(server, tls), home()
    set_up()
    crew = Crew(place, Shelf(shelf), wanted["build"])

    async def work() -> None:
        await join(server, crew, place, name, wanted, told_to_end(), trusted)

    try:
        asyncio.run(work())
    finally:
        crew.close()


def _slots(text: str) -> dict[str, int]:
    """``build=1,machine=4`` as numbers. Raises UserError."""
    from firstbad.job import Machine
    from firstbad.vm import capacity

    usual = Machine()
    found = {"build": 1, "machine": capacity(usual.cpus, usual.memory_mb)}
    for part in filter(None, text.split(",")):
        kind, _, number = part.partition("=")
        if kind not in found or not number.isdigit():
            raise UserError(f"--slots: {part!r} is not build=N or machine=N")
        found[kind] = int(number)
    return found


COMMANDS = (worker,)
