"""Configuration minimization on the demo's history, with real builds and boots: how much of a fat one is left?

Run: ``uv run python -m benchmarks.minimize [--case a] [--without-hints]``. Needs what ``firstbad doctor`` names.

The fat configuration is the demo's with ``minimize_data/fat.config`` over it; the baseline is the demo's without what
the reproducers call. The session does what it does in a bisection, up to its choice of a configuration.
``--without-hints``: nothing is tried first because of the crash's stack or type, slices alone decide.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firstbad.demo import demo_job, make_demo
from firstbad.home import Home, home
from firstbad.job import Job, make_job
from firstbad.kernel.artifacts import Artifacts
from firstbad.kernel.dotconfig import read_config, switched_on
from firstbad.session import Bisection, State
from firstbad.session.configuration import TreeMinimizer
from firstbad.store import Event, Store

CALLED = "# what the reproducers call"
KEPT = "CONFIG_FUTEX=y"  # of those, what the C library calls
FAT = Path(__file__).parent / "minimize_data" / "fat.config"


class Chosen(Exception):
    """The session has chosen its configuration."""


@dataclass
class UntilChosen:
    """Prints what is tried, and ends the session at its choice."""

    seconds: float = 0.0

    def event(self, event: Event, state: State) -> None:
        """See session.Observer."""
        data = event.data
        if event.kind == "trial":
            print(f"{data['what']} {data['number']}: {len(data.get('options', []))} options", end="", file=sys.stderr)
        elif event.kind == "trial-build":
            print(f", built in {data['seconds']:.0f} s{data['error'] and ': '}{data['error']}", end="", file=sys.stderr)
        elif event.kind == "trial-mark":
            print(f", {data['crashes']} of {data['useful']} runs crashed", file=sys.stderr, flush=True)
        elif event.kind == "build":
            print(f"own configuration built in {data['seconds']:.0f} s {data['error']}", file=sys.stderr, flush=True)
        elif event.kind == "config":
            raise Chosen

    def activity(self, text: str) -> None:
        """See session.Observer."""


def configurations(own: Path, place: Path) -> tuple[Path, Path]:
    """The fat configuration and the baseline, made from the demo's own."""
    text = own.read_text()
    before, _, after = text.partition(CALLED)
    called, _, rest = after.partition("\n# ")
    fat, baseline = place / "fat.config", place / "baseline.config"
    fat.write_text(text + FAT.read_text())
    baseline.write_text(f"{before}{KEPT}\n# {rest}")
    if not called.strip():
        raise SystemExit(f"{own} has no options after {CALLED!r}")
    return fat, baseline


def measured(store: Store, number: int, place: Home, seconds: float) -> dict[str, Any]:
    """What came of it, from the events."""
    events = store.events(number)
    config = next(event.data for event in events if event.kind == "config")
    builds = [event.data for event in events if event.kind in ("build", "trial-build")]
    own, last = events_kernel(events, "build"), config["digest"]
    trials = [event.data for event in events if event.kind == "trial"]
    chosen = builds[1 + next(i for i, trial in enumerate(trials) if trial["digest"] == last)]
    store_of_builds = Artifacts(place.artifacts, place.budget // 2)
    sizes = [Path(found.kernel).stat().st_size for key in (own, chosen["key"]) if (found := store_of_builds.get(key))]
    marks = [event.data for event in events if event.kind == "trial-mark"]
    full = store_of_builds.get(own)
    return {
        "chosen": config["what"],
        "options_on_in_full": len(switched_on(read_config(full.config()))) if full else None,
        "added": config.get("added"),
        "left": config.get("left"),
        "share": round(config["left"] / config["added"], 4) if config.get("added") else None,
        "steps": sum(trial["what"] == "minimized" for trial in trials),
        "tries": len(trials),
        "runs": sum(event.kind == "trial-run" for event in events),
        "crashed_with_chosen": marks[trials.index(next(t for t in trials if t["digest"] == last))],
        "image_bytes": sizes,
        "build_seconds": [build["seconds"] for build in builds],
        "wall_seconds": round(seconds, 1),
    }


def events_kernel(events: list[Event], kind: str) -> str:
    """The key of the first build of a kind."""
    return str(next(event.data["key"] for event in events if event.kind == kind))


def minimize(job: Job, place: Home, hints: bool) -> dict[str, Any]:
    """Run a session until it has chosen its configuration."""
    store = Store(place.database)
    number = store.submit(job)
    session = Bisection(store, number, place, UntilChosen())
    if not hints:
        session.minimizer = TreeMinimizer(session.repo, session.question.start, job.build.arch, (), frozenset())
    started = time.monotonic()
    try:
        session.run()
    except Chosen:
        pass
    return measured(store, number, place, time.monotonic() - started)


def main() -> None:
    """Measure, and print one JSON object a case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", action="append", help="a case of the demo; repeat for more  [default: a]")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20, help="kernels that may be built")
    parser.add_argument("--without-hints", action="store_true")
    wanted = parser.parse_args()
    place = home()
    made = make_demo(place.root / "demo", wanted.seed)
    for name in wanted.case or ["a"]:
        case = made.cases[name]
        with tempfile.TemporaryDirectory() as scratch:
            fat, baseline = configurations(case.config, Path(scratch))
            job = demo_job(made, case, 0.99).model_dump(mode="json", by_alias=True)
            job |= {"config": str(fat), "baseline": str(baseline)}
            job["build"] |= {"minimize_steps": wanted.steps}
            result = minimize(make_job(job), place, not wanted.without_hints)
        print(json.dumps({"case": name, "hints": not wanted.without_hints, **result}), flush=True)


if __name__ == "__main__":
    main()
