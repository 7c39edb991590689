"""Which lines bisection logs hold: the share of each kind, and whether every log is written back byte for byte.

    python -m benchmarks.log_lines LOG... [DIRECTORY | LOGS.tar.xz]

Prints a table (Markdown). Exit status 1 if a line is of no known kind or a log is not written back as it was.
"""

import argparse
import sys
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from firstbad.report.log import read_log, write


@dataclass
class Measured:
    """What some logs hold; ``lines`` and ``logs`` count by kind."""

    total: int = 0
    lines: Counter[str] = field(default_factory=Counter)
    logs: Counter[str] = field(default_factory=Counter)
    changed: list[str] = field(default_factory=list)
    """Logs that are not written back as they were."""
    unknown: list[str] = field(default_factory=list)
    """Lines of no known kind."""


def texts(paths: Iterable[Path]) -> Iterator[tuple[str, str]]:
    """Names and texts of logs, of what is in directories (``*.txt``) and tar archives. Bytes are latin-1 text."""
    for path in paths:
        if path.is_dir():
            yield from texts(sorted(path.glob("*.txt")))
        elif ".tar" in path.suffixes:
            with tarfile.open(path) as archive:
                for member in archive:
                    file = archive.extractfile(member) if member.isfile() else None
                    if file is not None:
                        yield member.name, file.read().decode("latin-1")
        else:
            yield path.name, path.read_bytes().decode("latin-1")


def measure(logs: Iterable[tuple[str, str]]) -> Measured:
    """Counts the lines of each log; the empty rest after the last line end is none."""
    found = Measured()
    for name, text in logs:
        log = read_log(text)
        lines = log.lines[:-1] if text.endswith("\n") else log.lines
        found.total += 1
        found.lines.update(line.kind for line in lines)
        found.logs.update({line.kind for line in lines})
        found.unknown += [f"{name}: {line['text']}" for line in lines if line.kind == "unknown"]
        if write(log) != text:
            found.changed.append(name)
    return found


def table(found: Measured) -> str:
    """Kinds, the most frequent first, with their share of all lines and of all logs."""
    total = sum(found.lines.values())
    rows = [f"| {kind} | {n} | {n / total:.3%} | {found.logs[kind]} |" for kind, n in found.lines.most_common()]
    head = f"{found.total} logs, {total} lines; unknown: {len(found.unknown)}; not written back: {len(found.changed)}"
    return "\n".join([head, "", "| kind | lines | share of lines | logs |", "| --- | --- | --- | --- |", *rows])


def main() -> int:
    """Measures the files that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logs", nargs="+", type=Path, help="logs, directories of them (*.txt), tar archives of them")
    found = measure(texts(parser.parse_args().logs))
    print(table(found))
    for text in (*found.unknown[:20], *found.changed[:20]):
        print(text, file=sys.stderr)
    return 1 if found.unknown or found.changed or not found.total else 0


if __name__ == "__main__":
    sys.exit(main())
