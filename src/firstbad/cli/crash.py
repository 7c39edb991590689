"""``crash``: what a console tells about a crash, for people and for scripts."""

import json
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import click

from firstbad.cli.crash_text import print_crash, print_none
from firstbad.cli.inputs import read_input, readable
from firstbad.cli.tail import follow
from firstbad.crash import Report, parse, symbolize
from firstbad.crash.guilty import guilty_file
from firstbad.crash.watch import Watch, parse_all
from firstbad.errors import NotFoundError, UserError
from firstbad.report.maintainers import maintainers_of_file

_DIRECTORY = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)

_PACKED = (
    (b"\x1f\x8b\x08", "compressed by gzip", "gzip -dc"),
    (b"\xfd7zXZ\0", "compressed by xz", "xz -dc"),
    (b"BZh", "compressed by bzip2", "bzip2 -dc"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "zstd -dc"),
    (b"\xff\xfe", "UTF-16", "iconv -f UTF-16 -t UTF-8"),
    (b"\xfe\xff", "UTF-16", "iconv -f UTF-16 -t UTF-8"),
)
"""How files begin that hold no text as it is, what they are, and what makes text of them."""


@dataclass(frozen=True)
class _Helpers:
    """What the options add to a report: source lines, people."""

    vmlinux: Path | None
    source_prefix: str
    modules: Path | None
    tree: Path | None
    trusted: bool

    def symbolized(self, report: Report) -> Report:
        if self.vmlinux is None:
            return report
        more: dict[str, Any] = {} if self.modules is None else {"modules": self.modules}
        return replace(report, report=symbolize(report.report, self.vmlinux, self.source_prefix, **more))

    def row(self, name: str, report: Report | None) -> dict[str, Any]:
        """The object of the machine-readable contract, with ``to`` and ``cc`` if a tree is given."""
        row = to_row(name, None if report is None else self.symbolized(report))
        if self.tree is not None:
            file = row["guilty_file"]
            row["to"], row["cc"] = maintainers_of_file(self.tree, file, trusted=self.trusted)
        return row


@click.command(
    epilog="Example: firstbad crash --vmlinux build/vmlinux --src-prefix /src/linux --tree linux console.log"
)
@click.argument("files", metavar="FILE...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="every crash of a console, not only the first")
@click.option("--follow", "-f", "following", is_flag=True, help="watch a console that grows; ends with Ctrl-C")
@click.option("--quiet", type=click.FloatRange(0), default=3.0, show_default=True, metavar="SECONDS",
              help="with --follow: a crash is complete when it has not grown for so long")  # fmt: skip
@click.option(
    "--vmlinux", type=_FILE, help="add source lines and inline frames, by the debug information of this kernel"
)
@click.option("--src-prefix", default="", metavar="DIR", help="cut this off the kernel's source paths")
@click.option("--modules", type=_DIRECTORY, help="directory with the kernel's modules, for their frames")
@click.option("--tree", type=_DIRECTORY, help="kernel tree whose MAINTAINERS tells whom to write to")
@click.option(
    "--trust-tree", is_flag=True, help="run the tree's scripts/get_maintainer.pl, which knows its git history"
)
@click.option("--json", "as_json", is_flag=True, help="one JSON object a file (with --all or --follow: a crash)")
@click.option("--jsonl", is_flag=True, help='read {"name", "log"} objects, one a line, from stdin; print one each')
def crash(
    files: tuple[str, ...],
    every: bool,
    following: bool,
    quiet: float,
    vmlinux: Path | None,
    src_prefix: str,
    modules: Path | None,
    tree: Path | None,
    trust_tree: bool,
    as_json: bool,
    jsonl: bool,
) -> None:
    """Read consoles of Linux kernels (- is stdin): title, kind, guilty function and file of the crash, its report.

    The console may be raw (a serial line with everything else on it) or a report that somebody saved.
    """
    _check(files, following, jsonl, modules, vmlinux, tree)
    helpers = _Helpers(vmlinux, src_prefix, modules, tree, trust_tree)
    if jsonl:
        for name, log in _inputs(files):
            _echo(helpers.row(name, parse(log)))
    elif following:
        _follow(files[0], quiet, helpers, as_json)
    else:
        for name in files:
            console = _read(name)
            none = True
            for report in islice(parse_all(console), None if every else 1):
                none = False
                _show(name, report, helpers, as_json)
            if none:
                _show(name, None, helpers, as_json)


def to_row(name: str, report: Report | None) -> dict[str, Any]:
    """The object of the machine-readable contract for one console; ``start`` and ``end`` are byte offsets."""
    return {
        "name": name,
        "crashed": report is not None,
        "title": report.title if report else "",
        "alt_titles": list(report.alt_titles) if report else [],
        "type": report.type if report and report.type != "UNKNOWN" else "",
        "frame": report.frame if report else "",
        "corrupted": report.corrupted if report else False,
        "suppressed": report.suppressed if report else False,
        "panicked": report.panicked if report else False,
        "executor": report.executor if report else "",
        "report": report.report if report else "",
        "start": report.start if report else 0,
        "end": report.end if report else 0,
        "guilty_file": guilty_file(report.title, report.report) if report else "",
    }


def _check(
    files: tuple[str, ...],
    following: bool,
    jsonl: bool,
    modules: Path | None,
    vmlinux: Path | None,
    tree: Path | None,
) -> None:
    if jsonl and following:
        raise UserError("--jsonl and --follow exclude each other")
    if not files and not jsonl:
        raise UserError("no console given (name a file, or - for stdin)")
    if following and len(files) != 1:
        raise UserError("--follow watches one console")
    if modules is not None and vmlinux is None:
        raise UserError("--modules needs --vmlinux")
    for option, path in (("--vmlinux", vmlinux), ("--modules", modules), ("--tree", tree)):
        if path is not None and not path.exists():
            raise NotFoundError(f"{option}: {path}: does not exist")


def _follow(name: str, quiet: float, helpers: _Helpers, as_json: bool) -> None:
    """Shows each crash when it is complete. Ctrl-C is the way to end it: what is known by then is shown."""
    watch, last_look = Watch(quiet), time.monotonic()
    try:
        for chunk in follow(name):
            now = time.monotonic()
            if chunk is None:
                _show_all(name, watch.finished(now, last=True), helpers, as_json)
                watch = Watch(quiet)
                continue
            watch.feed(chunk)
            # A busy console is looked at once a second: each look reads the crash again.
            if not chunk or now - last_look > 1:
                last_look = now
                _show_all(name, watch.finished(now), helpers, as_json)
    except KeyboardInterrupt:
        pass
    _show_all(name, watch.finished(time.monotonic(), last=True), helpers, as_json)


def _show_all(name: str, reports: Iterable[Report], helpers: _Helpers, as_json: bool) -> None:
    for report in reports:
        _show(name, report, helpers, as_json)


def _show(name: str, report: Report | None, helpers: _Helpers, as_json: bool) -> None:
    row = helpers.row(name, report)
    if as_json:
        _echo(row)
    elif report is None:
        print_none(name)
    else:
        print_crash(row)


def _echo(row: dict[str, Any]) -> None:
    # ASCII: a console may hold what a terminal's encoding can't.
    click.echo(json.dumps(row))


def _read(name: str) -> bytes:
    """A console. Raises UserError where it holds no text: nothing is found there, and that says nothing of a crash."""
    console = read_input(name)
    for magic, kind, command in _PACKED:
        if console.startswith(magic):
            raise UserError(f"{name}: not text but {kind}; `{command} < FILE | firstbad crash -` reads it")
    return console


def _inputs(files: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    """Name and console of each object, read as they come."""
    for source in files or ("-",):
        if source == "-":
            yield from _objects("stdin", sys.stdin.buffer)
            continue
        with readable(source), Path(source).open("rb") as stream:
            yield from _objects(source, stream)


def _objects(source: str, stream: BinaryIO) -> Iterator[tuple[str, bytes]]:
    for number, line in enumerate(stream, 1):
        where = f"{source}: line {number}"
        if not line.strip():
            continue
        try:
            data = json.loads(line)
        except UnicodeDecodeError as error:
            raise UserError(f"{where}: byte {error.start}: not UTF-8") from None
        except (ValueError, RecursionError) as error:
            raise UserError(f"{where}: not JSON: {getattr(error, 'msg', 'nested too deeply')}") from None
        if not isinstance(data, dict):
            raise UserError(f"{where}: not an object")
        yield _text(data, "name", where), _latin1(_text(data, "log", where), where)


def _text(data: dict[str, Any], field: str, where: str) -> str:
    if field not in data:
        raise UserError(f"{where}: {field}: missing")
    if not isinstance(data[field], str):
        raise UserError(f"{where}: {field}: not text")
    return str(data[field])


def _latin1(text: str, where: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError as error:
        raise UserError(f"{where}: log: character {error.start} is not latin-1") from None


COMMANDS: Iterable[click.Command] = (crash,)
"""Commands of this module."""
