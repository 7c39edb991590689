"""What the demo hands out: a repository and the bisection tasks in it, with their truth."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Case:
    """One bisection task. Hashes are full; ``culprit`` is the truth, which no search may see."""

    name: str
    what: str
    kind: Literal["cause", "fix"]
    start: str
    head: str
    title: str
    culprit: str
    repro: Path
    config: Path
    cpus: int = 2


@dataclass(frozen=True)
class Demo:
    """A demo repository (bare). ``where`` tells each change's commit by its id in ``data/bugs.toml``;
    ``untestable`` are the commits that don't build or don't boot."""

    repo: Path
    seed: int
    cases: dict[str, Case]
    tags: list[str]
    commits: int
    where: dict[str, str] = field(default_factory=dict)
    untestable: list[str] = field(default_factory=list)
