"""`firstbad run --jobs 2` beside `--jobs 1`: the same bisections of a real project, built and tested for real.

    python -m benchmarks.jobs CLONE --good REV --bad REV --build CMD --test CMD [--shifts 6] [--step 40]

One bisection's time depends on where its culprit lies between the cuts, so there are several: with `--good` moved back
by `--step` commits each time (older commits than a good one are good as well). Each is run with one job and with two,
in turn, by the product's own command line, with a home of its own, so that nothing is known or built before. On an idle
machine. No search that tests two revisions at a time needs less than log3(N) rounds, where one at a time needs log2(N):
1.58 times as many.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path


def bisect(clone: Path, good: str, bad: str, build: str, test: str, jobs: int) -> tuple[str, float, int]:
    """One bisection: the commit, seconds, revisions tested."""
    with tempfile.TemporaryDirectory(prefix="jobs-") as home:
        words = (
            "run",
            "--json",
            "--jobs",
            str(jobs),
            "--good",
            good,
            "--bad",
            bad,
            "--build",
            build,
            "--",
            "sh",
            "-c",
            test,
        )
        done = subprocess.run(
            [sys.executable, "-m", "firstbad", *words],
            cwd=clone,
            env={**os.environ, "FIRSTBAD_HOME": home},
            capture_output=True,
            text=True,
            check=False,
        )
    said = json.loads(done.stdout)
    return said["commits"][0], said["wall_seconds"], said["revisions_tested"]


def main() -> None:
    """See the module's first lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clone", type=Path)
    for name in ("--good", "--bad", "--build", "--test"):
        parser.add_argument(name, required=True)
    parser.add_argument("--shifts", type=int, default=6)
    parser.add_argument("--step", type=int, default=40)
    options = parser.parse_args()
    total = [0.0, 0.0]
    for shift in range(options.shifts):
        words = [
            "git",
            "-C",
            str(options.clone),
            "rev-parse",
            "--verify",
            "--end-of-options",
            f"{options.good}~{shift * options.step}",
        ]
        good = subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
        found = []
        for jobs in (1, 2) if shift % 2 == 0 else (2, 1):
            commit, seconds, revisions = bisect(options.clone, good, options.bad, options.build, options.test, jobs)
            total[jobs - 1] += seconds
            found.append(commit)
            print(f"{shift} jobs {jobs}: {commit[:12]} {revisions} revisions {seconds:.1f} s", flush=True)
        if len(set(found)) > 1:
            sys.exit("one job and two name different commits")
    print(f"one job {total[0]:.0f} s, two {total[1]:.0f} s: {total[0] / total[1]:.2f} times faster")


if __name__ == "__main__":
    main()
