"""Compiles a C reproducer to a static program, within bounds: the source is hostile input."""

import os
import re
import shutil
import sys
from pathlib import Path

from firstbad.bounded import run_bounded
from firstbad.errors import NotFoundError, UserError
from firstbad.repro.targets import Target
from firstbad.scratch import scratch

# -w: reproducers are machine-written, their warnings tell nobody anything. Linked statically: the guest has
# no C library. Low optimisation: nearest to how they were run when they were found.
FLAGS = ("-static", "-pthread", "-O1", "-w")
SECONDS = 120.0
_CONFINED = Path(__file__).with_name("confined.py")
_LONGEST_MESSAGE = 300
# Where a target's libraries are missing, its headers are too: those that only the C library's own headers include.
_NO_LIBRARY = re.compile(r"cannot find -l|fatal error: (?:bits/libc-header-start|gnu/stubs-\w+)\.h")
_ERROR = re.compile(r"^<stdin>:(\d+):(?:\d+:)? (?:fatal )?error: (.*)$")


def compile_c(source: bytes, name: str, target: Target, compiler: str) -> bytes:
    """The bytes of the program; ``name`` is the source's name for messages.

    The source goes in by stdin in an empty directory, and what compiles it can open no other file of this host but the
    compiler's own (see `confined.py`): the program depends on nothing but its text, the compiler and the C library.
    Raises UserError with line and first error when it does not compile, or when there is no static C library;
    NotFoundError when there is no compiler; InfrastructureError when it takes more than 120 s.
    """
    found = shutil.which(compiler)
    if found is None:
        raise NotFoundError(f"{compiler}: no such compiler; on Debian: apt-get install {target.packages()}")
    own = Path(found).resolve().parent.parent
    with scratch() as place:
        program = place / "program"
        confined = [sys.executable, "-I", "-S", str(_CONFINED), str(place), str(own)]
        command = [*confined, found, *target.flags, *FLAGS, "-x", "c", "-", "-o", str(program)]
        environment = {
            **os.environ,
            "LC_ALL": "C",
            "TMPDIR": str(place),
            "CCACHE_DISABLE": "1",
        }  # error lines are read below
        status, messages = run_bounded(command, place, SECONDS, "a reproducer", env=environment, data=source)
        if status != 0:
            raise UserError(_explain(name, compiler, target, messages))
        return program.read_bytes()


def _explain(name: str, compiler: str, target: Target, messages: str) -> str:
    lines = [line[:_LONGEST_MESSAGE] for line in messages.splitlines()]
    if any(_NO_LIBRARY.search(line) for line in lines):
        return f"{name}: no static {target.name} C library to link with; on Debian: apt-get install {target.packages()}"
    for line in lines:
        found = _ERROR.match(line)
        if found:
            return f"{name}:{found[1]}: the reproducer does not compile: {found[2]}"
    errors = [line for line in lines if "error" in line or "undefined reference" in line]
    return f"{name}: the reproducer does not compile: {(errors or lines or [compiler + ' failed'])[0]}"
