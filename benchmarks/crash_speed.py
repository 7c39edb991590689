"""How fast consoles are read, beside one alternation of all patterns over the whole text.

Run: ``uv run python -m benchmarks.crash_speed [--megabytes N]``. Each console is read by `firstbad.crash.parse`; a
quiet one also by one compiled alternation of the formats' patterns. Figures are processor time of one core, the best
of ``--repeat`` runs; ``linear`` compares a long console with a tenth of it.
"""

import argparse
import re
import time
from collections.abc import Callable

import numpy as np

from firstbad.crash import parse
from firstbad.crash.formats import load

TEXT = (
    "usb device registered audit type=1400 avc denied open pid=3488 comm=bash ext4 mounted filesystem with ordered "
    "data mode scsi disk attached Warning: Permanently added info cpu call trace eth0: link becomes ready crng done"
)
SEED = 11


def quiet(megabytes: float) -> bytes:
    """A console on which nothing happens."""
    rng = np.random.default_rng(SEED)
    words = TEXT.split()
    lines = []
    for i in range(20_000):
        text = " ".join(rng.choice(words, size=int(rng.integers(4, 15))))
        lines.append(f"[{i / 100:12.6f}][ T{int(rng.integers(1, 9999))}] {text}\n")
    part = "".join(lines).encode()
    return part * max(1, round(megabytes * 1e6 / len(part)))


def seconds(work: Callable[[], object], repeat: int) -> float:
    """Processor time of the fastest run."""
    taken = []
    for _ in range(repeat):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return min(taken)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Megabytes of console a second and core.")
    parser.add_argument("--megabytes", type=float, default=100, metavar="N", help="of the long console (default: 100)")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="runs of each (default: 3)")
    options = parser.parse_args()
    short, long_one = quiet(options.megabytes / 10), quiet(options.megabytes)
    starts = (re.sub(r"\(\?P<\w+>", "(?:", form.start.pattern) for form in load().formats)
    every = re.compile("|".join(f"(?:{start})" for start in starts).encode("ascii"), re.MULTILINE)
    consoles = {
        f"quiet, {len(short) / 1e6:.0f} MB": short,
        f"quiet, {len(long_one) / 1e6:.0f} MB": long_one,
        "one line of 10 MB": b"[    1.0] " + b"x" * 10**7,
        "10 MB of spaces": b" " * 10**7,
        "10 MB line of alarm words that are none": b"INFO: lockdep is turned off. " * 345_000,
        "8.7 MB of harmless alarm lines": b"INFO: lockdep is turned off.\n" * 300_000,
        "8.4 MB of oops lines": b"BUG: KASAN: use-after-free in foo+0x1/0x2\n" * 200_000,
    }
    print("| console | s | MB/s | an alternation, MB/s | ratio |\n| --- | --- | --- | --- | --- |")
    taken = {}
    for name, console in consoles.items():
        taken[name] = seconds(lambda console=console: parse(console), options.repeat)  # type: ignore[misc]
        ours, other = len(console) / 1e6 / taken[name], ""
        if name == next(iter(consoles)):
            theirs = len(console) / 1e6 / seconds(lambda console=console: every.search(console), 1)  # type: ignore[misc]
            other = f"{theirs:.1f} | {ours / theirs:.0f}"
        print(f"| {name} | {taken[name]:.2f} | {ours:.1f} | {other or ' | '} |")
    first, second = list(taken.values())[:2]
    print(f"\nlinear: {second / first:.1f} times the time for {len(long_one) / len(short):.1f} times the text")


if __name__ == "__main__":
    main()
