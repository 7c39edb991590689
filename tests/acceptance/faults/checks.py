"""What has to hold during a trial and after it; each finding is a sentence."""

import hashlib
import json
import re
import shutil
import sqlite3
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from tests.acceptance.faults.scenarios import Scenario
from tests.acceptance.faults.sessions import Ended

_KILLED = -9
# `infra_failure`, `unusable input`: the statuses of cli/status.toml that a fault of the machine may end with.
_SAID = (128, 2)


def contents(repo: Path) -> dict[str, str]:
    """Every file of a repository, its own directory too, with a digest."""
    found = {}
    for path in repo.rglob("*"):
        if path.is_file() or path.is_symlink():
            found[str(path.relative_to(repo))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def events_of(box: Path) -> list[tuple[Any, ...]]:
    """All events that are recorded; read from a copy, so that looking changes nothing."""
    with tempfile.TemporaryDirectory(dir=box) as scratch:
        for path in (box / "in/home").glob("firstbad.db*"):
            if not path.name.endswith("-shm"):
                shutil.copy(path, scratch)
        if not Path(scratch, "firstbad.db").exists():
            return []
        store = sqlite3.connect(Path(scratch, "firstbad.db"))
        try:
            return store.execute("select job_id, seq, time, kind, data from events order by job_id, seq").fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return []
            raise
        finally:
            store.close()


def has_job(box: Path) -> bool:
    """Whether a job was kept."""
    with tempfile.TemporaryDirectory(dir=box) as scratch:
        for path in (box / "in/home").glob("firstbad.db*"):
            if not path.name.endswith("-shm"):
                shutil.copy(path, scratch)
        if not Path(scratch, "firstbad.db").exists():
            return False
        store = sqlite3.connect(Path(scratch, "firstbad.db"))
        try:
            return bool(store.execute("select count(*) from jobs").fetchone()[0])
        except sqlite3.OperationalError:
            return False
        finally:
            store.close()


def answer(scenario: Scenario, box: Path, ended: Ended) -> dict[str, Any]:
    """What a session gave as its answer; empty where it gave none."""
    try:
        if scenario.before is not None:
            return next((dict(json.loads(row[4])) for row in events_of(box) if row[3] == "finished"), {})
        return dict(json.loads(ended.out.strip().splitlines()[-1]))
    except (IndexError, ValueError):
        return {}


def outcome(ended: Ended, said: dict[str, Any], culprit: str, serves: bool = False) -> tuple[str, list[str]]:
    """How a session ended (``found``, ``killed``, ``could not``), and what is wrong with that. ``serves``: it is a
    worker, whose own status says nothing of jobs."""
    wrong = []
    if ended.hung:
        wrong.append(f"it hung ({ended.seconds:.0f} s)")
    if "Traceback" in ended.err:
        wrong.append(f"a traceback: {ended.err.strip()[-900:]}")
    if ended.status == _KILLED:
        return "killed", wrong
    if said and said.get("status") == "found" and said.get("commits") == [culprit] and ended.status == 0:
        return "found", wrong
    if (ended.status == 0 and not (serves and not said)) or (said and "commits" in said and said["commits"]):
        return "wrong", [*wrong, f"another answer: {str(said)[:300]} {ended.err.strip()[-300:]}"]
    if ended.status not in (*_SAID, *((0, 1) if serves else ())):
        return "wrong", [*wrong, f"exit status {ended.status}: {said.get('status')} {ended.err.strip()[-300:]}"]
    if not ended.err.strip():
        wrong.append(f"exit status {ended.status} without a word")
    return "could not", wrong


def lost(before: list[tuple[Any, ...]], after: list[tuple[Any, ...]]) -> list[str]:
    """Events that were recorded and are no more, or are others."""
    kept = {(row[0], row[1]): row for row in after}
    gone = [row for row in before if kept.get((row[0], row[1])) != row]
    return [f"an event was lost or changed: {row[:4]}" for row in gone[:1]]


def repeated(scenario: Scenario, box: Path, events: list[tuple[Any, ...]], known: "Known") -> list[str]:
    """Runs and builds that were made again although they had been recorded before the session began."""
    wrong = []
    runs, builds = lines(box / "runs"), lines(box / "builds")
    for line in runs[known.runs_made :]:
        if scenario.strict and int(line.split()[1]) <= known.runs_recorded:
            wrong.append(f"run {line.split()[1]} was recorded and made again")
    again = [line for line in builds[known.builds_made :] if line in known.built]
    wrong += [f"{commit[:12]} was recorded as built and built again" for commit in again[:1]]
    recorded = Counter(json.loads(row[4])["commit"] for row in events if row[3] == "build")
    wrong += [f"{commit[:12]} has {n} events 'build'" for commit, n in recorded.items() if n > 1]
    return wrong


class Known:
    """What was recorded and what had been done when a session began."""

    def __init__(self, box: Path, events: list[tuple[Any, ...]]) -> None:
        self.runs_made, self.builds_made = len(lines(box / "runs")), len(lines(box / "builds"))
        self.runs_recorded = sum(row[3] == "run" for row in events)
        self.built = {json.loads(row[4])["commit"] for row in events if row[3] == "build"}


def lines(path: Path) -> list[str]:
    """Of a log; none where it is not there yet."""
    return path.read_text().splitlines() if path.exists() else []


def too_many_runs(scenario: Scenario, box: Path, events: list[tuple[Any, ...]], sessions: int) -> list[str]:
    """Only what was under way when a session ended may have been run once more."""
    recorded = sum(row[3] in ("run", "probe", "proof-run") for row in events)
    made = len(list((box / "machines").iterdir())) if scenario.machines else len(lines(box / "runs"))
    # Each session of machines tries first whether KVM works here.
    most = recorded + (sessions - 1) * scenario.parallel + (sessions if scenario.machines else 0)
    return [f"{made} runs were made, {recorded} recorded, in {sessions} sessions"] if made > most else []


def names(home: Path) -> set[str]:
    """What lies in a data directory, without the numbers and digests of this time; caches of compilers left out."""
    found = set()
    for path in home.rglob("*"):
        name = str(path.relative_to(home))
        # What a build has in its output directory is made anew or built on by the next one there; so is the note.
        of_place = "/out/" in name or name.endswith("/note.json.new")
        if not name.startswith("ccache/") and "/.git/" not in name and not of_place:
            found.add(re.sub(r"[0-9a-f]*[0-9][0-9a-f]*", "N", name))
    return found


def left_behind(box: Path, usual: set[str], before: dict[str, str]) -> list[str]:
    """What is there after the last session that was not there before and is not kept by design."""
    wrong = [f"left in TMPDIR: {path.name}" for path in (box / "in/tmp").iterdir()]
    wrong += [f"left in the data directory: {name}" for name in sorted(names(box / "in/home") - usual)[:3]]
    after = contents(box / "in/repo")
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            wrong.append(f"the user's repository: {name} is another")
    if (box / "in/repo/.git/worktrees").exists():
        wrong.append("a worktree was added to the user's repository")
    inside = {path.name for path in (box / "in").iterdir()} - {"home", "tmp", "user", "repo"}
    wrong += [f"left beside the data directory: {name}" for name in inside]
    wrong += [f"left in HOME: {path.name}" for path in (box / "in/user").iterdir() if path.name not in (".cache",)]
    return wrong
