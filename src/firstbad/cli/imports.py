"""``import``: what others found out becomes the evidence of a new job, which goes on from there."""

import hashlib
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from firstbad.cli.bisect import check
from firstbad.cli.export import outputs_of
from firstbad.cli.job_options import job_options, overrides
from firstbad.cli.output import say, say_error, say_json
from firstbad.cli.run import finish_job
from firstbad.cli.status import epilog
from firstbad.errors import NotFoundError, UserError
from firstbad.history.base import History
from firstbad.history.git import Repo
from firstbad.history.repository import GitHistory
from firstbad.home import home
from firstbad.job import load_job, make_job, merged
from firstbad.report.gitlog import is_git_log
from firstbad.session.gathered import Gathered, Known, evidence_events, from_bisection_log, from_git_log, known_to
from firstbad.session.syzbisect import from_crash_directory, from_syz_bisect
from firstbad.store import open_store

_LARGEST = 16 << 20
_LINE = "{:5} {:12} {:28} {}"


@click.command(
    "import",
    epilog=epilog("import", "firstbad import bisect.log --repo linux --config .config --repro crash.c --dry-run"),
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--fix/--cause", "fix", default=None, help="what the log searched for  [default: as it says]")
@click.option("--dry-run", is_flag=True, help="show what would be taken in, and stop")
@job_options("import")
def import_(files: tuple[str, ...], fix: bool | None, dry_run: bool, **options: Any) -> None:
    """Finish a bisection that somebody else began: take in its log and search on.

    FILE is a `git bisect log`, a bisection log of syzbot (or of `firstbad log`), a configuration of syz-bisect, a crash
    directory of syz-manager, or a job file (.toml); - reads stdin. What they say of the job, options overrule. Their
    runs are evidence that may be wrong: the start commit is run here too, and whatever the answer rests on.
    """
    as_json, plain, deadline = options.pop("as_json"), options.pop("plain"), options.pop("deadline")
    outputs = outputs_of(options)
    gathered = [_read(name, fix, options.get("title") or "") for name in files if not name.endswith(".toml")]
    jobs = [Path(name) for name in files if name.endswith(".toml")]
    if len(jobs) > 1:
        raise UserError("name one job file (.toml) at most")
    given = overrides(options) | ({"kind": "fix" if fix else "cause"} if fix is not None else {})
    data = _together(gathered, given)
    history = GitHistory(Repo(Path(data["repo"]))) if data.get("repo") else None
    if history is None and jobs:
        history = GitHistory(Repo(load_job(jobs[0], data).repo))
    if history is None:
        raise UserError("name the kernel's repository with --repo")
    known = _known(history, gathered, given, data)
    if dry_run:
        _show(gathered, known, data, as_json)
        return
    job = load_job(jobs[0], data) if jobs else make_job(data)
    outputs.check(job)
    place = home()
    check(job, place)
    store = open_store(place)
    _tell(gathered, known)
    number = store.submit(job, [*_sources(gathered), *evidence_events(known)])
    finish_job(store, place, number, as_json, plain, deadline, outputs)


def _read(name: str, fix: bool | None, title: str) -> Gathered:
    """A source by what it holds. Raises NotFoundError, UserError."""
    path = Path(name)
    if name != "-" and path.is_dir():
        return from_crash_directory(path)
    text = _text(name)
    source = "stdin" if name == "-" else path.name
    if text.lstrip().startswith(("{", "#")) and _is_json(text):
        return from_syz_bisect(text, source, Path.cwd() if name == "-" else path.parent, fix)
    if is_git_log(text):
        return from_git_log(text, source, fix)
    return from_bisection_log(text, source, title)


def _is_json(text: str) -> bool:
    lines = (line.strip() for line in text.splitlines())
    return next((line for line in lines if line and not line.startswith("#")), "").startswith("{")


def _text(name: str) -> str:
    try:
        data = sys.stdin.buffer.read(_LARGEST + 1) if name == "-" else _bytes(Path(name))
    except FileNotFoundError:
        raise NotFoundError(f"{name}: no such file or directory") from None
    except OSError as error:
        raise UserError(f"{name}: {error.strerror}") from None
    if len(data) > _LARGEST:
        raise UserError(f"{name}: more than {_LARGEST >> 20} MiB: not a log of a bisection")
    return data.decode(errors="replace")


def _bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_LARGEST + 1)


def _together(gathered: Sequence[Gathered], given: dict[str, Any]) -> dict[str, Any]:
    """The job as the sources have it, later ones first to be heard, and options before all of them."""
    data: dict[str, Any] = {}
    for one in gathered:
        data = merged(data, one.job | ({"kind": one.kind} if one.kind else {}))
    data = merged(data, given)
    branch = data.pop("branch", "")
    if branch and not data.get("commit"):
        data["commit"] = branch
    for name in ("head",) if data.get("kind", "cause") == "cause" else ("good",):
        if name not in given:
            data.pop(name, None)
    return data


def _known(history: History, gathered: Sequence[Gathered], given: dict[str, Any], data: dict[str, Any]) -> list[Known]:
    """What the repository has of it; the rest is told. The ends that a log names and that don't fit are left out."""
    found: list[Known] = []
    for one in gathered:
        for note in one.notes:
            say_error(f"{one.source}: {note}")
        here, missing = known_to(history, one)
        for words in missing:
            say_error(f"{one.source}: {words}")
        found += here
    if "good" not in given and data.get("good"):
        start = history.resolve(data["commit"]) if data.get("commit") else ""
        data["good"] = [good for good in data["good"] if start and _is_below(history, good, start)]
    return found


def _is_below(history: History, good: str, start: str) -> bool:
    try:
        commit = history.resolve(good)
    except UserError:
        return False
    return commit != start and history.is_ancestor(commit, start)


def _sources(gathered: Sequence[Gathered]) -> list[tuple[str, dict[str, Any]]]:
    """Where it comes from, for whoever reads the events."""
    rows = ({"source": one.source, "form": one.form, "digest": _digest(one)} for one in gathered)
    return [("imported", row) for row in rows]


def _digest(one: Gathered) -> str:
    return hashlib.sha256(repr(replace(one, source="")).encode()).hexdigest()


def _tell(gathered: Sequence[Gathered], known: Sequence[Known]) -> None:
    for one in gathered:
        rows = [row for row in known if row.source == one.source]
        say_error(f"{one.source}: {one.form}, {len(rows)} revisions taken in as evidence")


def _show(gathered: Sequence[Gathered], known: Sequence[Known], data: dict[str, Any], as_json: bool) -> None:
    if as_json:
        rows = [
            {"commit": row.commit, "verdict": row.told.verdict, "runs": len(row.told.runs), "source": row.source}
            for row in known
        ]
        forms = [{"source": one.source, "form": one.form, "notes": list(one.notes)} for one in gathered]
        say_json({"sources": forms, "job": data, "revisions": rows})
        return
    for one in gathered:
        say(f"{one.source}: {one.form}", style="bold")
    for key, value in data.items():
        say(f"  {key} = {value!r}")
    for row in known:
        counts = Counter(outcome for outcome, _ in row.told.runs)
        runs = ", ".join(f"{number} {outcome}" for outcome, number in counts.items())
        say(_LINE.format(row.told.verdict, row.commit[:12], runs, row.title))


COMMANDS = (import_,)
