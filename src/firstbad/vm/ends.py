"""Names the end of a run from what was seen: console first, then QEMU's own words, its exit code last."""

from dataclasses import dataclass
from typing import Literal

from firstbad.vm.console import PANIC, Console
from firstbad.vm.limits import Ended

Stop = Literal["exited", "grace", "finished", "limit", "silent", "no-boot", "broken", "cancelled"]
"""Why we stopped watching.

QEMU ended; the grace after a crash sign was over; the reproducer was done; its time was up and the machine
answered; the machine did not answer; it did not boot in time; QEMU reported an error of its own; cancelled.
"""

KVM_ERROR = b"KVM internal error"
INIT_WORDS = b"firstbad-init: "
_REBOOTS = (b"reboot: Restarting system", b"reboot: Power down", b"reboot: System halted")


@dataclass(frozen=True)
class Facts:
    """What was seen of a run. ``returncode`` as subprocess gives it, None while QEMU runs."""

    stop: Stop
    booted: bool
    returncode: int | None = None
    messages: bytes = b""
    broken: str = ""


def classify(facts: Facts, console: Console) -> tuple[Ended, str]:
    """The kind of end, and one line for people that says how we know."""
    crashed = console.crash_at is not None
    if facts.stop == "broken":
        return "infrastructure", facts.broken
    if not facts.booted:
        return _before_boot(facts, console)
    if crashed:
        return _after_crash(facts, console)
    if facts.stop == "exited":
        return _vanished(facts, console)
    return _CALM[facts.stop]


_CALM: dict[Stop, tuple[Ended, str]] = {
    "finished": ("finished", "the reproducer ended by itself"),
    "limit": ("timeout", "the reproducer still ran at the time limit; the machine answered"),
    "silent": ("hang", "the machine no longer answered"),
    "cancelled": ("infrastructure", "cancelled"),
}


def _before_boot(facts: Facts, console: Console) -> tuple[Ended, str]:
    if facts.stop == "cancelled":
        return _CALM["cancelled"]
    code = facts.returncode if facts.stop == "exited" else None
    if code is not None and code > 0:
        return _failed(code, facts.messages)
    # User-mode Linux ends a panic by a signal to itself.
    if code is not None and code < 0 and not console.line_with(PANIC):
        return "lost", f"while the machine booted {_killed(code, facts.messages)}"
    line = console.line_with(PANIC, INIT_WORDS) or console.last_line()
    how = {
        "exited": "the machine ended before it was up",
        "grace": "a crash before the machine was up",
    }.get(facts.stop, "the machine was not up in time")
    return "boot-failed", f"{how}: {_words(line)}"


def _after_crash(facts: Facts, console: Console) -> tuple[Ended, str]:
    panic = console.line_with(PANIC)
    if panic:
        return "panic", _words(panic)
    if facts.stop == "exited" and facts.returncode == 0:
        return "panic", "the machine reset itself after a crash"
    return "crash", "a crash on the console; the machine did not panic"


def _vanished(facts: Facts, console: Console) -> tuple[Ended, str]:
    code = facts.returncode or 0
    if code > 0:
        return _failed(code, facts.messages)
    if code < 0:
        return "lost", _killed(code, facts.messages)
    reboot = console.line_with(*_REBOOTS)
    if reboot:
        return "lost", f"a program in the machine stopped it: {_words(reboot)}"
    return "lost", "the machine reset itself without a word (triple fault?)"


def _failed(code: int, messages: bytes) -> tuple[Ended, str]:
    return "infrastructure", f"the machine's program failed (exit status {code}): {_words(messages)}"


def _killed(code: int, messages: bytes) -> str:
    said = f": {_words(messages)}" if messages.strip() else ""
    return f"QEMU was killed (signal {-code}){said}"


def _words(text: bytes) -> str:
    """The first line of hostile text as one short printable line."""
    lines = [line for line in text.decode("utf-8", errors="replace").splitlines() if line.strip()]
    return printable(lines[0]) if lines else "nothing was printed"


def printable(line: str) -> str:
    """A line of hostile text, short and without what could steer a terminal."""
    line = "".join(c if c.isprintable() else " " for c in line).strip()
    return line if len(line) <= 200 else line[:197] + "..."
