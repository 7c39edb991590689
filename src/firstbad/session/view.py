"""What a state says about a range of history: the range, the prior, the belief."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from firstbad.history.base import History
from firstbad.history.graph import Range
from firstbad.inference import Belief, Dag, Exposure, Model
from firstbad.inference.facts import facts
from firstbad.session.opinions import PERSON_ERROR
from firstbad.session.question import Question
from firstbad.session.state import State

# Weights of what history knows, relative to an ordinary commit. The one for a file of the crash's stack is measured
# (86% of 457 real culprits touch one) against the share of commits that do; the others are cautious guesses. The
# floor keeps a wrong prior a matter of time, not of truth.
FLOOR = 0.15
HINTED_PATH = 10.0
MERGE = 0.3
NOT_COMPILED = 0.02
# Two revisions with one signature are the same kernel: a culprit between them would contradict itself, unless the
# signature misses something. This is no hint but nearly a fact, so it is not softened by the floor.
SAME_BINARY = 1e-3
# A revision that does not contain the start commit may come from before the bug (fix bisection): at first, and when
# its merge base with the start was run clean.
MAYBE_NEVER = 0.5
NEVER = 0.999
# Bugs are young: most lie before the newest release below the start, and there near the start. Both are taken at a
# third of their strength on record (cube roots of the weights): that keeps much of what they buy, and costs a culprit
# at a random place a fraction of a bit instead of several.
STRENGTH = 1 / 3
TRUSTED = 1e-4  # chance that an end of the range that somebody vouches for has the bug after all
EQUAL_KERNEL = 1e-6
_RATES = facts().rates
# Bugs that crash seldom were seldom taken on, so their weights on record are too small: the power brings them up.
# The prior over commits is mixed here, before what is nearly a fact.
MODEL = Model(rates=_RATES.rates, rate_weights=tuple(weight**0.8 for weight in _RATES.weights), uniform_floor=1e-9)

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
_Rule = tuple[str, Callable[[float], float], Callable[[frozenset[str]], bool]]


@dataclass(frozen=True)
class View:
    """A range of history and what is believed about it; arrays are indexed like ``range.hashes``."""

    range: Range
    belief: Belief
    releases: Mapping[int, str]
    """Index and tag of the releases of the range, newest first."""
    exposure: Exposure
    effects: tuple[str, ...]  # what the prior did, in words

    def hash(self, index: int) -> str:
        """Full hash of a revision."""
        return self.range.hashes[index]


@dataclass
class _Part:
    """One range, and what does not change about it."""

    range: Range
    dag: Dag
    belief: Belief
    back: NDArray[np.int64]
    """(n,) how many releases below the start each commit lies: 0 for what the newest release does not contain."""
    releases: dict[int, str]
    doubt: Floats
    merges: Bools
    prior_of: object = None  # what the belief's prior was made from
    effects: tuple[str, ...] = ()
    hints: dict[object, tuple[Floats, tuple[str, ...]]] = field(default_factory=dict)


class Views:
    """Makes views; what the history says about a range is asked once.

    A range's belief is kept from view to view and told what the state holds, so a view is only good until the next.
    """

    def __init__(self, history: History, question: Question, model: Model = MODEL) -> None:
        self.history, self.question, self.model = history, question, model
        self._parts: dict[tuple[str, ...], _Part] = {}

    def view(
        self,
        state: State,
        start: str,
        tip: str,
        excluded: Sequence[str],
        full_seconds: float,
        hinted: tuple[str, tuple[str, ...]] | None = None,
        compiled: frozenset[str] = frozenset(),
    ) -> View:
        """The belief after everything that the state holds, about the commits of ``tip`` not in ``excluded``.

        ``start`` crashes. ``full_seconds`` is the length of a run that is not cut. ``hinted`` is the sub-range (tip,
        excluded) within which files are looked at; None: nowhere yet.
        """
        key = (start, tip, *excluded)
        if key not in self._parts:
            self._parts[key] = self._part(start, tip, excluded)
        part = self._parts[key]
        exposure = Exposure(state.crash_seconds, full_seconds)
        self._set_prior(state, part, hinted, compiled)
        doubt = self._fix_doubt(state, part) if self.question.kind == "fix" else self._masks(state, part)
        part.belief.set_doubt(self._unmasked(state, part, doubt))
        index = part.range.index
        for commit in {*state.tallies, *state.opinions.commits()} & index.keys():
            part.belief.record(index[commit], state.evidence(commit, exposure))
        settled = (commit for commit in state.opinions.commits() if state.opinions.settled(commit))
        part.belief.settle(index[commit] for commit in settled if commit in index)
        for commit, why in state.untestable().items():
            if commit in index:
                part.belief.untestable(index[commit], why)
        return View(part.range, part.belief, part.releases, exposure, part.effects)

    def _part(self, start: str, tip: str, excluded: Sequence[str]) -> _Part:
        found = self.history.range(tip, excluded)
        dag = Dag.from_arrays(*found.arrays())
        candidates = np.ones(dag.n, dtype=bool)
        candidates[list(found.boundary)] = False
        releases, back = self._releases(found, dag)
        doubt = np.full(dag.n, self.model.mask)
        model = replace(self.model, older=self._older(releases))
        belief = Belief(
            dag, kind=self.question.kind, candidates=candidates, start=found.index[start], doubt=doubt, model=model
        )
        merges = np.fromiter((len(row) > 1 for row in found.parents), dtype=bool, count=dag.n)
        return _Part(found, dag, belief, back, releases, doubt, merges)

    def _older(self, releases: Mapping[int, str]) -> float:
        """Prior chance that the culprit is older than the range.

        Below releases twice the share of bisections that ended there on record: the walks that were cut short by a
        wrong verdict would have ended there more often (the fit's curve says .24 after 20 releases).
        """
        if self.question.good and self.question.trusted:
            return TRUSTED
        return self.model.older * 2 if releases else self.model.older

    def _releases(self, found: Range, dag: Dag) -> tuple[dict[int, str], NDArray[np.int64]]:
        rows = self.history.releases(self.question.start) if self.question.kind == "cause" else ()
        inside = {found.index[commit]: tag for tag, commit in rows if commit in found.index}
        back = np.zeros(dag.n, dtype=np.int64)
        for number, index in enumerate(inside, 1):
            back[dag.ancestors(index)] = number
        return inside, back

    def _set_prior(
        self,
        state: State,
        part: _Part,
        hinted: tuple[str, tuple[str, ...]] | None,
        compiled: frozenset[str],
    ) -> None:
        stack = tuple((state.crash or {}).get("files", ()))
        # A revision that was run itself says what it is, whatever its signature promised.
        same = tuple(pair for pair in state.same.items() if not state.tally(pair[0]).useful)
        rejected = state.opinions.rejected()
        made_from = (hinted, stack, bool(compiled), same, rejected)
        if made_from == part.prior_of:
            return
        weights, part.effects = np.ones(part.dag.n), ()
        if self.question.priors:
            weights = np.where(part.merges, MERGE, 1.0) * _ages(part)
            if hinted is not None:
                factors, part.effects = self._hints(part, hinted, stack, compiled)
                weights = weights * factors
        candidates = part.belief.candidates
        mixed = np.where(candidates, weights, 0.0)
        mixed = FLOOR * candidates / candidates.sum() + (1 - FLOOR) * mixed / mixed.sum()
        for commit, twin in same:
            if commit in part.range.index and twin in part.range.index:
                between = part.dag.ancestors(part.range.index[commit]) ^ part.dag.ancestors(part.range.index[twin])
                mixed[between] *= SAME_BINARY
        mixed[[part.range.index[commit] for commit in rejected if commit in part.range.index]] *= PERSON_ERROR
        part.belief.set_prior(mixed)
        part.prior_of = made_from

    def _hints(
        self, part: _Part, hinted: tuple[str, tuple[str, ...]], stack: tuple[str, ...], compiled: frozenset[str]
    ) -> tuple[Floats, tuple[str, ...]]:
        """(n,) factors by the files that commits touch, 1 on average where files are known and 1 elsewhere."""
        key = (hinted, stack, bool(compiled))
        if key in part.hints:
            return part.hints[key]
        rules = self._rules(frozenset(stack), compiled)
        touched = self.history.touched(*hinted) if rules else {}
        factors, effects = np.ones(part.dag.n), []
        names = [(part.range.index[commit], files) for commit, files in touched.items() if commit in part.range.index]
        for words, weigh, holds in rules:
            hits = [i for i, files in names if holds(files)]
            weight = weigh(len(hits) / max(len(names), 1))
            factors[hits] *= weight
            if hits:
                effects.append(f"{len(hits)} of {len(names)} commits {words} (weight {weight:g})")
        known = [i for i, _ in names]
        if known:
            factors[known] /= factors[known].mean()
        part.hints[key] = factors, tuple(effects)
        return part.hints[key]

    def _rules(self, stack: frozenset[str], compiled: frozenset[str]) -> list[_Rule]:
        """What is known of a commit by the files it touches; a rule without the facts it needs is left out."""
        rules: list[_Rule] = []
        if compiled:
            rules.append(("touch nothing that is compiled", lambda _: NOT_COMPILED, lambda names: not names & compiled))
        if stack:
            rules.append(("touch a file of the crash's stack", _stack_weight, lambda names: bool(names & stack)))
        if self.question.paths:
            rules.append(("touch a hinted path", lambda _: HINTED_PATH, self._on_path))
        return rules

    def _on_path(self, files: frozenset[str]) -> bool:
        paths = self.question.paths
        return any(name == path or name.startswith(path.rstrip("/") + "/") for name in files for path in paths)

    def _masks(self, state: State, part: _Part) -> Floats:
        """(n,) chance that a revision hides a bug it has, whatever the number of clean runs. At a release it grows
        with the distance from the nearest newer one that crashed."""
        doubt = part.doubt.copy()
        crashed = 0
        for number, index in enumerate(part.releases, 1):
            doubt[index] = facts().mask.release(number, crashed)
            if state.tally(part.range.hashes[index]).crashes:
                crashed = number
        return doubt

    def _unmasked(self, state: State, part: _Part, doubt: Floats) -> Floats:
        """No kernel hides a bug that another revision's equal kernel has shown."""
        crashed = [commit for commit, tally in state.tallies.items() if tally.crashes and commit in state.builds]
        shown = {state.builds[commit].signature for commit in crashed}
        equal = [
            part.range.index[commit]
            for commit, build in state.builds.items()
            if build.signature in shown and commit in part.range.index
        ]
        if not equal:
            return doubt
        found = doubt.copy()
        found[equal] = np.minimum(found[equal], EQUAL_KERNEL)
        return found

    def _fix_doubt(self, state: State, part: _Part) -> Floats:
        """Per revision, the chance that it never had the bug: high beside what is known to have it."""
        doubt = np.full(part.dag.n, MAYBE_NEVER)
        index = part.range.index
        seen = [commit for commit, tally in state.tallies.items() if commit in index]
        for commit in seen:
            if commit in state.bases and not state.tally(commit).crashes:
                doubt[part.dag.descendants(index[commit])] = NEVER
        for commit in seen:
            if state.tally(commit).crashes:
                crashed = part.dag.descendants(index[commit])
                doubt[crashed] = np.minimum(doubt[crashed], part.doubt[crashed])
        origin = part.dag.descendants(part.belief.start)
        doubt[origin] = part.doubt[origin]
        return doubt


def _stack_weight(share: float) -> float:
    """Weight of a commit that touches a file of the crash's stack, where that share of commits does: odds of real
    culprits over odds of commits."""
    touch = facts().stack_files.touch
    share = min(max(share, 1e-6), 0.999)
    return max(1.0, (touch / (1.0 - touch)) / (share / (1.0 - share)))


def _ages(part: _Part) -> Floats:
    """(n,) weights by age: what lies between two releases by how far back they are, and in the youngest gap, before
    the newest release, by the distance from the start."""
    weights = np.ones(part.dag.n)
    if not part.releases:
        return weights
    candidates = part.belief.candidates
    gaps = np.bincount(part.back[candidates], minlength=len(part.releases) + 1)
    place = facts().place
    young = np.flatnonzero(candidates & (part.back == 0))
    distance = float(part.dag.n - 1) - young
    near = (distance + place.offset) ** (-place.power * STRENGTH)
    weights[young] = near / near.mean()
    share = np.array([facts().age.weight(gap + 1) ** STRENGTH / max(size, 1) for gap, size in enumerate(gaps)])
    return np.asarray(weights * share[part.back])


def stack_files(report: str) -> list[str]:
    """Source files that a symbolized report names, in order of appearance, relative to the tree."""
    files: dict[str, None] = {}
    for word in report.split():
        name, _, line = word.partition(":")
        if line.isdigit() and name.endswith((".c", ".h", ".S", ".rs")) and not name.startswith("/"):
            files[name.removeprefix("./")] = None
    return list(files)
