"""A syz program in a machine: what is sent, what is run, and whether it ran at all."""

import re
from pathlib import Path

from firstbad.payload import DIRECTORY
from firstbad.repro.options import Options
from firstbad.repro.syzkaller import Syzkaller, facts
from firstbad.repro.targets import Target

NAME = "program.syz"
_CALL = re.compile(r"^(?:r\d+ = )?[a-z_][\w$]*\(", re.MULTILINE)
_EXECUTED = re.compile(rb"executed programs: (\d+)")
_SURE_SECONDS = 15.0
"""The count is printed every five seconds. A program whose calls all block takes up to five in slow machines."""


def is_program(text: str) -> bool:
    """Whether a text has a line that calls something in the notation of syz programs, and none that C needs."""
    return bool(_CALL.search(text)) and "#include" not in text


def command(options: Options, built: Syzkaller, target: Target, cpus: int) -> tuple[str, ...]:
    """The words that run the program; flags that this revision does not know are left out."""
    values = {
        "executor": f"{DIRECTORY}/{built.executor.name}",
        "arch": target.syzkaller,
        "sandbox": options.sandbox or "none",  # the executor knows no empty one
        "sandbox_arg": options.sandbox_arg,
        "procs": options.procs or cpus,
        "repeat": options.repeat_times if options.repeat else 1,
        "threaded": int(options.threaded),
        "collide": int(options.collide and options.threaded),
        "slowdown": options.slowdown,
        "fault_call": options.fault_call,
        "fault_nth": options.fault_nth,
    }
    flags = [
        f"-{flag['name']}={flag['value'].format(**values)}"
        for flag in facts()["flag"]
        if flag["name"] in built.flags and ("when" not in flag or getattr(options, flag["when"]))
    ]
    return (f"{DIRECTORY}/{built.execprog.name}", *flags, f"{DIRECTORY}/{NAME}")


def files(source: Path, built: Syzkaller) -> tuple[tuple[str, Path], ...]:
    """What the machine is sent."""
    return ((built.execprog.name, built.execprog), (built.executor.name, built.executor), (NAME, source))


def fault(exit_status: int | None, output: bytes, seconds: float) -> str:
    """Why a run without a crash says nothing, empty if it does: the program was not executed.

    ``output`` is the end of what syz-execprog printed. It goes on trying when its executor fails, so a failure beside
    calls that were made is none.
    """
    lines = [line.strip() for line in output.decode(errors="replace").splitlines()]
    failed = next((line for words in facts()["failures"] for line in lines if words in line), "")
    if exit_status:
        return f"syz-execprog failed with exit status {exit_status}: {(failed or 'it said nothing')[:200]}"
    if any(facts()["executed"] in line for line in lines):
        return ""
    if failed:
        return f"the syz program did not run: {failed[:200]}"
    counts = _EXECUTED.findall(output)
    if exit_status is None and counts and int(counts[-1]) == 0 and seconds >= _SURE_SECONDS:
        return "syz-execprog executed no program in all the time"
    return ""
