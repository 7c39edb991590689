"""``audit``: how far to trust somebody's bisection."""

import sys
from pathlib import Path

import click

from firstbad.audit import Audit, facts_of, judge, to_json
from firstbad.audit.history import Known, consult
from firstbad.audit.words import RESULTS, SHORT, doubted_of, log_of, name_of, reasons, shown, suspicion
from firstbad.cli.output import say, say_json, tell
from firstbad.errors import NotFoundError, UserError
from firstbad.history.git import Repo
from firstbad.report.log import BisectionLog

MAX_LOG = 64 << 20  # bytes of a log that are read
_MOST = 10  # verdicts that are printed
_STYLE = {"trust": "green", "doubt": "yellow", "reject": "red"}


@click.command(epilog="Example: firstbad audit --repo linux bisect.txt")
@click.argument("files", metavar="LOG...", nargs=-1, required=True)
@click.option("--repo", type=click.Path(path_type=Path), help="local clone: what its history knows is added")
@click.option("--json", "as_json", is_flag=True, help="print a JSON object a log")
def audit(files: tuple[str, ...], repo: Path | None, as_json: bool) -> None:
    """How far to trust a bisection log, and which revision most likely went wrong.

    Reads logs in the format of syzbot's since 2018, and our own; - reads stdin. All it uses is the log (and the clone).
    """
    history = Repo(repo) if repo is not None else None
    if history is not None:
        history.check()
    logs = [(name, _read(name)) for name in files]
    for number, (name, log) in enumerate(logs):
        facts = facts_of(log)
        known = consult(facts, history) if history is not None else Known(facts)
        judged = judge(known.facts, known.odds)
        if as_json:
            say_json(to_json(name, judged) | {"history": list(known.words)})
            continue
        if number:
            say()
        _print(name, judged, known, repo)


def _read(name: str) -> BisectionLog:
    """One log. Raises UserError where it can't be one."""
    try:
        data = sys.stdin.buffer.read(MAX_LOG + 1) if name == "-" else _file(Path(name))
    except OSError as error:
        raise UserError(f"{name}: {error.strerror or error}") from None
    if len(data) > MAX_LOG:
        raise UserError(f"{name}: more than {MAX_LOG >> 20} MiB: this is no bisection log")
    log = log_of(data.decode("utf-8", "replace"), name)
    unknown = sum(line.kind == "unknown" for line in log.lines)
    if unknown:
        tell(f"firstbad: {name}: {unknown} lines are of no known kind and were passed over")
    return log


def _file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_LOG + 1)
    except FileNotFoundError:
        raise NotFoundError(f"{path}: no such file") from None


def _print(name: str, judged: Audit, known: Known, repo: Path | None) -> None:
    facts = judged.facts
    log = facts.log
    say(name, style="bold")
    if facts.titles:
        say(f"  {log.kind} bisection of {facts.titles[0]} from {log.start_commit[:SHORT]}")
    if facts.named is None:
        say(f"  names no commit: {RESULTS.get(log.status, log.status)}{f' ({log.error})' if log.error else ''}")
    else:
        say(f"  names {facts.named.hash[:SHORT]} {facts.named.title}")
        say(f"  {judged.verdict}: {judged.trust:.0%} that this is the culprit", style=_STYLE[judged.verdict])
        for text in (*reasons(judged), *known.words):
            say(f"    - {text}")
    _print_suspect(judged)
    doubted = doubted_of(judged)
    if len(doubted) > 1:
        say(f"  {len(doubted)} of {len(judged.revisions)} verdicts are probably wrong:")
        for one, revision in doubted[:_MOST]:
            say(f"    - {name_of(revision)} was called {one.logged} ({shown(revision)}); P(bug) {one.p_bug:.2f}")
        if len(doubted) > _MOST:
            say(f"    - and {len(doubted) - _MOST} more, see --json")
    _print_way_on(name, judged, repo)


def _print_suspect(judged: Audit) -> None:
    words = suspicion(judged)
    if judged.suspect is None or not words:
        return
    say(f"  if it is wrong, this went wrong first ({judged.suspect.chance:.0%}):")
    for text in words:
        say(f"    - {text}")


def _print_way_on(name: str, judged: Audit, repo: Path | None) -> None:
    """The command that finishes the job."""
    if judged.verdict == "trust":
        return
    say("  finish it with (configuration and reproducer are not in the log):")
    where = repo if repo is not None else "LINUX"
    say(f"    firstbad import {name} --repo {where} --config CONFIG --repro REPRO")


COMMANDS = (audit,)
