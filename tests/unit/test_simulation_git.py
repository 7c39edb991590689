"""The baselines' `git bisect` against git itself, on random repositories made here."""

import os
import subprocess

import numpy as np
import pytest

from firstbad.simulation import SimHistory
from firstbad.simulation.baselines.git_bisect import GitBisect, verdicts

ENV = {
    **{
        f"GIT_{who}_{what}": text for who in ("AUTHOR", "COMMITTER") for what, text in (("NAME", "A"), ("EMAIL", "a@b"))
    },
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "LC_ALL": "C",
}


class Repository:
    """A bare repository with the graph of ``parents``; ``hashes[i]`` is commit i."""

    def __init__(self, path, parents):
        self.path = path
        self.git("init", "-q", "--bare", "-b", "c0", str(path))
        stream = []
        for i, row in enumerate(parents):
            head = f"commit refs/heads/c{i}\nmark :{i + 1}\ncommitter A <a@b> 1700000000 +0000\n"
            stream.append(f"{head}data 5\nc{i:03}\n")
            stream += [f"{'merge' if k else 'from'} :{p + 1}\n" for k, p in enumerate(row)]
            stream.append("\n")
        self.git("fast-import", "--quiet", "--export-marks=marks", data="".join(stream))
        rows = (line.split() for line in (path / "marks").read_text().splitlines())
        found = {int(mark[1:]) - 1: name for mark, name in rows}
        self.hashes = [found[i] for i in range(len(parents))]

    def git(self, *args, data=""):
        where = ["-C", str(self.path)] if self.path.exists() else []
        done = subprocess.run(
            ["git", *where, *args], input=data, capture_output=True, text=True, env={**os.environ, **ENV}, check=False
        )
        return done.stdout

    def chosen(self):
        return self.hashes.index(self.git("rev-parse", "BISECT_HEAD").strip())


def graph(rng, count):
    """Commits with one to three parents among the last eight; the last one contains all others."""
    rows = [[]]
    for i in range(1, count):
        wanted = min(i, int(rng.choice([1, 1, 1, 2, 2, 3])))
        rows.append([int(p) for p in rng.choice(np.arange(max(0, i - 8), i), size=wanted, replace=False)])
    children = {p for row in rows for p in row}
    loose = [i for i in range(count) if i not in children]
    return [*rows, loose] if len(loose) > 1 else rows


@pytest.mark.parametrize("seed", range(12))
def test_every_choice_is_as_near_the_middle_as_gits_and_the_answer_is_the_same(tmp_path, seed):
    rng = np.random.default_rng(seed)
    parents = graph(rng, 60)
    history = SimHistory([f"c{i}" for i in range(len(parents))], parents)
    bad = len(parents) - 1
    good = [int(i) for i in rng.integers(0, 12, size=1 + seed % 2)]
    inside = history.inside(f"c{bad}", [f"c{i}" for i in good])
    culprit = int(rng.choice(np.flatnonzero(inside)))
    # Half of the searches meet commits that can't be tested, beside the culprit too.
    broken = set(np.flatnonzero(rng.random(len(parents)) < (0.3 if seed % 2 else 0)).tolist()) - {bad}
    repository = Repository(tmp_path / "repo", parents)
    out = repository.git(
        "bisect", "start", "--no-checkout", repository.hashes[bad], *(repository.hashes[i] for i in good)
    )
    ours, steps = GitBisect(history, bad, good), 0
    for choice in verdicts(ours):
        theirs = repository.chosen()
        best = max(ours.middling(i) for i in ours.left())
        first = {i in ours.skipped for i in ours.left() if ours.middling(i) == best}
        if len(first) == 1:  # else git's hashes say whether a skipped commit is the first of the best ones
            assert ours.middling(choice) == ours.middling(theirs)
        if not ours.skipped:
            assert choice == theirs  # all commits have one date: then git's order is known, too
        steps += 1
        # Both go on from git's choice: once commits were skipped, it takes the one of the smaller hash among equals.
        verdict = "skip" if theirs in broken else "bad" if history.is_ancestor(f"c{culprit}", f"c{theirs}") else "good"
        out = repository.git("bisect", verdict, repository.hashes[theirs])
        ours.mark(theirs, verdict)
    assert steps > 3
    answer = {repository.hashes[i] for i in ours.answer()}
    named = [line for line in out.splitlines() if "is the first bad commit" in line]
    if named:
        assert answer == {named[0].split()[0]}
    else:
        assert answer == {line for line in out.splitlines() if line in repository.hashes}
    assert repository.hashes[culprit] in answer


def test_a_line_takes_as_many_steps_as_a_logarithm_says():
    history = SimHistory([f"c{i}" for i in range(1025)], [[i - 1] if i else [] for i in range(1025)])
    for culprit in (1, 2, 511, 512, 513, 1023, 1024):
        search = GitBisect(history, 1024, [0])
        steps = 0
        for commit in verdicts(search):
            search.mark(commit, "bad" if commit >= culprit else "good")
            steps += 1
        assert search.answer() == [culprit]
        assert steps in (10, 11)


def test_what_could_not_be_told_apart_is_the_answer():
    history = SimHistory("abcdef", [[], [0], [1], [2], [3], [4]])
    search = GitBisect(history, 5, [0])
    for commit in verdicts(search):
        search.mark(commit, "skip" if commit in (2, 3) else "bad" if commit >= 3 else "good")
    assert search.answer() == [4, 3, 2]
