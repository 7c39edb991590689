"""Random and damaged consoles against the reader of crashes: no exception, no hang, bounded memory.

Run: ``uv run python -m benchmarks.crash_fuzz [--minutes M] [--seed N] [--corpus DIR]``. Inputs are the formats'
examples and the files of ``--corpus``, cut, joined, repeated, with bytes, lines and contexts replaced. Each is read by
everything that reads consoles: the parser, the live watch, guilty files, titles, identity, excerpts. An input that
takes longer than its length allows, or raises, is kept in ``--keep DIR`` under its hash; the seed of each is printed.
``tests/unit/test_crash_fuzz.py`` runs a short one with fixed seeds.
"""

import argparse
import hashlib
import resource
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from firstbad.crash import Bug, first_sign, injected_fault, parse, truncate
from firstbad.crash.formats import clean_title, load, type_of
from firstbad.crash.guilty import guilty_file

SECONDS, SECONDS_PER_BYTE = 1.0, 2e-6
"""A console may take this long whatever its length, and this much more for each byte."""
GROWTH = 300 * 2**20
"""Bytes by which the process may grow over a whole run."""


def corpus(directory: Path | None) -> list[bytes]:
    """What inputs are made of."""
    found = [form.example.lstrip("\n").encode() for form in load().formats]
    if directory is not None:
        found += [path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()]
    return found


def mutate(parts: Sequence[bytes], rng: np.random.Generator) -> bytes:
    """One input."""
    data = bytearray(parts[int(rng.integers(len(parts)))])
    for _ in range(int(rng.integers(1, 6))):
        at = int(rng.integers(len(data) + 1))
        end = min(len(data), at + int(rng.geometric(0.02)))
        kind = int(rng.integers(8))
        if kind == 0:
            data[at:end] = rng.bytes(int(rng.integers(0, 20)))
        elif kind == 1:
            del data[at:end]
        elif kind == 2:
            data[at:at] = bytes(data[at:end]) * int(
                rng.integers(1, 2000) if rng.random() < 0.1 else rng.integers(1, 20)
            )
        elif kind == 3:
            data[at:at] = parts[int(rng.integers(len(parts)))]
        elif kind == 4:
            lines = bytes(data).split(b"\n")
            data = bytearray(b"\n".join(lines[i] for i in rng.permutation(len(lines))))
        elif kind == 5:
            data = bytearray(bytes(data).replace(b"\n", b"" if rng.random() < 0.3 else b"\r\n"))
        elif kind == 6:
            context = b"[    1.%d][ %s%d] " % (rng.integers(9), b"TC"[: 1 + rng.integers(2)][-1:], rng.integers(3))
            data = bytearray(b"\n".join(context + line for line in bytes(data).split(b"\n")))
        else:
            other = parts[int(rng.integers(len(parts)))]
            start = int(rng.integers(len(other) + 1))
            data[at:end] = other[start : start + int(rng.integers(1, 200))]
    return bytes(data[: 2 * 10**6])


def read(console: bytes) -> None:
    """Everything that looks at a console; raises AssertionError where a result contradicts itself."""
    first_sign(console)
    injected_fault(console)
    truncate(console, 100, 100)
    report = parse(console)
    if report is None:
        return
    assert report.title
    assert len(report.title) <= 120
    assert report.title.isprintable()
    assert 0 <= report.start < report.skip <= report.end <= len(console)
    if len(report.title) < 110:  # else a word may have been cut
        assert clean_title(report.title) == report.title
    assert type_of(report.title) == report.type
    guilty_file(report.title, report.report)
    match = Bug(["KASAN: use-after-free Read in widget_read"]).same(report)
    assert 0.0 <= match.probability <= 1.0


def attempt(console: bytes) -> str:
    """What is wrong with how the console is read, empty if nothing."""
    began = time.process_time()
    try:
        read(console)
    except Exception as error:  # everything counts
        return f"{type(error).__name__}: {error}"[:200]
    taken = time.process_time() - began
    return f"{taken:.1f} s for {len(console)} bytes" if taken > SECONDS + SECONDS_PER_BYTE * len(console) else ""


def main() -> None:
    """Run, print, keep what went wrong."""
    parser = argparse.ArgumentParser(description="Damaged consoles against the reader of crashes.")
    parser.add_argument("--minutes", type=float, default=30, metavar="M", help="how long (default: 30)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the first input (default: 1)")
    parser.add_argument("--corpus", type=Path, metavar="DIR", help="more files to make inputs of")
    parser.add_argument("--keep", type=Path, default=Path("fuzz"), metavar="DIR", help="for inputs that go wrong")
    options = parser.parse_args()
    parts, end, count, wrong, size = corpus(options.corpus), time.monotonic() + 60 * options.minutes, 0, 0, 0
    before = 0
    while time.monotonic() < end:
        console = mutate(parts, np.random.default_rng(options.seed + count))
        count, size = count + 1, size + len(console)
        said = attempt(console)
        if said:
            wrong += 1
            options.keep.mkdir(parents=True, exist_ok=True)
            name = hashlib.sha256(console).hexdigest()[:16]
            (options.keep / name).write_bytes(console)
            print(f"seed {options.seed + count - 1}: {said} ({options.keep / name})", flush=True)
        if count == 1000:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    print(f"{count:,} consoles, {size / 1e6:,.0f} MB, {wrong} went wrong, grown by {grown / 2**20:.0f} MiB")
    raise SystemExit(1 if wrong or grown > GROWTH else 0)


if __name__ == "__main__":
    main()
