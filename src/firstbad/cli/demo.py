"""``demo``: a real kernel history with known bugs, bisected for real and compared with the truth."""

import time
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from firstbad.cli.bisect import check
from firstbad.cli.deadline import deadline_option
from firstbad.cli.options import PLAIN
from firstbad.cli.output import duration, out, say, say_error, say_json, tell
from firstbad.cli.result import print_result
from firstbad.cli.run import run_job
from firstbad.cli.status import epilog, exit_of
from firstbad.demo import Case, Demo, demo_job, make_demo
from firstbad.errors import FirstbadError, UserError
from firstbad.home import Home, home
from firstbad.job import Job
from firstbad.session.result import result_json
from firstbad.store import open_store


@click.command(epilog=epilog("demo", "firstbad demo --bug c --seed 2"))
@click.option("--bug", multiple=True, help="which bug: a, b, c, g-cause, g-fix; repeat for more  [default: a]")
@click.option("--all", "every", is_flag=True, help="all bugs")
@click.option(
    "--seed",
    type=int,
    multiple=True,
    default=(1,),
    show_default=True,
    help="which history: places of the bugs and shape vary; repeat for more",
)
@click.option(
    "--source",
    type=click.Path(path_type=Path),
    help="kernel source archive  [default: Debian's linux-source]",
)
@click.option("--make-only", is_flag=True, help="make the history and stop")
@click.option("--target", type=float, default=0.99, show_default=True, help="probability to stop at")
@click.option(
    "--verify", type=click.Choice(["clean", "full", "off"]), default="clean", show_default=True, help="as for `cause`"
)
@deadline_option
@click.option("--json", "as_json", is_flag=True, help="one JSON object a bisection")
@PLAIN
def demo(
    bug: tuple[str, ...],
    every: bool,
    seed: tuple[int, ...],
    source: Path | None,
    make_only: bool,
    target: float,
    verify: str,
    deadline: float | None,
    as_json: bool,
    plain: bool,
) -> None:
    """Bisect real kernel crashes in a history that is made for it.

    A git history of more than a hundred commits over a real kernel tree is made from Debian's linux-source
    package; its bugs are known (the search is not told), so the answer can be compared with the truth.
    Where --deadline passes, what is left of it is not begun.
    """
    place = home()
    rows: list[dict[str, Any]] = []
    for number in seed:
        made = make_demo(place.root / "demo", number, source=source, progress=_progress)
        if make_only:
            say(f"seed {number}: {made.commits} commits, {len(made.tags)} tags in {made.repo}")
            continue
        for name in _wanted(made, bug, every):
            case = made.cases[name]
            if deadline is not None and rows and time.time() >= deadline:
                raise SystemExit(_end(rows, as_json, "budget"))
            job = demo_job(made, case, target, verify)
            rows.append(_bisect(place, made, case, job, as_json, plain, deadline))
            if as_json:
                say_json(rows[-1])
    if rows:
        late = any(row["status"] == "budget" for row in rows)
        raise SystemExit(_end(rows, as_json, "budget" if late else "right"))


def _end(rows: list[dict[str, Any]], as_json: bool, otherwise: str) -> int:
    """Print what was found; the exit status where no answer is wrong."""
    if not as_json:
        _print_table(rows)
    wrong = any(row["verdict"] != "right" and row["status"] != "budget" for row in rows)
    return exit_of("wrong" if wrong else otherwise)


def _progress(text: str) -> None:
    tell(text, style="dim")


def _wanted(made: Demo, bug: tuple[str, ...], every: bool) -> list[str]:
    names = list(made.cases) if every else list(bug or ("a",))
    for name in names:
        if name not in made.cases:
            raise UserError(f"--bug: there is no bug {name!r}; the demo has {', '.join(made.cases)}")
    return names


def _bisect(
    place: Home, made: Demo, case: Case, job: Job, as_json: bool, plain: bool, deadline: float | None
) -> dict[str, Any]:
    check(job, place)
    store = open_store(place)
    number = store.submit(job)
    if not as_json:
        say(f"\nbug ({case.name}), seed {made.seed}: {case.what}", style="bold")
    try:
        run_job(store, place, number, plain or as_json, deadline)
        if not as_json:
            print_result(store, place, number)
    except FirstbadError as error:
        say_error(str(error))
    result = result_json(store, number)
    return {
        "bug": case.name,
        "seed": made.seed,
        "verdict": _verdict(result, case.culprit),
        "truth": case.culprit,
        **result,
    }


def _verdict(result: dict[str, Any], truth: str) -> str:
    commits = result.get("commits", [])
    if result["status"] == "found":
        return "right" if commits == [truth] else "wrong"
    return f"{len(commits)} candidates, {'culprit among them' if truth in commits else 'culprit not among them'}"


def _print_table(rows: list[dict[str, Any]]) -> None:
    table = Table(box=None, header_style="dim")
    for name in ("bug", "seed", "answer", "probability", "verdict", "revisions", "runs", "time"):
        table.add_column(name, no_wrap=True)
    for row in rows:
        answer = row["commits"][0][:12] if row.get("commits") else row["status"]
        style = "green" if row["verdict"] == "right" else "red"
        table.add_row(
            row["bug"],
            str(row["seed"]),
            answer,
            f"{row.get('confidence', 0):.2%}",
            row["verdict"],
            str(row["revisions_tested"]),
            str(row["runs"]),
            duration(row["wall_seconds"]),
            style=style,
        )
    out.print(table)


COMMANDS = (demo,)
