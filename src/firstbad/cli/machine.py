"""``gc``: a command about this machine's disk."""

import shutil

import click

from firstbad.cli.output import say
from firstbad.disk import bytes_of_files
from firstbad.home import GIB, home
from firstbad.kernel.artifacts import Artifacts
from firstbad.kernel.places import drop
from firstbad.session.housekeeping import console_limit, keep_days, tidy
from firstbad.store import Filter, open_store


@click.command(epilog="Example: firstbad gc --budget 5")
@click.option("--budget", type=click.FloatRange(min=0), help="disk budget in GiB  [default: $FIRSTBAD_DISK_GIB or 20]")
def gc(budget: float | None) -> None:
    """Bring the disk use within its budget: what was used longest ago goes first, events and logs never.

    Consoles of jobs that ended FIRSTBAD_KEEP_DAYS ago (90; 0: for ever) go too, and the oldest where all take more than
    FIRSTBAD_CONSOLES_GIB (5). `firstbad serve` and `firstbad worker` see to those every hour.
    """
    place = home()
    store = open_store(place)
    limit = place.budget if budget is None else int(budget * GIB)
    before = bytes_of_files(place.root)
    if not any(one.running for one in store.page(Filter(standing=["running"]), limit=200).jobs):
        for builder in place.builders.glob("*"):
            drop(builder, limit // 4)
        if bytes_of_files(place.ccache) > limit // 4:
            shutil.rmtree(place.ccache, ignore_errors=True)
    tidy(store, place, keep_days(), console_limit())
    Artifacts(place.artifacts, limit).collect(limit=limit // 2)
    after = bytes_of_files(place.root)
    say(f"{place.root}: {after / GIB:.2f} GiB of {limit / GIB:g} GiB ({(before - after) / GIB:.2f} GiB freed)")


COMMANDS = (gc,)
