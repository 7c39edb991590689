"""What a step costs: ours against two ways to do the same by hand, on the same 12-step bisection of the demo's history.

Run: ``python -m benchmarks.lab [--clean-every 3] [--warm DIR] [--keep DIR]``, on an idle machine; half an hour on two
cores. The walk is that of bug (a), seed 1: the start, the releases below it until one is good, then what ``git bisect``
asks for. Each way has a clone and asks git itself; a step is: switch to the revision, build, run the reproducer until a
crash or RUNS times.

- ours: ``Builder`` (nearest place, compile cache), two machines at a time. Everything begins empty, but for the
  compile cache if ``--warm`` names one to begin with.
- incremental: ``git checkout`` in one tree, ``make olddefconfig bzImage`` in it, no compile cache, one boot after the
  other. It is driven as ``git bisect run`` would, without the seconds that a script would take to start.
- clean: the same with ``make distclean`` first, at every third revision (their median stands for all).

The ways take turns at each revision, so that other work on the machine slows all of them; CPU time (user and system,
of everything that was started) hardly depends on it. All use the same compiler, configuration, ``make -j``, initramfs
and machine, and end a run as soon as it is over: systems in use wait minutes for a boot and for a clean run. The first
step of ours and of the incremental way is a full build.
"""

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from firstbad.crash import first_sign, parse
from firstbad.demo import Case, Demo, make_demo
from firstbad.history.git import Repo
from firstbad.history.releases import previous_releases
from firstbad.kernel.artifacts import Artifacts
from firstbad.kernel.build import Builder, Spec
from firstbad.kernel.config import machine_options
from firstbad.kernel.toolchain import choose
from firstbad.repro import prepare
from firstbad.vm import Acceleration, MachineConfig, build_initramfs, probe_acceleration, run_machine

RUNS = 4
MACHINES = 2
JOBS = os.cpu_count() or 1


@dataclass(frozen=True)
class Step:
    """One revision's test: seconds of switching and building, and of running; ``cpu`` seconds of both."""

    way: str
    number: int
    commit: str
    verdict: str
    build: float
    run: float
    runs: int
    cpu: float

    @property
    def total(self) -> float:
        """Seconds of the whole step."""
        return self.build + self.run


Test = Callable[[int, str], Step]


def walk(clone: Path, case: Case, test: Test) -> Iterator[Step | str]:
    """The steps of a bisection, then the hash of the culprit."""
    repo = Repo(clone)
    numbers = iter(range(1, 100))

    def step(commit: str) -> Step:
        return test(next(numbers), commit)

    bad = step(case.start)
    yield bad
    good = bad
    for release in previous_releases(repo, case.start):
        good = step(repo.resolve(release.tag))
        yield good
        if good.verdict == "good":
            break
        bad = good if good.verdict == "bad" else bad
    git(clone, "bisect", "start", "--no-checkout", bad.commit, good.commit)
    said = ""
    while "first bad commit" not in said:
        asked = step(git(clone, "rev-parse", "BISECT_HEAD").strip())
        yield asked
        said = git(clone, "bisect", asked.verdict, asked.commit)
    yield said.split()[0]


def git(place: Path, *arguments: str) -> str:
    """Run git and return what it prints."""
    return subprocess.run(["git", "-C", place, *arguments], check=True, capture_output=True, text=True).stdout


class Machines:
    """Boots kernels and says whether the reproducer crashes them."""

    def __init__(self, place: Path, case: Case) -> None:
        self.initramfs = build_initramfs(place / "machines")
        self.payload = prepare(case.repro, place / "machines").payload()
        self.case = case
        self.how: Acceleration | None = None

    def one(self, kernel: Path) -> str:
        """One boot, one run."""
        if self.how is None:
            self.how = probe_acceleration(kernel, self.initramfs)
        run = run_machine(kernel, self.initramfs, self.payload, MachineConfig(), self.how, crash_sign=first_sign)
        report = parse(run.console)
        if report is None:
            return "good" if run.booted else "skip"
        return "bad" if report.title == self.case.title else "skip"

    def test(self, kernel: Path, at_a_time: int) -> tuple[str, int]:
        """Verdict after RUNS runs or the first crash, and how many runs it took."""
        seen: list[str] = []
        with ThreadPoolExecutor(at_a_time) as pool:
            while len(seen) < RUNS and "bad" not in seen:
                seen += pool.map(self.one, [kernel] * min(at_a_time, RUNS - len(seen)))
        verdict = "bad" if "bad" in seen else "good" if "good" in seen else "skip"
        return verdict, len(seen)


def cpu_seconds() -> float:
    """CPU time of this process and of all that it waited for."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def measured(way: str, number: int, commit: str, build: Callable[[], Path | None], machines: Machines, at: int) -> Step:
    """Build and run with a clock."""
    used, started = cpu_seconds(), time.perf_counter()
    kernel = build()
    built = time.perf_counter()
    verdict, runs = machines.test(kernel, at) if kernel else ("skip", 0)
    ended = time.perf_counter()
    step = Step(way, number, commit, verdict, built - started, ended - built, runs, cpu_seconds() - used)
    print(json.dumps(asdict(step)), flush=True)
    return step


def ours(place: Path, made: Demo, case: Case, machines: Machines) -> Test:
    """Our builder with an empty home."""
    builder = Builder(place / "builder", Artifacts(place / "artifacts", 1 << 40), place / "ccache", JOBS)
    spec = Spec(case.config.read_text(), "tinyconfig")

    def build(commit: str) -> Path | None:
        built = builder.build(Repo(made.repo), commit, spec)
        return None if built.error else built.kernel

    return lambda number, commit: measured("ours", number, commit, lambda: build(commit), machines, MACHINES)


def by_hand(way: str, place: Path, made: Demo, case: Case, machines: Machines) -> Test:
    """One tree, built in place; ``distclean`` first in the clean way."""
    tree = place / way
    subprocess.run(["git", "clone", "-q", "--shared", "--no-checkout", made.repo, tree], check=True)
    tools = choose((6, 12, 0))
    fragment = place / f"{way}.config"
    fragment.write_text(case.config.read_text() + machine_options((6, 12, 0)))
    command = ["make", "-s", f"-j{JOBS}", f"CC={tools.cc}", f"HOSTCC={tools.cc}", "LOCALVERSION=", *tools.make]

    def make(*targets: str) -> bool:
        return subprocess.run([*command, *targets], cwd=tree, capture_output=True, check=False).returncode == 0

    def build(commit: str) -> Path | None:
        git(tree, "checkout", "-q", "--force", commit)
        if way == "clean":
            make("distclean")
        if not (tree / ".config").exists():
            make("tinyconfig")
            with (tree / ".config").open("a") as file:
                file.write(fragment.read_text())
        image = tree / "arch/x86/boot/bzImage"
        return image if make("olddefconfig") and make("bzImage") else None

    return lambda number, commit: measured(way, number, commit, lambda: build(commit), machines, 1)


def begun(place: Path, made: Demo, case: Case, name: str, test: Test) -> Iterator[Step | str]:
    """A bisection one way, in a clone of its own."""
    clone = place / f"{name}.git"
    subprocess.run(["git", "clone", "-q", "--bare", "--shared", made.repo, clone], check=True)
    return walk(clone, case, test)


def take_turns(
    place: Path, made: Demo, case: Case, clean_every: int
) -> tuple[dict[str, list[Step]], dict[str, str], str]:
    """Steps by way, culprits by way, and how machines ran."""
    machines = Machines(place, case)
    tests = {"ours": ours(place, made, case, machines)}
    tests |= {way: by_hand(way, place, made, case, machines) for way in ("incremental", "clean")}
    walks = {way: begun(place, made, case, way, tests[way]) for way in ("ours", "incremental")}
    steps: dict[str, list[Step]] = {way: [] for way in tests}
    culprits: dict[str, str] = {}
    while walks:
        for way in list(walks):
            found = next(walks[way])
            if isinstance(found, str):
                culprits[way] = found
                del walks[way]
            else:
                steps[way].append(found)
        last = steps["incremental"][-1]
        if walks and last.number % clean_every == 2:
            steps["clean"].append(tests["clean"](last.number, last.commit))
    return steps, culprits, str(machines.how)


def table(ways: dict[str, list[Step]]) -> str:
    """Medians as Markdown, and how ours compares."""
    rows = [
        "| way | steps | build, s | runs, s | step, s | step, CPU s | ours takes | of the CPU time |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]

    def median(way: str, name: str) -> float:
        return statistics.median(float(getattr(step, name)) for step in ways[way])

    for way in ways:
        cells = [f"{median(way, name):.1f}" for name in ("build", "run", "total", "cpu")]
        shares = [f"{median('ours', name) / median(way, name):.2f}" for name in ("total", "cpu")]
        rows.append(f"| {' | '.join([way, str(len(ways[way])), *cells, *shares])} |")
    return "\n".join(rows)


def main() -> None:
    """Measure all three ways and print a line a step, then the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clean-every", type=int, default=3, help="measure the clean way at every so many steps")
    parser.add_argument("--warm", type=Path, help="compile cache that ours begins with a copy of")
    parser.add_argument("--keep", type=Path, help="directory to work in; the demo in it is kept")
    wanted = parser.parse_args()
    if wanted.keep:
        wanted.keep.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=wanted.keep))
    try:
        made = make_demo(wanted.keep / "demo" if wanted.keep else scratch / "demo", 1)
        case = made.cases["a"]
        if wanted.warm:
            shutil.copytree(wanted.warm, scratch / "ccache")
        steps, culprits, how = take_turns(scratch, made, case, wanted.clean_every)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    verdicts = {(step.commit, step.verdict) for way in steps.values() for step in way}
    print(f"\n{platform.machine()}, {JOBS} CPUs; {how}")
    print(f"{culprits}, truth {case.culprit}; {len(steps['ours'])} steps")
    print(f"verdicts {'agree' if len(verdicts) == len({commit for commit, _ in verdicts}) else 'DIFFER'}")
    print(table(steps))
    totals = {way: sum(step.total for step in steps[way]) for way in ("ours", "incremental")}
    print(f"whole bisection, s: {totals}")


if __name__ == "__main__":
    main()
