"""``worker``: works on the jobs of a queue."""

import signal

import click

from firstbad.home import home


@click.command(epilog="Example: firstbad worker --database postgresql://firstbad@db.example.org/firstbad")
@click.option("--database", default="", help="file or URL  [default: $FIRSTBAD_DATABASE, else this machine's own]")
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
def worker(database: str, until_empty: bool, lease: float, fix_after: float) -> None:
    """Work on the jobs of the queue, one at a time, until this process is told to end (SIGTERM, Ctrl-C).

    Any number of workers share a queue, on this machine (then they share what was built too) and on others. What was
    begun is ended and given back; a worker that is killed loses no more than what it was doing.
    """
    from firstbad.logs import set_up
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
    found.run(until_empty)


COMMANDS = (worker,)
