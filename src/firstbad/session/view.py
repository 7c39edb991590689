"""What a state says about a range of history: the range, the prior, the belief."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firstbad.history.git import Repo
from firstbad.history.graph import Range, read_range, touched_files
from firstbad.inference import Belief, Dag, Model
from firstbad.job import Job
from firstbad.session.state import State

# Weights of what history knows, relative to an ordinary commit. Culprits touch a file of the crash's stack in 86%
# of 457 real cases where a few per cent of commits do; the other weights are cautious guesses. The floor keeps a
# wrong prior a matter of time, not of truth.
FLOOR = 0.15
STACK_FILE = 10.0
HINTED_PATH = 10.0
MERGE = 0.1
NOT_COMPILED = 0.02
# Two revisions with one signature are the same kernel: a culprit between them would contradict itself, unless the
# signature misses something. This is no hint but nearly a fact, so it is not softened by the floor.
SAME_BINARY = 1e-3
# Chance that a revision hides a bug it has, whatever the number of clean runs. Small until it is learned from data:
# beside a release, where the prior mass of "older" meets one revision's clean runs, it bounds the confidence.
MASK = 0.0005
# A revision that does not contain the start commit may come from before the bug (fix bisection).
MAYBE_NEVER = 0.5
MODEL = Model(uniform_floor=1e-9, mask=MASK)  # the prior is mixed here, before what is nearly a fact


_Rule = tuple[str, float, Callable[[frozenset[str]], bool]]


@dataclass(frozen=True)
class View:
    """A range of history and what is believed about it; arrays are indexed like ``range.hashes``."""

    range: Range
    belief: Belief
    effects: tuple[str, ...]  # what the prior did, in words

    def hash(self, index: int) -> str:
        """Full hash of a revision."""
        return self.range.hashes[index]


class Views:
    """Makes views; what git says about a range is asked once."""

    def __init__(self, repo: Repo, job: Job) -> None:
        self.repo = repo
        self.job = job
        self._ranges: dict[tuple[str, ...], tuple[Range, Dag]] = {}
        self._touched: dict[tuple[str, ...], dict[str, frozenset[str]]] = {}

    def range(self, tip: str, excluded: Sequence[str]) -> tuple[Range, Dag]:
        """The commits of ``tip`` that are not in ``excluded``, with the excluded ones as boundary."""
        key = (tip, *excluded)
        if key not in self._ranges:
            found = read_range(self.repo, tip, excluded)
            self._ranges[key] = found, Dag(found.parents)
        return self._ranges[key]

    def touched(self, tip: str, excluded: Sequence[str]) -> dict[str, frozenset[str]]:
        """Files by commit; the most expensive question to git, asked only where the prior needs the answer."""
        key = (tip, *excluded)
        if key not in self._touched:
            self._touched[key] = touched_files(self.repo, tip, excluded)
        return self._touched[key]

    def view(
        self,
        state: State,
        start: str,
        tip: str,
        excluded: Sequence[str],
        compiled: frozenset[str] = frozenset(),
        hints: bool = True,
    ) -> View:
        """The belief after everything that the state holds, about one range.

        Without ``hints`` the prior knows nothing of files: enough to say whether an end of the range has the bug.
        """
        found, dag = self.range(tip, excluded)
        candidates = np.ones(dag.n, dtype=bool)
        candidates[list(found.boundary)] = False
        touched = self.touched(tip, excluded) if hints and self.job.priors else None
        prior, effects = self._prior(state, found, dag, candidates, touched, compiled)
        doubt = _doubts(state, found, dag, start) if self.job.kind == "fix" else None
        belief = Belief(
            dag,
            kind=self.job.kind,
            candidates=candidates,
            start=found.index[start],
            prior=prior,
            doubt=doubt,
            model=MODEL,
        )
        for commit, tally in state.tallies.items():
            index = found.index.get(commit)
            if index is not None:
                belief.observe(index, crashes=tally.crashes, clean=tally.clean, lost=tally.lost)
        for commit in state.untestable():
            if commit in found.index:
                belief.untestable(found.index[commit])
        return View(found, belief, effects)

    def _prior(
        self,
        state: State,
        found: Range,
        dag: Dag,
        candidates: NDArray[np.bool_],
        touched: Mapping[str, frozenset[str]] | None,
        compiled: frozenset[str],
    ) -> tuple[NDArray[np.float64], tuple[str, ...]]:
        weights = np.ones(dag.n)
        effects: list[str] = []
        if touched is not None:
            single = [i for i in np.flatnonzero(candidates) if len(found.parents[i]) < 2]
            files = {int(i): touched.get(found.hashes[i], frozenset()) for i in single}
            for words, weight, holds in self._rules(state, compiled):
                hits = [i for i, names in files.items() if holds(names)]
                weights[hits] *= weight
                if hits:
                    effects.append(f"{len(hits)} of {candidates.sum()} commits {words} (weight {weight:g})")
            weights[[i for i in range(dag.n) if len(dag.parents[i]) > 1]] *= MERGE
        weights *= candidates
        mixed = FLOOR * candidates / candidates.sum() + (1 - FLOOR) * weights / weights.sum()
        for commit, twin in state.same.items():
            if commit in found.index and twin in found.index:
                between = dag.ancestors(found.index[commit]) ^ dag.ancestors(found.index[twin])
                mixed[between] *= SAME_BINARY
        return mixed, tuple(effects)

    def _rules(self, state: State, compiled: frozenset[str]) -> list[_Rule]:
        """What is known of a commit by the files it touches; a rule without the facts it needs is left out."""
        stack = frozenset((state.crash or {}).get("files", ()))
        rules: list[_Rule] = []
        if compiled:
            rules.append(("touch nothing that is compiled", NOT_COMPILED, lambda names: not names & compiled))
        if stack:
            rules.append(("touch a file of the crash's stack", STACK_FILE, lambda names: bool(names & stack)))
        if self.job.path:
            rules.append(("touch a hinted path", HINTED_PATH, self._hinted))
        return rules

    def _hinted(self, files: frozenset[str]) -> bool:
        return any(name == path or name.startswith(path.rstrip("/") + "/") for name in files for path in self.job.path)


def _doubts(state: State, found: Range, dag: Dag, start: str) -> NDArray[np.float64]:
    """Per revision, the chance that it never had the bug: high beside the start's descendants, until one crashes."""
    doubt = np.full(dag.n, MAYBE_NEVER)
    seen = [start, *(commit for commit, tally in state.tallies.items() if tally.crashes)]
    for commit in seen:
        if commit in found.index:
            doubt[dag.descendants(found.index[commit])] = MODEL.mask
    return doubt


def stack_files(report: str) -> list[str]:
    """Source files that a symbolized report names, in order of appearance, relative to the tree."""
    files: dict[str, None] = {}
    for word in report.split():
        name, _, line = word.partition(":")
        if line.isdigit() and name.endswith((".c", ".h", ".S", ".rs")) and not name.startswith("/"):
            files[name.removeprefix("./")] = None
    return list(files)
