"""`firstbad run --metric` where a number shifts by so many standard deviations of its noise: is it as sure as it says?

Run: ``uv run python -m benchmarks.metric [--seeds 200] [--shifts 6 3 2 1.5]``. A line of 64 commits, normal noise, ten
numbers at each end; the search is the product's own, only the numbers are drawn. Per shift: searches that end before
they begin (both ends hardly differ), answers that are right and wrong, none; how many should be wrong by the stated
confidence, with the standard deviation of that; runs of a search, without those at the ends.
"""

import argparse
import math
import random
import statistics
import tempfile
from pathlib import Path

from tests.support.projects import line, make_repo, search

from firstbad.session.project import REFERENCE, UNCLEAR
from firstbad.session.reading import level
from firstbad.session.steady import project_model

COMMITS = 64


def one(directory: Path, hashes: list[str], shift: float, seed: int) -> tuple[str, float, int]:
    """What became of a search (``unclear``, ``right``, ``wrong``, ``none``), its confidence, its runs."""
    rng = random.Random(seed)
    good = [rng.gauss(0, 1) for _ in range(REFERENCE)]
    found = level(good, [rng.gauss(shift, 1) for _ in range(REFERENCE)])
    if found.p > UNCLEAR:
        return "unclear", 0.0, 0
    normal = statistics.NormalDist()
    beyond = [1 - normal.cdf(found.cut - mean) if found.above else normal.cdf(found.cut - mean) for mean in (0, shift)]
    culprit = rng.randrange(1, COMMITS)
    model = project_model(min(max(found.false_rate, 0.002), 0.4))
    ran = search(
        directory, hashes, line(COMMITS), culprit, rate=beyond[1], false_rate=beyond[0], seed=seed, model=model
    )
    kind = "right" if ran.commit == hashes[culprit] else "wrong" if ran.commit else "none"
    return kind, ran.finish.confidence if ran.commit else 0.0, ran.tests


def main() -> None:
    """See the module's first lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--shifts", nargs="*", type=float, default=[6.0, 3.0, 2.0, 1.5])
    options = parser.parse_args()
    print("| shift | unclear | right | wrong | none | should be wrong | runs |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch) / "repo"
        hashes = make_repo(directory, line(COMMITS))
        for shift in options.shifts:
            rows = [one(directory, hashes, shift, seed) for seed in range(options.seeds)]
            count = {kind: sum(row[0] == kind for row in rows) for kind in ("unclear", "right", "wrong", "none")}
            doubts = [1 - row[1] for row in rows if row[1]]
            spread = math.sqrt(sum(doubt * (1 - doubt) for doubt in doubts))
            runs = statistics.mean(row[2] for row in rows if row[0] != "unclear")
            cells = (*count.values(), f"{sum(doubts):.1f} ± {spread:.1f}", f"{runs:.0f}")
            print(f"| {shift:g} |", " | ".join(map(str, cells)), "|", flush=True)


if __name__ == "__main__":
    main()
