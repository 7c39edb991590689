"""Scenarios as JSON: the schema, and what else has to hold before one is run."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from firstbad.errors import UserError
from firstbad.simulation.history import SimHistory
from firstbad.simulation.scenario import Bools, Evidence, EvidenceRun, Floats, Ints, Lab, Scenario, Task, Unrelated


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


_Rate = Field(ge=0, le=1)


class _Commit(_Model):
    title: str = Field(min_length=1)
    parents: list[str]
    files: list[str] | None = None
    date: Any = None


class _Rates(_Model):
    commits: list[str]
    crash_rate: float = _Rate


class _InfraRates(_Model):
    commits: list[str]
    rate: float = _Rate


class _Reach(_Model):
    commits: list[str]
    reach: float | Literal["absent"]


class _Unrelated(_Model):
    title: str = Field(min_length=1)
    type: str = ""
    rate: float = _Rate
    commits: list[str] | None = None


class _Lab(_Model):
    titles: dict[str, float] = {"crash occurs": 1.0}
    types: dict[str, str] = {}
    frames: list[str] = []
    crash_rate: float = Field(default=1.0, ge=0, le=1)
    time_to_crash: float = Field(default=60.0, gt=0)
    rate_by_commit: list[_Rates] = []
    masked: list[str] = []
    reach: list[_Reach] | None = None
    unrelated: list[_Unrelated] = []
    false_rate: float = Field(default=0.0, ge=0, le=1)
    infra_rate: float = Field(default=0.0, ge=0, le=1)
    infra_by_commit: list[_InfraRates] = []
    broken_build: list[str] = []
    broken_boot: list[str] = []
    same_binary: list[list[str]] = []
    built_files: list[str] | None = None
    build_seconds: float = Field(default=432.0, ge=0)
    incremental_seconds: float | None = Field(default=None, ge=0)
    boot_seconds: float = Field(default=30.0, ge=0)
    run_seconds: float = Field(default=300.0, gt=0)
    vms: int = Field(default=10, ge=1)
    builders: int = Field(default=1, ge=1)


class _EvidenceRun(_Model):
    outcome: Literal["ok", "crash", "infra", "boot"]
    title: str = ""


class _Evidence(_Model):
    commit: str
    runs: list[_EvidenceRun]


class _Scenario(_Model):
    name: str
    kind: Literal["cause", "fix"] = "cause"
    commits: list[_Commit] = Field(min_length=1)
    tags: dict[str, str] = {}
    head: str | None = None
    start: str | None = None
    cross_tree: bool = False
    introduced: str | None = None
    fixed: str | None = None
    good: list[str] = []
    lab: _Lab = _Lab()
    evidence: list[_Evidence] = []
    seed: int = Field(default=0, ge=0)
    target: float = Field(default=0.99, gt=0, lt=1)
    budget_seconds: float | None = Field(default=None, gt=0)


class _Wrong(Exception):
    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")


def read_scenarios(text: str, origin: str) -> list[Scenario]:
    """The scenarios of a JSON text: one object or a list of them, in order.

    Raises UserError with one line that names ``origin`` (the file), field and reason. In a list a field's name
    begins with the scenario's place, from 0.
    """
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{origin}: line {error.lineno} column {error.colno}: not JSON: {error.msg}") from None
    rows = data if isinstance(data, list) else [data]
    prefixes = [f"{i}." for i in range(len(rows))] if isinstance(data, list) else [""]
    return [_read(row, origin, prefix) for row, prefix in zip(rows, prefixes, strict=True)]


def _read(row: Any, origin: str, prefix: str) -> Scenario:
    try:
        return _scenario(_Scenario.model_validate(row))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "scenario"
        raise UserError(f"{origin}: {prefix}{field}: {_reason(first)}") from None
    except _Wrong as error:
        raise UserError(f"{origin}: {prefix}{error}") from None


def _reason(error: Any) -> str:
    known = {"missing": "missing", "extra_forbidden": "unknown field", "model_type": "must be an object"}
    text = known.get(error["type"], error["msg"])
    return str(text[:1].lower() + text[1:])


def _scenario(data: _Scenario) -> Scenario:
    history = _history(data)
    names = _Names(history)
    start, head = _ends(data, names)
    _check_good(data, history, start)
    evidence = tuple(
        Evidence(names.one(f"evidence.{i}.commit", item.commit), tuple(_run(run) for run in item.runs))
        for i, item in enumerate(data.evidence)
    )
    task = Task(
        name=data.name,
        history=history,
        start=start,
        head=head,
        kind=data.kind,
        cross_tree=data.cross_tree,
        good=tuple(names.one(f"good.{i}", name) for i, name in enumerate(data.good)),
        evidence=evidence,
        target=data.target,
        budget_seconds=data.budget_seconds,
    )
    introduced = None if data.introduced is None else names.one("introduced", data.introduced)
    fixed = None if data.fixed is None else names.one("fixed", data.fixed)
    return Scenario(task, introduced, fixed, _lab(data.lab, names), data.seed)


def _run(run: _EvidenceRun) -> EvidenceRun:
    return EvidenceRun(run.outcome, run.title)


def _history(data: _Scenario) -> SimHistory:
    place = {}
    for i, commit in enumerate(data.commits):
        if commit.title in place:
            raise _Wrong(f"commits.{i}.title", f"not unique: {commit.title!r}")
        place[commit.title] = i
    for i, commit in enumerate(data.commits):
        for k, parent in enumerate(commit.parents):
            if parent not in place:
                raise _Wrong(f"commits.{i}.parents.{k}", f"no such commit: {parent!r}")
    order = _sorted([[place[parent] for parent in commit.parents] for commit in data.commits])
    new = {old: i for i, old in enumerate(order)}
    rows = [data.commits[i] for i in order]
    for tag, title in data.tags.items():
        if title not in place:
            raise _Wrong(f"tags.{tag}", f"no such commit: {title!r}")
    files = [None if row.files is None else frozenset(row.files) for row in rows]
    return SimHistory(
        [row.title for row in rows],
        [[new[place[parent]] for parent in row.parents] for row in rows],
        data.tags,
        files if any(item is not None for item in files) else None,
    )


def _sorted(parents: Sequence[Sequence[int]]) -> list[int]:
    """Parents before children, otherwise as given. Raises _Wrong for a cycle."""
    done = [False] * len(parents)
    order: list[int] = []
    for root in range(len(parents)):
        stack: list[tuple[int, Iterator[int]]] = [] if done[root] else [(root, iter(parents[root]))]
        path = {root} if stack else set()
        while stack:
            commit, rest = stack[-1]
            parent = next((p for p in rest if not done[p]), None)
            if parent is None:
                stack.pop()
                path.discard(commit)
                done[commit] = True
                order.append(commit)
            elif parent in path:
                raise _Wrong(f"commits.{parent}.parents", "the commit is among its own ancestors")
            else:
                stack.append((parent, iter(parents[parent])))
                path.add(parent)
    return order


def _ends(data: _Scenario, names: "_Names") -> tuple[str, str]:
    head = names.one("head", data.head if data.head is not None else data.commits[-1].title)
    start = names.one("start", data.start if data.start is not None else head)
    if data.cross_tree and data.kind == "cause":
        raise _Wrong("cross_tree", "is for fix bisections only")
    if data.kind == "fix" and not data.cross_tree and not names.history.is_ancestor(start, head):
        raise _Wrong("start", f"not contained in the head {head!r}; if it is on another branch, set cross_tree")
    return start, head


def _check_good(data: _Scenario, history: SimHistory, start: str) -> None:
    for i, name in enumerate(data.good):
        if data.kind == "fix":
            raise _Wrong("good", "is for cause bisections only")
        if name not in history.index:
            raise _Wrong(f"good.{i}", f"no such commit: {name!r}")
        if name == start or not history.is_ancestor(name, start):
            raise _Wrong(f"good.{i}", f"not contained in the start commit {start!r}")


def _lab(data: _Lab, names: "_Names") -> Lab:
    if not data.titles or any(weight <= 0 for weight in data.titles.values()):
        raise _Wrong("lab.titles", "at least one title, with a weight above 0")
    return Lab(
        titles=data.titles,
        types=data.types,
        frames=tuple(data.frames),
        crash_rate=data.crash_rate,
        time_to_crash=data.time_to_crash,
        rates=names.numbers(
            "lab.rate_by_commit", data.crash_rate, [(row.commits, row.crash_rate) for row in data.rate_by_commit]
        ),
        masked=names.flags("lab.masked", data.masked),
        reach=_reach(data.reach, names),
        unrelated=tuple(_other(f"lab.unrelated.{i}.commits", row, names) for i, row in enumerate(data.unrelated)),
        false_rate=data.false_rate,
        infra_rate=data.infra_rate,
        infra=names.numbers(
            "lab.infra_by_commit", data.infra_rate, [(row.commits, row.rate) for row in data.infra_by_commit]
        ),
        broken_build=names.flags("lab.broken_build", data.broken_build),
        broken_boot=names.flags("lab.broken_boot", data.broken_boot),
        binaries=_binaries(data.same_binary, names),
        built_files=None if data.built_files is None else frozenset(data.built_files),
        build_seconds=data.build_seconds,
        incremental_seconds=data.incremental_seconds,
        boot_seconds=data.boot_seconds,
        run_seconds=data.run_seconds,
        vms=data.vms,
        builders=data.builders,
    )


def _other(field: str, row: _Unrelated, names: "_Names") -> Unrelated:
    where = None if row.commits is None else names.flags(field, row.commits, always=True)
    return Unrelated(row.title, row.rate, row.type, where)


def _reach(rows: list[_Reach] | None, names: "_Names") -> Floats | None:
    if rows is None:
        return None
    for i, row in enumerate(rows):
        if row.reach != "absent" and not 0 <= row.reach <= 1:
            raise _Wrong(f"lab.reach.{i}.reach", 'must be from 0 to 1, or "absent"')
    values = [(row.commits, np.nan if row.reach == "absent" else row.reach) for row in rows]
    found = names.numbers("lab.reach", 1.0, values)
    return np.ones(names.history.dag.n) if found is None else found


def _binaries(groups: list[list[str]], names: "_Names") -> Ints | None:
    if not groups:
        return None
    found = np.full(names.history.dag.n, -1, dtype=np.int64)
    for i, titles in enumerate(groups):
        rows = names.rows(f"lab.same_binary.{i}", titles)
        if (found[rows] >= 0).any():
            raise _Wrong(f"lab.same_binary.{i}", "holds a commit of another list")
        found[rows] = i
    return found


class _Names:
    """Titles to indices, with errors that name the field."""

    def __init__(self, history: SimHistory) -> None:
        self.history = history

    def one(self, field: str, name: str) -> str:
        if name not in self.history.index:
            raise _Wrong(field, f"no such commit: {name!r}")
        return name

    def rows(self, field: str, titles: Iterable[str]) -> list[int]:
        return [self.history.index[self.one(f"{field}.{i}", title)] for i, title in enumerate(titles)]

    def flags(self, field: str, titles: Sequence[str], always: bool = False) -> Bools | None:
        if not titles and not always:
            return None
        found = np.zeros(self.history.dag.n, dtype=bool)
        found[self.rows(field, titles)] = True
        return found

    def numbers(self, field: str, default: float, rows: Sequence[tuple[list[str], float]]) -> Floats | None:
        """Later entries override earlier ones."""
        if not rows:
            return None
        found = np.full(self.history.dag.n, default, dtype=np.float64)
        for i, (titles, value) in enumerate(rows):
            found[self.rows(f"{field}.{i}.commits", titles)] = value
        return found
