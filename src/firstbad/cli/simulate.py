"""``simulate``: the real search, and those it is measured against, in a simulated lab."""

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from firstbad.cli.inputs import read_input
from firstbad.cli.output import err
from firstbad.errors import UserError
from firstbad.simulation import POLICIES, Scenario, find_policy, read_scenarios, run


@click.command(
    epilog=f"Policies: {', '.join(POLICIES)}. Example: firstbad simulate --policy syzbot --jobs 2 scenarios.json"
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--policy", default="bayes", show_default=True, metavar="NAME", help="who searches")
@click.option(
    "--target",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="stop when the answer is this probable  [default: as the scenario says, else 0.99]",
)
@click.option("--jobs", type=click.IntRange(1, 256), default=1, show_default=True, help="processes")
def simulate(files: tuple[str, ...], policy: str, target: float | None, jobs: int) -> None:
    """Search in a simulated lab: JSON scenarios in (one or a list; - reads stdin), one JSON line each out.

    A scenario holds a commit graph, a hidden culprit, a lab (crash rate, unrelated crashes, broken revisions,
    durations, machines) and a seed; the search sees only what a real lab would show it.
    """
    find_policy(policy)
    scenarios = [scenario for name in files for scenario in read_scenarios(_read(name), name)]
    if target is not None:
        scenarios = [replace(each, task=replace(each.task, target=target)) for each in scenarios]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        results = _results(scenarios, policy, jobs)
        for row in progress.track(results, total=len(scenarios), description=policy):
            # ASCII: a title may hold what a terminal's encoding can't.
            click.echo(json.dumps(row))


def _results(scenarios: list[Scenario], policy: str, jobs: int) -> Iterator[dict[str, Any]]:
    """Results in the order of the scenarios, each as soon as it and those before it are there."""
    if jobs == 1 or len(scenarios) < 2:
        yield from (_one(scenario, policy) for scenario in scenarios)
        return
    with ProcessPoolExecutor(min(jobs, len(scenarios))) as pool:
        futures = [pool.submit(_one, scenario, policy) for scenario in scenarios]
        try:
            yield from (future.result() for future in futures)
        finally:
            pool.shutdown(cancel_futures=True)


def _one(scenario: Scenario, policy: str) -> dict[str, Any]:
    return run(scenario, policy).to_json()


def _read(name: str) -> str:
    try:
        return read_input(name).decode()
    except UnicodeDecodeError as error:
        raise UserError(f"{name}: byte {error.start}: not UTF-8") from None


COMMANDS: Iterable[click.Command] = (simulate,)
