"""Compiles a C reproducer to a static program, within bounds: the source is hostile input."""

import os
import re
import signal
import subprocess
import tempfile
from pathlib import Path

from firstbad.errors import InfrastructureError, NotFoundError, UserError

# -w: reproducers are machine-written, their warnings tell nobody anything. Linked statically: the guest has
# no C library. Low optimisation: nearest to how they were run when they were found.
FLAGS = ("-static", "-pthread", "-O1", "-w")
SECONDS = 120.0
_LONGEST_MESSAGE = 300
_ERROR = re.compile(r"^<stdin>:(\d+):(?:\d+:)? (?:fatal )?error: (.*)$")


def compile_c(source: bytes, name: str, compiler: str) -> bytes:
    """The bytes of the program; ``name`` is the source's name for messages.

    The source goes in by stdin in an empty directory, so it can't include files that happen to lie about, and
    the program depends on nothing but its text, the compiler and the C library.
    Raises UserError with line and first error when it does not compile, or when there is no static C library;
    NotFoundError when there is no compiler; InfrastructureError when it takes more than 120 s.
    """
    with tempfile.TemporaryDirectory(prefix="firstbad-") as scratch:
        program = Path(scratch) / "program"
        status, messages = _run([compiler, *FLAGS, "-x", "c", "-", "-o", str(program)], source, scratch)
        if status != 0:
            raise UserError(_explain(name, compiler, messages))
        return program.read_bytes()


def _run(command: list[str], source: bytes, directory: str) -> tuple[int, str]:
    environment = {**os.environ, "LC_ALL": "C"}  # error lines are read below
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=directory,
            env=environment,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise NotFoundError(f"{command[0]}: no such compiler; on Debian: apt-get install gcc") from error
    except OSError as error:
        raise InfrastructureError(f"can't start {command[0]}: {error}") from error
    try:
        _, messages = process.communicate(source, timeout=SECONDS)
    except subprocess.TimeoutExpired as error:
        raise InfrastructureError(f"{command[0]} took more than {SECONDS:.0f} s for a reproducer") from error
    finally:
        if process.returncode is None:
            # The driver's children (cc1, as, ld) too: they are its group.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return process.returncode, messages.decode(errors="replace")


def _explain(name: str, compiler: str, messages: str) -> str:
    lines = [line[:_LONGEST_MESSAGE] for line in messages.splitlines()]
    for line in lines:
        found = _ERROR.match(line)
        if found:
            return f"{name}:{found[1]}: the reproducer does not compile: {found[2]}"
    if any("cannot find -l" in line for line in lines):
        return f"{name}: no static C library to link with; on Debian: apt-get install libc6-dev"
    errors = [line for line in lines if "error" in line or "undefined reference" in line]
    return f"{name}: the reproducer does not compile: {(errors or lines or [compiler + ' failed'])[0]}"
