"""What labelled bisections of the past say about the next one: fits the coefficients of inference/history.toml.

Run: ``uv run python -m benchmarks.fit_history DIRECTORY [--write]``. DIRECTORY holds the labelled logs (truth.jsonl,
revisions.jsonl, logs.tar.xz; a bug has one log). Each coefficient is printed with its cases and with what it buys: the
gain in log-likelihood (nats, plus or minus a standard error over bugs) against the simplest alternative, on bugs that
the fit did not see (5 folds). Nothing of a single bug is kept: only the coefficients are written.
"""

import argparse
import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.history_cases import Case, Seen, read_cases, without
from benchmarks.history_laws import (
    BEFORE,
    RATES,
    SHARES,
    STRENGTH,
    Floats,
    Gain,
    Law,
    chances,
    constant_law,
    gain,
    halves,
    place_law,
    rate_law,
    sigmoid,
    stray_law,
    trigger_law,
    walk,
)

TARGET = Path(__file__).parents[1] / "src/firstbad/inference/history.toml"


@dataclass(frozen=True)
class Fact:
    """One coefficient: its place in history.toml, its value, what it is, how many cases, what it buys."""

    table: str
    key: str
    value: float | list[float]
    says: str
    cases: str
    gain: Gain | None = None


def fit_all(cases: Sequence[Case]) -> list[Fact]:
    """Every coefficient, in the order of history.toml."""
    shown = [case for case in cases if case.start.crashes]
    rates = _rate_facts(cases, shown)
    triggers = _trigger_facts(shown, rate_law(STRENGTH)[0](shown))
    return [*triggers[:3], *_age_facts(cases), *_untestable_facts(cases), *rates, *triggers[3:], *_stray_facts(cases)]


def _mask_terms(_: Case, seen: Seen) -> list[float]:
    return [1.0, float(seen.k > 0), float(seen.k == 1)]


def _trigger_facts(shown: Sequence[Case], weights: Floats) -> list[Fact]:
    have = [case for case in shown if any(s.bug and s.crashes + s.clean for s in case.known)]
    law = trigger_law(_mask_terms, weights, True)
    base, release, first, share, worth = law[0](have)
    flat = trigger_law(lambda _case, _seen: [1.0], weights, True)
    mask = gain(have, law, flat, "one chance for all")
    drift = gain(have, law, trigger_law(_mask_terms, weights, False), "one rate everywhere")
    chance = sigmoid(np.array([base + release + first, base + release, base, share]))
    seen = [s for case in have for s in case.known if s.bug and s.crashes + s.clean]
    groups = [[s for s in seen if s.k == 1], [s for s in seen if s.k > 1], [s for s in seen if not s.k]]
    counts = [f"{len(g)} revisions, {sum(s.crashes == 0 for s in g)} without a crash" for g in groups]
    says = ("newest release below the start", "older release, the next newer one crashed", "commit chosen by git")
    keys = ("release_first", "release_later", "bisect")
    facts = [Fact("mask", *row, gain=mask) for row in zip(keys, map(float, chance), says, counts, strict=False)]
    bugs = f"{len(have)} bugs, {len(seen)} revisions"
    return [
        *facts,
        Fact("drift", "share", float(chance[3]), "bugs whose crash rate varies between revisions", bugs, drift),
        Fact("drift", "worth", math.exp(worth), "runs that the Beta around the start's rate is worth", bugs, drift),
    ]


def _age_facts(cases: Sequence[Case]) -> list[Fact]:
    walks = [case for case in cases if any(seen.k for seen in case.known)]
    law = chances(lambda case: walk(case, lambda k: [1.0, float(k == 1), math.log(k)]))
    bought = gain(walks, law, chances(lambda case: walk(case, lambda _k: [1.0])), "one hazard for all")
    trials = [hit for case in walks for _, hit in walk(case, lambda _k: [1.0])]
    count = f"{len(walks)} walks, {len(trials)} releases, {sum(trials)} culprits"
    says = ("log-odds of gap k, k = 1", "added for k = 1", "change with log k")
    ages = zip(("base", "first", "slope"), map(float, law[0](walks)), says, strict=True)
    young = [case for case in cases if halves(case)]
    offset, power = place_law()[0](young)
    even: Law = (lambda _: np.zeros(1)), lambda _, some: np.array([-math.log(2) * len(halves(case)) for case in some])
    near = gain(young, place_law(), even, "uniform")
    steps = f"{len(young)} bugs, {sum(len(halves(case)) for case in young)} steps"
    return [
        *(Fact("age", *row, count, bought) for row in ages),
        Fact("place", "offset", math.exp(offset), "commits", steps, near),
        Fact("place", "power", float(power), "exponent", steps, near),
    ]


def _skips(phase: str, terms: Callable[[Seen, Seen | None], list[float]]) -> Law:
    def rows(case: Case) -> list[tuple[list[float], bool]]:
        seen = [s for s in case.tests if s.phase == phase]
        return [(terms(s, before), s.skipped) for before, s in zip([None, *seen], seen, strict=False)]

    return chances(rows)


def _untestable_facts(cases: Sequence[Case]) -> list[Fact]:
    result = []
    for phase, name in (("release", "release"), ("bisect", "commit")):
        some = [case for case in cases if any(s.phase == phase for s in case.tests)]
        seen = [s for case in some for s in case.tests if s.phase == phase]
        count = f"{len(seen)} revisions of {len(some)} bugs, {sum(s.skipped for s in seen)} skipped"
        plain = _skips(phase, lambda _s, _before: [1.0])
        chain = _skips(phase, lambda _s, before: [1.0, float(before is not None and before.skipped)])
        base, after = chain[0](some)
        bought = gain(some, chain, plain, "one chance for all")
        if phase == "release":
            aged = _skips(phase, lambda s, _before: [1.0, math.log(s.k)])
            start, slope = aged[0](some)
            old = gain(some, aged, plain, "one chance for all")
            result.append(Fact("untestable", "release_base", float(start), "log-odds, k = 1", count, old))
            result.append(Fact("untestable", "release_slope", float(slope), "change with log k", count, old))
        else:
            result.append(Fact("untestable", name, float(sigmoid(plain[0](some))[0]), "any", count))
        chance = sigmoid(np.array([base, base + after]))
        for end, value in zip(("tested", "skipped"), map(float, chance), strict=True):
            result.append(Fact("untestable", f"{name}_after_{end}", value, f"after one {end}", count, bought))
    return result


def _rate_facts(cases: Sequence[Case], shown: Sequence[Case]) -> list[Fact]:
    law = rate_law(STRENGTH)
    before: Law = (lambda _: BEFORE), law[1]
    bought = gain(shown, law, before, "weights set by hand")
    ran = [case for case in cases if case.start.crashes + case.start.clean]
    silent = (len(ran) - len(shown) + 0.5) / (len(ran) + 1)
    return [
        Fact("rates", "rates", RATES.tolist(), "crashes per run", "grid"),
        Fact("rates", "weights", law[0](shown).tolist(), "prior weights", f"{len(shown)} bugs", bought),
        Fact(
            "rates", "silent", silent, "first tests without a crash", f"{len(ran)} bugs, {len(ran) - len(shown)} silent"
        ),
    ]


def _stray_facts(cases: Sequence[Case]) -> list[Fact]:
    some, result = [case for case in cases if without(case)], []
    kinds: dict[str, Callable[[Seen], int]] = {"unrelated": lambda s: s.other, "same_title": lambda s: s.own}
    for table, count in kinds.items():
        seen = [s for case in some for s in without(case)]
        text = f"{len(seen)} revisions without the bug, {sum(count(s) > 0 for s in seen)} with such a crash"
        bought = gain(some, stray_law(count), constant_law(count), "one chance per run for all")
        weights = stray_law(count)[0](some).tolist()
        result.append(Fact(table, "shares", SHARES.tolist(), "chance per run", "grid"))
        result.append(Fact(table, "weights", weights, "share of revisions", text, bought))
    return result


_HEADS = {
    "mask": "Chance that a revision that has the bug shows clean runs only, beyond what its crash rate explains. "
    "The release chances are hazards: the bug is there, and every newer release that was tested crashed. "
    "So doubt grows with the distance from the nearest newer crash, while the hazard does not grow with "
    "k. Whether a release older than a masked one is masked too can't be learned: the walk and its labels "
    "end there. That the crash share at the start changes the chance was tried and bought nothing.",
    "age": "Log-odds that the culprit lies between release k and the next newer one (the start for k = 1), if "
    "not younger. A walk counts up to its first wrong verdict. Bugs that went silent are taken to be as "
    "old as those that did not; they are probably older.",
    "place": "In the youngest gap: weight (d + offset)^-power of a commit, d commits from the start. git's own "
    "steps are the measure: d counts commits that a tested revision does not contain. Holds for starts "
    "where a fuzzer met the bug first, soon after it came. In older gaps it was no better than uniform.",
    "untestable": "Builds fail, or more than two thirds of the runs end before the reproducer. A few long stretches "
    "make much of the figures for commits.",
    "rates": "Crash rate per run at the start. Low rates are rare here because such bugs were seldom taken on.",
    "drift": "Rate at later revisions that have the bug and are not masked: Beta with the start's rate as its mean.",
    "unrelated": "Crashes that are not the bug's (by title and function) at revisions without the bug. That they come "
    "in stretches can't be learned: the first of them made the verdict wrong, which ends the labels.",
    "same_title": "Crashes with the bug's own title or function at revisions without it; a wrong label looks the same.",
    "stack_files": "Not fitted here: taken from a study of 457 bugs with a Fixes: tag. background: an assumption, the "
    "share of all commits that touch a file of a given stack.",
}
_STACK = "touch = 0.86\ntop_three = 0.74\ndirectory = 0.95\nbackground = 0.03\n"


def as_toml(facts: Sequence[Fact]) -> str:
    """history.toml: every coefficient with what it is, what it rests on and what it buys."""
    lines = _wrapped("Written by `python -m benchmarks.fit_history DIRECTORY --write`; what each is for: facts.py.")
    lines += _wrapped("Gains: log-likelihood on bugs that the fit did not see (5 folds), and its standard error.")
    for table, head in _HEADS.items():
        lines += ["", *_wrapped(head), f"[{table}]"]
        told: Gain | None = None
        for fact in (fact for fact in facts if fact.table == table):
            bought = f"; {fact.gain}" if fact.gain is not None and fact.gain is not told else ""
            told = fact.gain
            lines += [*_wrapped(f"{fact.says}: {fact.cases}{bought}"), f"{fact.key} = {_number(fact.value)}"]
    return "\n".join(lines) + "\n" + _STACK


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 120, initial_indent="# ", subsequent_indent="# ")


def _number(value: float | list[float]) -> str:
    if isinstance(value, list):
        inner = textwrap.wrap(", ".join(map(_number, value)) + ",", 110)
        return "\n    ".join(["[", *inner]) + "\n]"
    return f"{value:.4f}".rstrip("0").ljust(3, "0") if value % 1 else f"{value:.1f}"


def main() -> None:
    """Fit, print the table, write history.toml if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--write", action="store_true", help="replace the package's history.toml")
    options = parser.parse_args()
    facts = fit_all(read_cases(options.directory))
    for fact in facts:
        print(f"{fact.table}.{fact.key} = {_number(fact.value)}\n    {fact.says}: {fact.cases}")
        if fact.gain:
            print(f"    {fact.gain}")
    if options.write:
        TARGET.write_text(as_toml(facts), encoding="utf-8")


if __name__ == "__main__":
    main()
