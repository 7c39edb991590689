"""Real regressions of real projects: `firstbad run` beside `git bisect run` (1, 5, 10 repeats) and `git-bayesect`.

    python -m benchmarks.any_project CASES CLONES [--only NAME] [--passes 0 0.7 0.9] [--seeds 3] [--out rows.jsonl]

CASES holds cases.json and the scripts that it names, CLONES a clone for each `repo` (`owner+name`). Every revision that
any tool asks for is built and tested once, for real, by the case's own commands, in a clone of its own; what came of it
and what it took is kept (CLONES/.answers). Each tool's own command line then searches with a test that answers from
there, and lets the given share of failures pass, by a seeded chance. So all tools meet the same builds, and
wall-clock is what their commands took when they were made: for each revision that a tool comes to a build, for each
command a test. Checkouts and the tools' own time are left out.
"""

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

TOOLS = ("git-bisect-1", "git-bisect-5", "git-bisect-10", "git-bayesect", "firstbad")
_SKIP = 125
_LIMIT = 3600.0  # seconds of one search


@dataclass(frozen=True)
class Row:
    """One search."""

    case: str
    tool: str
    passes: float
    seed: int
    right: bool
    answer: str
    commands: int
    revisions: int
    wall_seconds: float


def answer(record: Path, clone: Path, case: dict[str, str], commit: str) -> dict[str, float]:
    """What a revision's build and test say, made once: ``status`` and seconds."""
    file = record / f"{commit}.json"
    if file.exists():
        found: dict[str, float] = json.loads(file.read_text())
        return found
    tree = record / "tree"
    if not tree.exists():
        subprocess.run(["git", "clone", "-q", "--shared", "--no-checkout", str(clone), str(tree)], check=True)
    subprocess.run(["git", "-C", str(tree), "checkout", "-q", "--force", "--detach", commit], check=True)
    subprocess.run(["git", "-C", str(tree), "clean", "-q", "-ffdx"], check=True)

    def timed(command: str) -> tuple[int, float]:
        since = time.monotonic()
        done = subprocess.run(["bash", "-c", command], cwd=tree, capture_output=True, check=False)
        return done.returncode, time.monotonic() - since

    built, build_seconds = timed(case["build"])
    status, test_seconds = timed(case["test"]) if not built else (_SKIP, 0.0)
    found = {"status": min(status, 1) if status != _SKIP else _SKIP, "build": build_seconds, "test": test_seconds}
    file.with_suffix(".new").write_text(json.dumps(found))
    file.with_suffix(".new").rename(file)
    return found


def test(plan: Path) -> int:
    """The test that the tools run, in a checkout: exit status by the record, failures passed by chance."""
    facts = json.loads(plan.read_text())
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    found = answer(Path(facts["record"]), Path(facts["clone"]), facts["case"], commit)
    log = plan.with_suffix(".log")
    ran = log.read_text().count("\n") if log.exists() else 0
    for repeat in range(facts["repeats"]):
        with log.open("a") as file:
            file.write(f"{commit} {found['build']:.3f} {found['test']:.3f} {int(found['status'])}\n")
        if found["status"] in (0, _SKIP):
            if found["status"]:
                return _SKIP
            continue
        if random.Random(facts["seed"] * 1_000_003 + ran + repeat).random() >= facts["passes"]:
            return 1
    return 0


def search(tool: str, case: dict[str, str], clone: Path, record: Path, passes: float, seed: int) -> Row:
    """One search by one tool, in a clone that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="any-project-") as scratch:
        work, plan = Path(scratch) / "work", Path(scratch) / "plan.json"
        subprocess.run(["git", "clone", "-q", "--shared", "--no-checkout", str(clone), str(work)], check=True)
        subprocess.run(["git", "-C", str(work), "checkout", "-q", "--detach", case["bad"]], check=True)
        repeats = int(tool.rsplit("-", 1)[1]) if tool.startswith("git-bisect") else 1
        facts = {"record": str(record), "clone": str(clone), "case": case, "repeats": repeats}
        plan.write_text(json.dumps(facts | {"passes": passes, "seed": seed}))
        found = _run_tool(tool, case, work, [sys.executable, str(Path(__file__).absolute()), "--test", str(plan)])
        log = plan.with_suffix(".log")
        lines = [line.split() for line in (log.read_text().splitlines() if log.exists() else [])]
    builds = {commit: float(build) for commit, build, _, _ in lines}
    ran = [line for line in lines if int(line[3]) != _SKIP]
    wall = sum(builds.values()) + sum(float(line[2]) for line in ran)
    right = found == case["culprit"]
    return Row(case["name"], tool, passes, seed, right, found, len(ran), len(builds), round(wall, 1))


def _run_tool(tool: str, case: dict[str, str], work: Path, command: list[str]) -> str:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "FIRSTBAD_HOME": str(work.parent / "home")}

    def run(*words: str) -> str:
        done = subprocess.run(words, cwd=work, env=env, capture_output=True, text=True, check=False, timeout=_LIMIT)
        return done.stdout

    if tool == "firstbad":
        ends = ("--good", case["good"], "--bad", case["bad"])
        said = run(sys.executable, "-m", "firstbad", "run", "--json", *ends, "--", *command)
        return str((json.loads(said)["commits"] or [""])[0]) if said else ""
    if tool == "git-bayesect":
        bayesect = str(Path(sys.executable).with_name("git-bayesect"))
        run(bayesect, "start", "--old", case["good"], "--new", case["bad"])
        run(bayesect, "run", "--confidence", "0.99", *command)
        status = re.sub(r"\x1b\[[0-9;]*m", "", run(bayesect, "status"))
        words = [line.split() for line in status.splitlines() if " likelihood " in line]
        likely = max(words, key=lambda row: float(row[2].rstrip("%,")), default=[""])
        return run("git", "rev-parse", likely[0]).strip() if likely[0] else ""
    run("git", "bisect", "start", case["bad"], case["good"])
    said = run("git", "bisect", "run", *command)
    named = [line.split()[0] for line in said.splitlines() if line.endswith("is the first bad commit")]
    return named[0] if named else ""


def main() -> None:
    """See the module's first lines."""
    if sys.argv[1:2] == ["--test"]:
        sys.exit(test(Path(sys.argv[2])))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=Path)
    parser.add_argument("clones", type=Path)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--tools", nargs="*", default=TOOLS)
    parser.add_argument("--passes", nargs="*", type=float, default=[0.0, 0.7, 0.9])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("any_project.jsonl"))
    options = parser.parse_args()
    os.environ["CASE"] = str(options.cases.absolute())
    rows = []
    for case in json.loads((options.cases / "cases.json").read_text()):
        clone = options.clones / case["repo"].removeprefix("github:").replace("/", "+")
        if not clone.exists() or (options.only and case["name"] not in options.only):
            continue
        record = options.clones / ".answers" / case["name"]
        record.mkdir(parents=True, exist_ok=True)
        for passes in options.passes:
            for seed in range(options.seeds if passes else 1):
                for tool in options.tools:
                    row = search(tool, case, clone.absolute(), record.absolute(), passes, seed)
                    rows.append(row)
                    print(json.dumps(asdict(row)), flush=True)
                    with options.out.open("a") as file:
                        file.write(json.dumps(asdict(row)) + "\n")
        shutil.rmtree(record / "tree", ignore_errors=True)
    print(table(rows))


def table(rows: list[Row]) -> str:
    """Per tool and share of failures that pass: right answers, commands and seconds of a search on average."""
    lines = [
        "| failures that pass | tool | right | commands | revisions | wall-clock |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for passes in sorted({row.passes for row in rows}):
        for tool in TOOLS:
            some = [row for row in rows if row.passes == passes and row.tool == tool]
            if some:
                mean = [
                    sum(getattr(row, name) for row in some) / len(some)
                    for name in ("commands", "revisions", "wall_seconds")
                ]
                right = f"{sum(row.right for row in some)} of {len(some)}"
                lines.append(f"| {passes:.0%} | {tool} | {right} | {mean[0]:.0f} | {mean[1]:.1f} | {mean[2]:.0f} s |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
