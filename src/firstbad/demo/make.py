"""Makes the demo: imports the kernel source once, then writes one history per seed on top of it."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from firstbad.demo.case import Case, Demo
from firstbad.demo.edits import Edit, fitting, load_bugs, load_pool, release_edit
from firstbad.demo.fastimport import Importer, NewCommit, git, git_blob
from firstbad.demo.history import BASE_DATE, Contents, People, Writer
from firstbad.demo.plan import FIRST_MINOR, RELEASES, Plan, make_plan
from firstbad.demo.source import SourceFile, Trim, find_source, read_source
from firstbad.errors import UserError
from firstbad.packaged import read_toml

BASE_TAG = "v6.12"
MARKER = "demo.json"
FORMAT = 1  # of the import: another number makes it anew
ENOUGH = (60, 20)  # edits of compiled and of uncompiled files that a point release must still take


def make_demo(
    directory: Path, seed: int, *, source: Path | None = None, progress: Callable[[str], None] = lambda _text: None
) -> Demo:
    """Return the demo of ``seed`` below ``directory``; it is made if it is not there yet.

    The import (``base.git``) is shared by all seeds through hard links. What an interrupted call left is removed.
    Raises NotFoundError without the kernel source, UserError if the source is another release.
    """
    # Another recipe gives another history beside the old one, which jobs may still refer to.
    home = directory / f"seed-{seed}-{_recipe()}"
    if (home / MARKER).exists():
        return _read(home)
    directory.mkdir(parents=True, exist_ok=True)
    base = _base(directory, source or find_source(), progress)
    for left in directory.glob(f"making-{seed}.*"):
        shutil.rmtree(left)
    if home.exists():
        shutil.rmtree(home)
    with tempfile.TemporaryDirectory(prefix=f"making-{seed}.", dir=directory) as scratch:
        work = Path(scratch) / "made"
        work.mkdir()
        progress(f"writing the history of seed {seed}")
        _write_seed(work, base, seed)
        work.rename(home)
    return _read(home)


def _base(directory: Path, source: Path, progress: Callable[[str], None]) -> Path:
    """Return the repository that holds the import alone; its marker is written last, so it tells a finished one."""
    base = directory / "base.git"
    if (base / MARKER).exists() and json.loads((base / MARKER).read_text()) == _identity(source):
        return base
    if base.exists():
        shutil.rmtree(base)
    progress(f"importing {source}")
    base.mkdir()
    git(base, "init", "--quiet", "--bare", "--initial-branch=master")
    upstream = People().upstream
    new = NewCommit(upstream, BASE_DATE, upstream, BASE_DATE, "Linux 6.12\n")
    with Importer(base) as importer:
        mark = importer.commit(new, [], _contents(read_source(source, Trim.load())))
        importer.tag(BASE_TAG, mark, upstream, BASE_DATE, "Linux 6.12\n")
    importer.hashes()
    unfinished = base / f"{MARKER}.new"
    unfinished.write_text(json.dumps(_identity(source)))
    unfinished.rename(base / MARKER)
    return base


def _recipe() -> str:
    """Short digest of all that decides a history but the seed: the data files and the modules that use them."""
    total = hashlib.sha256()
    package = files(__package__)
    parts = [package / "data" / name for name in ("bugs.toml", "cases.toml", "compiled.toml", "people.toml")]
    parts += [package / "data" / "uncompiled.toml"]
    parts += [package / name for name in ("edits.py", "fastimport.py", "history.py", "make.py", "plan.py")]
    for part in parts:
        total.update(part.read_bytes())
    return total.hexdigest()[:10]


def _identity(source: Path) -> dict[str, Any]:
    facts = source.stat()
    return {"format": FORMAT, "source": source.name, "bytes": facts.st_size, "changed": int(facts.st_mtime)}


def _contents(found: Iterable[SourceFile]) -> Iterator[tuple[str, tuple[str, bytes]]]:
    for file in found:
        yield file.path, (file.mode, file.data)


def _write_seed(home: Path, base: Path, seed: int) -> None:
    repo = home / "linux.git"
    git(base, "clone", "--quiet", "--bare", "--local", str(base), str(repo))
    git(repo, "remote", "remove", "origin")
    pool, bugs = load_pool(), load_bugs()
    releases = [release_edit(FIRST_MINOR + number) for number in range(RELEASES)]
    texts = _read_texts(repo, [*pool, *bugs.values(), *releases])
    pool = _pool(pool, texts)
    plan = make_plan(pool, seed)
    edits = {edit.ident: edit for edit in [*pool, *bugs.values(), *releases]}
    with Importer(repo) as importer:
        writer = Writer(plan, edits, seed, git(repo, "rev-parse", f"{BASE_TAG}^{{commit}}"))
        marks = writer.write(importer, Contents(plan, edits, texts.get))
    hashes = importer.hashes()
    git(repo, "commit-graph", "write", "--reachable")
    names = {number: hashes[mark] for number, mark in marks.items()}
    (home / MARKER).write_text(json.dumps(_facts(plan, names, seed), indent=1))


def _pool(pool: list[Edit], texts: dict[str, str]) -> list[Edit]:
    kept = fitting(pool, texts)
    for compiled, needed in zip((True, False), ENOUGH, strict=True):
        count = sum(edit.compiled is compiled for edit in kept)
        if count < needed:
            raise UserError(f"the kernel source is too different from 6.12: only {count} of the demo's edits fit")
    return kept


def _read_texts(repo: Path, edits: list[Edit]) -> dict[str, str]:
    """Return path to text in the import, for every file that an edit touches and that is there."""
    wanted = sorted({file for edit in edits for file in edit.files})
    have = set(git(repo, "ls-tree", "-r", "--name-only", BASE_TAG, "--", *wanted).splitlines())
    return {file: git_blob(repo, f"{BASE_TAG}:{file}") for file in wanted if file in have}


def _facts(plan: Plan, names: dict[int, str], seed: int) -> dict[str, Any]:
    """Return what ``demo.json`` holds: the truth, beside the repository."""
    tags = [BASE_TAG, *plan.tags]
    table = read_toml(__package__, "data/cases.toml")
    return {
        "seed": seed,
        "tags": tags,
        "commits": len(plan.nodes) + 1,
        "where": {bug: names[plan.where[bug]] for bug in load_bugs()},
        "untestable": [names[node.number] for node in plan.nodes if plan.untestable(node.number)],
        "cases": [_case(entry, plan, names) for entry in table["case"]],
    }


def _case(entry: dict[str, str], plan: Plan, names: dict[int, str]) -> dict[str, str]:
    bug, kind = entry["bug"], entry["kind"]
    start = plan.head
    if entry["start"] != "head":
        between = [number for number in plan.tags.values() if plan.shows(number, bug)]
        start = between[0 if entry["start"] == "first" else -1]
    culprit = plan.where[bug if kind == "cause" else f"{bug}-fix"]
    return {
        **{key: entry[key] for key in ("name", "what", "kind", "title", "repro", "config")},
        "start": names[start],
        "head": names[plan.head],
        "culprit": names[culprit],
    }


def _read(home: Path) -> Demo:
    facts = json.loads((home / MARKER).read_text())
    cases = {entry["name"]: _read_case(entry) for entry in facts.pop("cases")}
    return Demo(repo=home / "linux.git", cases=cases, **facts)


def _read_case(entry: dict[str, Any]) -> Case:
    repro, config = _packaged("repro", entry.pop("repro")), _packaged("config", entry.pop("config"))
    return Case(repro=repro, config=config, **entry)


def _packaged(kind: str, name: str) -> Path:
    return Path(str(files(__package__) / kind / name))
