"""What one run of a project's test says: the bug, another failure, nothing."""

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from firstbad.errors import InfrastructureError
from firstbad.job import Project
from firstbad.project import Ended, failure_title
from firstbad.project.bench import Tested
from firstbad.project.failures import alike
from firstbad.session.outcome import Run

SKIP, ABORT = 125, 128  # exit statuses, as `git bisect run` has them
_NUMBER = re.compile(r"[-+]?(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30})(?:[eE][-+]?\d{1,3})?")
_LONG = 2000  # letters of a line that are searched


@dataclass(frozen=True)
class Reader:
    """Reads runs by what the job says; ``cut`` is the level of the number beyond which it is bad, and on which side."""

    project: Project
    title: str = ""
    cut: tuple[float, bool] | None = None
    """(level, whether more is worse)"""

    def read(self, tested: Tested) -> Run:
        """One run. A run that says that its revision can't be tested has the title ``skip``.

        Raises InfrastructureError where the test says that going on makes no sense.
        """
        test = tested.test
        if tested.full:
            return Run("infra", "the disk is full")
        if test.timeout:
            why = f"took more than {self.project.timeout:g} s"
            return self._failed(test, why) if self.project.timeout_is_bad else Run("infra", f"timeout: {why}")
        if test.status == 0:
            return self._number(tested.metric) if self.project.metric else Run("ok", seconds=test.seconds)
        if test.status == SKIP:
            return Run("infra", f"skip: exit status {SKIP}")
        if (test.status is None or not 0 < test.status < ABORT) and not self.project.crash_is_bad:
            how = _ended(test.status)
            how = how if how.startswith("was ") else f"ended with {how}"
            raise InfrastructureError(
                f"the test {how}, which ends a search as in `git bisect run`; if that is the bug, say --crash-is-bad"
            )
        title = failure_title(test.output, test.status) or _ended(test.status)
        return Run("other", title, 0.0, "no number") if self.project.metric else self._failed(test, title)

    def _failed(self, test: Ended, title: str) -> Run:
        if self.project.match:
            found = any(re.search(self.project.match, line[:_LONG]) for line in test.output.splitlines())
            return _judged(title, found, "its output matches" if found else "its output does not match")
        if self.title:
            found = alike(title, self.title) or self.title.casefold() in test.output.casefold()
            return _judged(title, found, "the title" if found else f"not {self.title}")
        return _judged(title, True, "any failure counts")

    def _number(self, ended: Ended | None) -> Run:
        value = number_of(ended)
        if value is None:
            return Run("infra", "skip: the command for the metric printed no number")
        if self.cut is None:
            return Run("ok", f"{value:.12g}")
        level, above = self.cut
        return Run("crash" if (value > level) == above else "ok", f"{value:.12g}", 1.0, f"level {level:.6g}")


def number_of(ended: Ended | None) -> float | None:
    """The last number that a command printed; None where it failed or printed none."""
    if ended is None or ended.status != 0:
        return None
    found = [match.group() for line in ended.output.splitlines() for match in _NUMBER.finditer(line[:_LONG])]
    return float(found[-1]) if found else None


@dataclass(frozen=True)
class Level:
    """Where good and bad numbers part. ``false_rate``: chance of a number on the bad side where the bug is not;
    ``rate``: where it is. ``p``: how probable so clear a difference is between numbers of one and the same level."""

    cut: float
    above: bool
    false_rate: float
    rate: float
    p: float


def level(good: Sequence[float], bad: Sequence[float]) -> Level:
    """The cut that parts the numbers of the good end from those of the bad end with the fewest errors.

    Only ranks count, so outliers and the law of the noise do not matter: a number is reduced to the side of the cut it
    lies on (the two-sample median test of Mood, 1950, with the cut of the best Youden index, 1950, in place of the
    median). Both rates are Jeffreys estimates, (k + 1/2) / (n + 1), of the errors when each number in turn is left out;
    ``p`` is of the Mann-Whitney U test, two-sided, normal approximation with continuity. Raises ValueError for an empty
    sample.
    """
    if not good or not bad:
        raise ValueError("numbers of both ends are needed")
    above = statistics.median(bad) >= statistics.median(good)
    # The cut was chosen to suit these very numbers. Each is judged by the cut that the others would have, or both rates
    # would look better than they are (with shifts of 1.5 to 2 standard deviations 5 of 243 answers were wrong where
    # 1.4 should have been).
    false = sum((value > _cut(_without(good, i), bad, above)) == above for i, value in enumerate(good))
    hit = sum((value > _cut(good, _without(bad, i), above)) == above for i, value in enumerate(bad))
    rates = (false + 0.5) / (len(good) + 1), (hit + 0.5) / (len(bad) + 1)
    return Level(_cut(good, bad, above), above, *rates, _mann_whitney(good, bad))


def _cut(good: Sequence[float], bad: Sequence[float], above: bool) -> float:
    """The level with the fewest errors, the least one-sided of those that have so few."""
    values = sorted({*good, *bad})
    cuts = [(one + other) / 2 for one, other in pairwise(values)] or [values[0]]

    def errors(cut: float) -> tuple[float, float]:
        missed = sum((value > cut) != above for value in bad) / len(bad)
        false = sum((value > cut) == above for value in good) / len(good)
        return missed + false, abs(missed - false)

    return min(cuts, key=errors)


def _without(numbers: Sequence[float], index: int) -> list[float]:
    """All but one, unless it is the only one."""
    return [value for i, value in enumerate(numbers) if i != index] or list(numbers)


def _mann_whitney(one: Sequence[float], other: Sequence[float]) -> float:
    wins = sum((a > b) + 0.5 * (a == b) for a in other for b in one)
    n, m = len(one), len(other)
    spread = (n * m * (n + m + 1) / 12) ** 0.5
    z = max(abs(wins - n * m / 2) - 0.5, 0.0) / spread
    return 2 * (1 - statistics.NormalDist().cdf(z))


def _judged(title: str, found: bool, why: str) -> Run:
    return Run("crash" if found else "other", title, float(found), why)


def _ended(status: int | None) -> str:
    if status is None:
        return "was ended"
    return f"exit status {status}" if status >= 0 else f"was ended by signal {-status}"
