"""``export``, and the options ``--junit`` and ``--kcidb``: a job's record as files for other programs."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from firstbad.cli.options import JOB, together
from firstbad.cli.output import say_error, write
from firstbad.errors import UserError
from firstbad.home import home
from firstbad.job import Job
from firstbad.report.junit import junit_xml
from firstbad.report.kcidb import check_origin, kcidb_json
from firstbad.session.record import record_of
from firstbad.session.result import Jobs, result_json
from firstbad.store import open_store

_PATH = click.Path(path_type=Path)


@dataclass(frozen=True)
class Outputs:
    """Which files are wanted; ``-`` is stdout."""

    junit: Path | None = None
    kcidb: Path | None = None
    origin: str = "firstbad"

    def check(self, job: Job) -> None:
        """Raises UserError now for what would fail when the job is done, hours later."""
        if self.kcidb is not None:
            check_origin(self.origin)
            if job.private:
                raise UserError("--kcidb: the job is private; a report for KCIDB is made to be sent")
        for option, path in (("--junit", self.junit), ("--kcidb", self.kcidb)):
            if path is None or str(path) == "-":
                continue
            if path.is_dir() or not os.access(path.absolute().parent, os.W_OK):
                raise UserError(f"{option} {path}: can't be written there; name a file in a directory that exists")

    def write(self, store: Jobs, number: int) -> None:
        """Write what is wanted of a job, as far as it is. Raises UserError."""
        if self.junit is None and self.kcidb is None:
            return
        stored = store.job(number)
        self.check(stored.job)
        record = record_of(stored, store.events(number), result_json(store, number))
        if self.junit is not None:
            _write("--junit", self.junit, junit_xml(record))
        if self.kcidb is not None:
            _write("--kcidb", self.kcidb, json.dumps(kcidb_json(record, self.origin), indent=1) + "\n")

    def write_or_tell(self, store: Jobs, number: int) -> None:
        """As `write`, but a job that is done keeps its own exit status where a file can't be written."""
        try:
            self.write(store, number)
        except UserError as error:
            say_error(f"{error}; `firstbad export {number}` writes it again")


def _write(option: str, path: Path, text: str) -> None:
    """The whole file or none: a CI system may look at any time."""
    if str(path) == "-":
        write(text)
        return
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UserError(f"{option} {path}: {error.strerror}") from None


output_options = together(
    click.option("--junit", type=_PATH, help="write a JUnit XML file: a test case for each revision"),
    click.option("--kcidb", type=_PATH, help="write KCIDB JSON (kernelci's schema 5.3)"),
    click.option(
        "--kcidb-origin",
        envvar="FIRSTBAD_KCIDB_ORIGIN",
        default="firstbad",
        show_default=True,
        show_envvar=True,
        help="the CI system's name in KCIDB",
    ),
)
"""``--junit``, ``--kcidb``, ``--kcidb-origin``; see :func:`outputs_of`."""


def outputs_of(options: dict[str, Any]) -> Outputs:
    """Take the output options out of a command's options."""
    return Outputs(options.pop("junit"), options.pop("kcidb"), options.pop("kcidb_origin"))


@click.command(epilog="Example: firstbad export 3 --junit bisection.xml --kcidb report.json --kcidb-origin myci")
@JOB
@output_options
def export(number: int | None, **options: Any) -> None:
    """Write a job's builds, runs and answer (so far) for other programs; `-` is stdout."""
    outputs = outputs_of(options)
    if outputs.junit is None and outputs.kcidb is None:
        raise UserError("nothing to write: name a file with --junit or --kcidb")
    store = open_store(home())
    outputs.write(store, store.job(number).id)


COMMANDS = (export,)
