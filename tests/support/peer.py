"""The table of a peer's bisection tests, as scenarios of ours and as the peer's own deterministic lab.

The table is not part of the project: FIRSTBAD_SHARED names the directory that holds it, or it lies in ``../shared``
beside the checkout; tests that need it skip where it is absent.
"""

import functools
import json
import os
from pathlib import Path
from typing import Any

import pytest

from firstbad.simulation import RunFact, Scenario, World, read_scenarios

SURE = {"SYZ_FAILURE": "SYZFAIL: wrong response packet", "LOST_CONNECTION": "lost connection to test machine"}


def shared() -> Path:
    """The directory of facts; skips the test where there is none."""
    place = Path(os.environ.get("FIRSTBAD_SHARED") or Path(__file__).parents[2].parent / "shared")
    if not (place / "peer" / "bisect_scenarios.json").is_file():
        pytest.skip("the peer's table of bisection tests is not here; FIRSTBAD_SHARED names its directory")
    return place


def table() -> dict[str, Any]:
    """The whole table."""
    return _load(shared() / "peer" / "bisect_scenarios.json")


@functools.cache
def _load(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def rows(beyond: bool = False) -> list[dict[str, Any]]:
    """The scenarios that don't vary the configuration; ``beyond``: those that the peer gets wrong."""
    data = table()
    if beyond:
        return data["beyond_peer_scenarios"]["scenarios"]
    return [row for row in data["scenarios"] if not row["baseline_config"]]


def scenario_json(row: dict[str, Any], seed: int = 0) -> dict[str, Any]:
    """A row of the table in the format of `firstbad simulate`; counts of crashes become independent rates."""
    commits = table()["topology"]["commits"]
    known = {commit["title"] for commit in commits}
    numbers = sorted((int(title), title) for title in known if title.isdecimal())

    def between(ends: list[int] | None) -> list[str]:
        return [] if ends is None else [title for number, title in numbers if ends[0] <= number <= ends[1]]

    unrelated = []
    if row["inject_syz_failure"]:
        unrelated.append({"title": SURE["SYZ_FAILURE"], "type": "SYZ_FAILURE", "rate": 0.1})
    if row["inject_lost_connection"]:
        unrelated.append({"title": SURE["LOST_CONNECTION"], "type": "LOST_CONNECTION", "rate": 1 / 3})
    infra = between(row["infra_err"])
    return {
        "name": row["name"],
        "kind": row["kind"],
        "commits": [{"title": commit["title"], "parents": commit["parents"]} for commit in commits],
        "tags": {tag: commit["title"] for commit in commits for tag in commit["tags"]},
        "head": next(commit["title"] for commit in commits if "master" in commit["branches"]),
        "start": row["start_commit"],
        "cross_tree": row["cross_tree"],
        "introduced": row["introduced"],
        # A fix that is in no commit of the table is none.
        "fixed": row["fix_commit"] if row["fix_commit"] in known else None,
        "lab": {
            "titles": {"crash occurs": 1},
            "types": {"crash occurs": row["crash_type"]} if row["crash_type"] else {},
            "crash_rate": 1 / 6 if row["flaky"] else 1.0,
            "unrelated": unrelated,
            "broken_boot": between(row["broken"]),
            "infra_by_commit": [{"commits": infra, "rate": 0.55}] if infra else [],
            "same_binary": [between(row["same_binary"])] if row["same_binary"] else [],
        },
        "seed": seed,
    }


def scenario(row: dict[str, Any], seed: int = 0) -> Scenario:
    """A row of the table as a scenario."""
    return read_scenarios(json.dumps(scenario_json(row, seed)), row["name"])[0]


class PeerWorld(World):
    """The peer's own lab: so many crashes in so many runs, nothing random. Keeps what was tested."""

    def __init__(self, row: dict[str, Any]) -> None:
        made = scenario(row)
        super().__init__(made)
        self.row, self.tested = row, []
        lab, index = made.lab, made.history.index
        self._bug = {name for name, i in index.items() if made.present()[i]}
        self._broken = {name for name, i in index.items() if lab.broken_boot is not None and lab.broken_boot[i]}
        self._infra = {name for name, i in index.items() if lab.infra is not None and lab.infra[i]}

    def batch(self, commit: str, runs: int, seconds=None, until=lambda _: False) -> list[RunFact]:
        self.tested.append((commit, runs))
        facts = [self._result(commit, runs, i) for i in range(runs)]
        self.runs += runs
        return facts

    def _result(self, commit: str, runs: int, i: int) -> RunFact:
        row = self.row
        if commit in self._broken:
            return RunFact("boot")
        if commit in self._infra:
            return RunFact("infra" if 2 * i <= runs else "ok")
        if commit in self._bug:
            crashes = max(2, runs // 6) if row["flaky"] else runs
            return RunFact("crash", "crash occurs", row["crash_type"]) if i < crashes else RunFact("ok")
        if row["inject_syz_failure"] and i == 0:
            return RunFact("crash", SURE["SYZ_FAILURE"], "SYZ_FAILURE")
        if row["inject_lost_connection"] and i < runs // 3:
            return RunFact("crash", SURE["LOST_CONNECTION"], "LOST_CONNECTION")
        return RunFact("ok")
