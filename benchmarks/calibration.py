"""When the search says p, is it right p of the time?

Run: ``uv run python -m benchmarks.calibration [--answers N] [--jobs N] [--output PREFIX]``, with ``--builders 4
--generators three`` for several revisions at a time at crash rates of 1, .5 and .2. Simulated bisections by the
product's policy (priors off, a trusted root) on small histories of all shapes, with targets of .7 to .99, from two
generators: ``model`` draws the truth from what the search believes before the first run, ``rough`` from something else:
a crash rate drawn anew for every revision (Beta), boots that make crashes likely or not, another bug, bursts of
infrastructure failures. An answer counts as right if it names the culprit, or a set that holds it. Answers are put in
bins by the confidence they state. A bin is in order where the share of right answers is as far from the mean
confidence as chance allows: three standard deviations of a sum of independent draws.
"""

import argparse
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.charts import COLOURS, FAINT, INK, Canvas
from benchmarks.trials import each, kind_of
from firstbad.inference import Dag
from firstbad.inference.shapes import linear, linux_shaped
from firstbad.session.view import MODEL
from firstbad.simulation import Lab, RunFact, Scenario, SimHistory, Task, Unrelated, World
from firstbad.simulation.product import bisect
from firstbad.simulation.world import Until, _Run

SEED = 31_415
HISTORIES = 90
TARGETS = (0.7, 0.8, 0.9, 0.95, 0.99)
EDGES = (0.0, 0.5, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98, 0.99, 0.995, 1.0)
SIGMAS = 3.0
RUNS_OF_A_BOOT = 5
BUG, STRANGER = "KASAN: use-after-free Read in victim_read", "WARNING in stranger_work"
_CHUNK = 50


@dataclass(frozen=True)
class Said:
    """One answer: what it says of itself, and whether it is right. ``confidence`` is NaN where none was given."""

    confidence: float
    right: bool
    status: str


@dataclass(frozen=True)
class Bin:
    """Answers of about one confidence."""

    low: float
    high: float
    answers: int
    stated: float
    """Mean confidence."""
    right: float
    """Share of right answers."""
    tolerance: float
    """How far the two may be apart."""

    @property
    def holds(self) -> bool:
        """Whether they are no further apart than chance allows."""
        return abs(self.right - self.stated) <= self.tolerance


class RoughWorld(World):
    """A lab with moods: a machine makes ``RUNS_OF_A_BOOT`` runs in a boot, whose rates are all higher or all lower than
    usual, so they are not independent given the rate; failures of the machinery come in bursts of an hour."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self._usual = scenario.lab
        self._batches, self._first, self._mood = 0, 1, 1.0

    def batch(
        self, commit: str, runs: int, seconds: float | None = None, until: Until = lambda _: False
    ) -> list[RunFact]:
        """As in the usual lab, but in a burst."""
        burst = np.random.default_rng([self._seed, 2, int(self.clock // 3600)]).random() < 0.15
        self._lab = replace(self._usual, infra_rate=0.4 if burst else self._usual.infra_rate)
        self._batches += 1
        self._first = self.runs + 1
        return super().batch(commit, runs, seconds, until)

    def _run(self, index: int, ordinal: int, now: float, length: float) -> "_Run":
        number = ordinal - self._first
        boot = number % self.machines + self.machines * (number // (RUNS_OF_A_BOOT * self.machines))
        draw = np.random.default_rng([self._seed, 3, self._batches, boot])
        self._mood = float(draw.choice([0.6, 1.0, 1.4]))
        return super()._run(index, ordinal, now, length)

    def _rate(self, index: int) -> float:
        return min(1.0, super()._rate(index) * self._mood)


def _random_dag(n: int, rng: np.random.Generator) -> Dag:
    """A graph of no particular shape: parents near or far, a fifth of the commits merges; the last contains all."""
    parents: list[list[int]] = [[]]
    tips = {0}
    for i in range(1, n):
        count = 2 if i > 1 and rng.random() < 0.2 else 1
        near = np.maximum(0, i - 1 - rng.geometric(0.15, size=count) + 1)
        parents.append(sorted({int(p) for p in near}))
        tips = (tips - set(parents[-1])) | {i}
    left = sorted(tips)
    while len(left) > 1:
        parents.append([left.pop(0), left.pop(0)])
        left.append(len(parents) - 1)
    return Dag(parents)


@cache
def histories() -> tuple[SimHistory, ...]:
    """Histories of 40 to 200 commits: lines, Linux-shaped ones, and others."""
    rng = np.random.default_rng(SEED)
    found = []
    for i in range(HISTORIES):
        n = int(rng.integers(40, 201))
        dag = (linear(n), linux_shaped(n, seed=i, release=n), _random_dag(n, rng))[i % 3]
        found.append(SimHistory([f"c{k}" for k in range(dag.n)], dag))
    return tuple(found)


def _lab_of_model(n: int, rng: np.random.Generator) -> Lab:
    """A lab drawn from the model: its rates, its false crashes, its masks, its law of the time to the crash."""
    laws = MODEL.laws
    which = int(rng.choice(len(laws.rate), p=laws.weight / laws.weight.sum()))
    rate, spread = float(laws.rate[which]), float(laws.spread[which])
    rates = np.full(n, rate) if math.isinf(spread) else rng.beta(rate * spread, (1 - rate) * spread, size=n)
    masked = rng.random(n) < MODEL.mask
    masked[-1] = False
    mean = float(1.0 / rng.gamma(2.0, 1.0 / 120.0))
    return Lab(
        titles={BUG: 1.0},
        crash_rate=rate,
        rates=rates,
        masked=masked,
        time_to_crash=float(np.clip(mean, 1.0, 3000.0)),
        unrelated=(Unrelated(STRANGER, 0.01),),
        false_rate=MODEL.false_rate,
        infra_rate=0.01,
    )


def _rough_lab(n: int, rng: np.random.Generator) -> Lab:
    """A lab that is not the model."""
    rate = 1.0 if rng.random() < 0.4 else float(np.exp(rng.uniform(np.log(0.1), 0.0)))
    mean = min(rate, 0.97)
    rates = rng.beta(mean * 12.0, (1 - mean) * 12.0, size=n)
    return Lab(
        titles={BUG: 1.0},
        crash_rate=rate,
        rates=np.clip(rates, 0.02, 1.0),
        time_to_crash=float(np.exp(rng.uniform(np.log(10.0), np.log(150.0)))),
        unrelated=(Unrelated(STRANGER, 0.01),),
        false_rate=0.001,
        infra_rate=0.01,
    )


def _lab_of_three(n: int, rng: np.random.Generator) -> Lab:
    """A lab drawn from the model, but for its crash rate: 1, .5 or .2 everywhere."""
    rate = float(rng.choice([1.0, 0.5, 0.2]))
    return replace(_lab_of_model(n, rng), crash_rate=rate, rates=None)


_LABS: Mapping[str, Callable[[int, np.random.Generator], Lab]] = {
    "model": _lab_of_model,
    "rough": _rough_lab,
    "three": _lab_of_three,
}


def scenario(generator: str, number: int, builders: int = 1) -> Scenario:
    """The scenario of that number."""
    rng = np.random.default_rng([SEED, sorted(_LABS).index(generator), number])
    history = histories()[int(rng.integers(HISTORIES))]
    names = history.names
    culprit = names[int(rng.integers(1, len(names)))]
    target = TARGETS[int(rng.integers(len(TARGETS)))]
    task = Task(f"{generator}#{number}", history, names[-1], names[-1], good=(names[0],), target=target)
    lab = replace(_LABS[generator](len(names), rng), builders=builders)
    return Scenario(task, culprit, lab=lab, seed=int(rng.integers(2**31)))


def ask(generator: str, number: int, builders: int = 1) -> Said:
    """One bisection."""
    made = scenario(generator, number, builders)
    world = RoughWorld(made) if generator == "rough" else World(made)
    result = bisect(made, world, priors=False)
    kind = kind_of(result, made.introduced)
    if kind == "none":
        return Said(math.nan, False, result.status)
    return Said(result.confidence, kind in ("right", "set"), result.status)


def work(task: tuple[str, int, int, int]) -> list[Said]:
    """A stretch of one generator's scenarios."""
    generator, first, end, builders = task
    return [ask(generator, number, builders) for number in range(first, end)]


def bins(answers: Sequence[Said], edges: Sequence[float] = EDGES) -> list[Bin]:
    """Answers with a confidence, by it; bins without an answer are left out."""
    stated = np.array([said.confidence for said in answers if not math.isnan(said.confidence)])
    right = np.array([said.right for said in answers if not math.isnan(said.confidence)], dtype=float)
    found = []
    for low, high in pairwise(edges):
        inside = (stated >= low) & ((stated < high) | (high == edges[-1]))
        count = int(inside.sum())
        if count:
            p = stated[inside]
            tolerance = SIGMAS * math.sqrt(float((p * (1 - p)).sum())) / count
            # A bin of few answers moves in steps: half a step is no error.
            found.append(Bin(low, high, count, float(p.mean()), float(right[inside].mean()), tolerance + 0.5 / count))
    return found


def table(name: str, answers: Sequence[Said], found: Sequence[Bin]) -> str:
    """A generator's bins, as Markdown."""
    statuses = Counter(said.status for said in answers)
    head = f"### {name}: {len(answers):,} bisections ({', '.join(f'{v:,} {k}' for k, v in statuses.most_common())})\n"
    rows = ["| confidence | answers | stated % | right % | may differ by | |", "| --- | --- | --- | --- | --- | --- |"]
    for one in found:
        words = "ok" if one.holds else ("too sure" if one.right < one.stated else "too cautious")
        rows.append(
            f"| {one.low:g} to {one.high:g} | {one.answers:,} | {100 * one.stated:.2f} | {100 * one.right:.2f} "
            f"| {100 * one.tolerance:.2f} | {words} |"
        )
    return "\n".join([head, *rows]) + "\n"


def picture(found: Mapping[str, Sequence[Bin]]) -> str:
    """Reliability diagram: share of right answers against stated confidence, in odds, with what chance allows."""
    canvas = Canvas(80 + 420 * len(found), 480)
    for i, (name, rows) in enumerate(found.items()):
        _diagram(canvas, 70 + 420 * i, 60, 340, name, rows)
    return canvas.svg()


def _diagram(canvas: Canvas, left: float, top: float, size: float, name: str, rows: Sequence[Bin]) -> None:
    ticks = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)

    def at(p: float) -> float:
        low, high = (math.log(p / (1 - p)) for p in (0.4, 0.9995))
        p = min(max(p, 0.4), 0.9995)
        return (math.log(p / (1 - p)) - low) / (high - low) * size

    canvas.text(left, top - 26, f"Truth drawn from {'the model' if name == 'model' else 'something else'}", 13)
    canvas.text(left, top - 9, f"{sum(row.answers for row in rows):,} answers; bars: what chance allows", 11)
    for tick in ticks:
        canvas.line([(left, top + size - at(tick)), (left + size, top + size - at(tick))], FAINT, 0.6)
        canvas.line([(left + at(tick), top), (left + at(tick), top + size)], FAINT, 0.6)
        canvas.text(left - 6, top + size - at(tick) + 4, f"{100 * tick:g}", 9, "end")
        canvas.text(left + at(tick), top + size + 14, f"{100 * tick:g}", 9, "middle")
    canvas.line([(left, top + size), (left + size, top)], INK, 1.0, "4 4")
    for row in rows:
        x = left + at(row.stated)
        ends = [top + size - at(row.stated + sign * row.tolerance) for sign in (-1, 1)]
        canvas.line([(x, ends[0]), (x, ends[1])], "#8fb3dd", 5.0)
    for row in rows:
        colour = COLOURS[0] if row.holds else COLOURS[1]
        canvas.dot(left + at(row.stated), top + size - at(row.right), colour, 3.6)
    canvas.text(left + size / 2, top + size + 32, "stated confidence, %", 11, "middle")
    canvas.text(left, top + size + 50, "dots: share of right answers, %; red where chance does not explain it", 10)


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description="Reliability of the confidence that answers state.")
    parser.add_argument("--answers", type=int, default=20_000, metavar="N", help="in all (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes (default: %(default)s)")
    parser.add_argument("--generators", default="model,rough", metavar="A,B", help="default: %(default)s")
    parser.add_argument("--builders", type=int, default=1, metavar="N", help="default: %(default)s")
    parser.add_argument("--output", type=Path, metavar="PREFIX", help="write PREFIX.md and PREFIX.svg")
    options = parser.parse_args()
    names = options.generators.split(",")
    began, each_one = time.perf_counter(), options.answers // len(names)
    histories()
    chunk = min(_CHUNK, max(1, each_one // (4 * options.jobs)))
    tasks = [(name, k, min(k + chunk, each_one), options.builders) for name in names for k in range(0, each_one, chunk)]
    answers: dict[str, list[Said]] = {name: [] for name in names}
    for task, found in zip(tasks, each(work, tasks, options.jobs), strict=True):
        answers[task[0]] += found
    binned = {name: bins(rows) for name, rows in answers.items()}
    text = "\n".join(table(name, answers[name], binned[name]) for name in names)
    print(text)
    print(f"{(time.perf_counter() - began) / 60:.1f} min of real time, {options.jobs} processes")
    if options.output is not None:
        options.output.with_suffix(".md").write_text(text, encoding="utf-8")
        options.output.with_suffix(".svg").write_text(picture(binned), encoding="utf-8")


if __name__ == "__main__":
    main()
