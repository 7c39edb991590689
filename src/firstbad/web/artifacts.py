"""Files that a job made or was made from, on this machine, by name. A name of a request is looked up, never a path."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from firstbad.home import Home
from firstbad.references import reference_of
from firstbad.store import Event, StoredJob

_KEY = re.compile(r"[0-9a-f]{32}")
_BUILT = {"config": "config", "build.log": "build log", "compiled": "sources", "vmlinux": "symbols"}
_BUILDS = ("build", "trial-build", "proof-build", "verify")


@dataclass(frozen=True)
class Artifact:
    """One file. ``name`` is unique within the job; ``size`` is bytes."""

    name: str
    kind: str
    commit: str
    path: Path
    size: int

    @property
    def is_text(self) -> bool:
        """Whether people read it."""
        return self.kind not in ("image", "symbols", "reproducer")


def artifacts_of(home: Home, stored: StoredJob, events: list[Event]) -> list[Artifact]:
    """All of a job's that are here."""
    found = [*_asked(home, stored), *_builds(home, events), *_consoles(home.job(stored.id) / "consoles")]
    return list({one.name: one for one in found}.values())


def find(home: Home, stored: StoredJob, events: list[Event], name: str) -> Artifact | None:
    """The one of that name."""
    return next((one for one in artifacts_of(home, stored, events) if one.name == name), None)


def _asked(home: Home, stored: StoredJob) -> Iterator[Artifact]:
    if stored.job.project is not None:
        return
    yield from _file("config", "config", "", stored.job.config)
    # What boots only runs nothing of anybody's.
    if not reference_of(stored.job.repro, home.root).startswith("builtin:"):
        yield from _file("reproducer", "reproducer", "", stored.job.repro)


def _builds(home: Home, events: list[Event]) -> Iterator[Artifact]:
    for event in events:
        key = str(event.data.get("key", "")) if event.kind in _BUILDS else ""
        if not _KEY.fullmatch(key):
            continue
        directory, commit = home.artifacts / key, str(event.data.get("commit", ""))
        for name, kind in [(_image(directory), "image"), *_BUILT.items()]:
            yield from _file(f"builds/{key}/{name}", kind, commit, directory / name)


def _image(directory: Path) -> str:
    try:
        name = str(json.loads((directory / "meta.json").read_text())["image"])
    except (OSError, ValueError, KeyError, TypeError):
        return "bzImage"
    return name if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) else "bzImage"


def _consoles(directory: Path) -> Iterator[Artifact]:
    names = sorted(path.name for path in directory.glob("*.txt")) if directory.is_dir() else []
    for name in names:
        yield from _file(f"consoles/{name}", "console", name.split("-")[0], directory / name)


def _file(name: str, kind: str, commit: str, path: Path) -> Iterator[Artifact]:
    if path.is_file() and not path.is_symlink():
        yield Artifact(name, kind, commit, path, path.stat().st_size)
