"""Small git histories of any project, and a test that fails as often as it is told."""

import random
import subprocess
from dataclasses import dataclass
from pathlib import Path

from firstbad.errors import BisectionError
from firstbad.history.git import Repo
from firstbad.inference import Model
from firstbad.session.question import Question
from firstbad.session.state import State, apply
from firstbad.session.steady import ProjectHistory, Steady
from firstbad.session.steps import Finish, Means
from firstbad.store import Event

Parents = list[tuple[int, ...]]


def line(length: int) -> Parents:
    """A history without merges."""
    return [(), *((i,) for i in range(length - 1))]


def merging(length: int, seed: int, share: float = 0.3) -> Parents:
    """A history of topic branches that are merged, some of them nested; the last commit contains all."""
    rng = random.Random(seed)
    parents: Parents = [()]
    main, open_tips = 0, []
    while len(parents) < length - 1:
        new = len(parents)
        if open_tips and rng.random() < share:
            parents.append((main, open_tips.pop(rng.randrange(len(open_tips)))))
            main = new
        elif rng.random() < share:
            parents.append((rng.randrange(max(0, new - 12), new),))
            open_tips.append(new)
        elif open_tips and rng.random() < 0.5:
            place = rng.randrange(len(open_tips))
            parents.append((open_tips[place],))
            open_tips[place] = new
        else:
            parents.append((main,))
            main = new
    while open_tips:
        parents.append((main, open_tips.pop()))
        main = len(parents) - 1
    parents.append((main,))
    return parents


def make_repo(directory: Path, parents: Parents) -> list[str]:
    """A bare repository with these commits, all on ``main``'s way; their hashes. Commit i holds a file that says i."""
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(directory)], check=True)
    lines = []
    for i, above in enumerate(parents):
        who = f"A <a@example.org> {1_700_000_000 + 60 * i} +0000"
        lines += ["commit refs/heads/main", f"mark :{i + 1}", f"author {who}", f"committer {who}"]
        lines += [f"data {len(f'change {i}')}", f"change {i}"]
        lines += [f"{'merge' if n else 'from'} :{p + 1}" for n, p in enumerate(above)]
        lines += ["M 644 inline n", f"data {len(str(i))}", str(i), ""]
    git = ["git", "-C", str(directory), "fast-import", "--quiet", "--force", f"--export-marks={directory}/marks"]
    subprocess.run(git, input="\n".join(lines).encode(), check=True)
    rows = (row.split() for row in (directory / "marks").read_text().splitlines())
    found = {int(mark[1:]): commit for mark, commit in rows}
    return [found[i + 1] for i in range(len(parents))]


def below(parents: Parents, commit: int) -> set[int]:
    """A commit and its ancestors."""
    seen, waiting = set[int](), [commit]
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            waiting += parents[one]
    return seen


@dataclass
class Ran:
    """What a simulated job came to."""

    finish: Finish
    tests: int
    """Commands that were run."""
    confirming: int
    """Of these, to prove culprit and parents."""
    rounds: int
    state: State
    seconds: float = 0.0
    """What it takes where each worker builds or runs one thing at a time, and a round ends with its last run."""

    @property
    def commit(self) -> str:
        """The answer, where it is one commit."""
        return self.finish.commits[0] if self.finish.status == "found" else ""


def search(
    directory: Path,
    hashes: list[str],
    parents: Parents,
    culprit: int,
    *,
    rate: float = 1.0,
    false_rate: float = 0.0,
    seed: int = 0,
    machines: int = 1,
    confirm: bool = True,
    broken: frozenset[int] = frozenset(),
    fix: bool = False,
    model: Model | None = None,
    target: float = 0.99,
    most: int = 5000,
    build_seconds: float = 10.0,
    run_seconds: float = 5.0,
) -> Ran:
    """Find ``culprit`` between the first commit and the last one, with a test that fails with ``rate`` where it is."""
    rng = random.Random(seed)
    first, last = hashes[0], hashes[-1]
    question = (
        Question("fix", first, head=last, trusted=True, target=target, priors=False)
        if fix
        else Question("cause", last, good=(first,), trusted=True, target=target, priors=False)
    )
    history = ProjectHistory(Repo(directory))
    decider = Steady(history, question, Means(machines, 60.0, full_length=True), model, confirm)
    number = {commit: i for i, commit in enumerate(hashes)}
    inside = [culprit in below(parents, i) for i in range(len(hashes))]
    state, tests, confirming, rounds, seq, seconds = State(), 0, 0, 0, 0, 0.0

    def record(kind: str, data: dict[str, object]) -> None:
        nonlocal seq
        seq += 1
        apply(state, Event(seq, float(seq), kind, data))

    while tests < most:
        rounds += 1
        try:
            steps = decider.propose(state)
        except BisectionError as error:
            return Ran(Finish(error.status, why=str(error)), tests, confirming, rounds, state, seconds)
        if isinstance(steps, Finish):
            return Ran(steps, tests, confirming, rounds, state, seconds)
        built, ran = len(state.builds), tests
        for step in steps:
            record("test", {"commit": step.commit, "phase": step.phase, "title": "", **step.data})
            commit = number[step.commit]
            error = "broken" if commit in broken else ""
            if step.commit not in state.builds:
                build = {"commit": step.commit, "key": "", "signature": step.commit, "compiler": ""}
                record("build", {**build, "seconds": build_seconds, "error": error, "cached": False})
            for _ in range(0 if error else step.runs):
                tests, confirming = tests + 1, confirming + (step.phase == "confirm")
                chance = rate if inside[commit] != fix else false_rate
                outcome = "crash" if rng.random() < chance else "ok"
                run = {
                    "commit": step.commit,
                    "outcome": outcome,
                    "title": "",
                    "same": 1.0,
                    "why": "",
                    "wall": run_seconds,
                }
                record("run", {**run, "boot_seconds": 0.0, "run_seconds": run_seconds, "ended": "finished"})
                if outcome == "crash" and not step.all_runs:
                    break
            record("mark", {"commit": step.commit, **decider.judge(state, step)})
        seconds += build_seconds * (len(state.builds) > built) + run_seconds * -(-(tests - ran) // machines)
    raise AssertionError("no answer")
