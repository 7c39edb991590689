"""Runs one command in one machine, and watches how it ends."""

import selectors
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import IO

from firstbad.payload import Payload
from firstbad.vm import protocol
from firstbad.vm.architecture import architecture
from firstbad.vm.console import Console
from firstbad.vm.control import Control
from firstbad.vm.ends import KVM_ERROR, Facts, Stop, classify, printable
from firstbad.vm.limits import Acceleration, Ended, MachineConfig, MachineRun, Snapshot
from firstbad.vm.qemu import Qemu, started
from firstbad.vm.snapshot import save
from firstbad.vm.uml import packed
from firstbad.vm.watches import DebugError, Watches

GRACE_QUIET, GRACE_TOTAL = 2.0, 5.0
"""Seconds of silence, and in all, that a machine has after a crash sign to print the rest and to panic."""

_CALM: tuple[Stop, ...] = ("finished", "limit", "silent")
"""Reasons to stop a machine that still runs after the reproducer was started."""

_KEPT: tuple[Ended, ...] = ("panic", "crash", "hang", "boot-failed")
"""Ends at which a machine that is to be kept has something to show."""

_BLOCK = 1 << 16
_MESSAGES_KEPT = 8192
_CALLS_KEPT = 2048


def run_machine(
    kernel: Path,
    initramfs: Path,
    payload: Payload,
    config: MachineConfig,
    acceleration: Acceleration,
    *,
    crash_sign: Callable[[bytes], bool],
    console_path: Path | None = None,
    cancel: threading.Event | None = None,
    snapshot: Snapshot | None = None,
) -> MachineRun:
    """Boots ``kernel``, or goes on from a ``snapshot`` of it, runs ``payload`` and returns what was seen.

    ``crash_sign`` is asked about each new piece of the console (whole lines, with up to 4 KiB before them);
    the run ends at the first crash. ``console_path`` receives the console as it is printed. Blocks for at
    most boot, run and answer limits of ``config`` and a few seconds; several calls may run in parallel
    threads. Nothing is left behind: the machine is gone when this returns, raises, or is killed; but for one that was
    to be kept and crashed (``MachineRun.kept``).

    Raises NotFoundError when kernel, initramfs or QEMU is missing, UserError for an unknown architecture,
    ValueError for a payload that init would not take, InfrastructureError when no process can be started.
    Everything later is in ``MachineRun.ended``.
    """
    with ExitStack() as stack:
        if acceleration.name == "uml":
            initramfs, payload = stack.enter_context(packed(initramfs, payload))
        frames = protocol.frames_of(payload)
        console = stack.enter_context(Console(crash_sign, console_path))
        qemu = stack.enter_context(started(kernel, initramfs, config, acceleration, payload, snapshot))
        if qemu.ssh is not None:
            frames = b""
        watch = _Watch(qemu, console, config, frames, cancel)
        if qemu.debug is not None and config.watched is not None:
            machine = architecture(config.arch)
            watch.watch(Watches(qemu.debug, config.watched, machine.pc, machine.watches.get(acceleration.name, 0)))
        if snapshot is not None:
            watch.go_on(snapshot)
        watch.run()
        seen = watch.result()
        seen = replace(seen, group=snapshot.name if snapshot else "")
        if qemu.ssh is not None and qemu.ssh.trouble and not seen.booted:
            seen = replace(seen, detail=f"{seen.detail}; ssh: {printable(qemu.ssh.trouble)}")
        if qemu.keep is not None and seen.ended in _KEPT and qemu.process.poll() is None:
            seen = replace(seen, kept=qemu.keep.leave(qemu.process.pid))
        return seen


def boots(kernel: Path, initramfs: Path, config: MachineConfig, acceleration: Acceleration) -> MachineRun:
    """Boots a machine and ends it at our init's first word: ``finished`` means that it came up.

    Raises as ``run_machine`` does.
    """
    with (
        Console(lambda _: False) as console,
        started(kernel, initramfs, config, acceleration) as qemu,
    ):
        watch = _Watch(qemu, console, config, None, None)
        watch.run()
        return watch.result()


def take_snapshot(
    kernel: Path,
    initramfs: Path,
    config: MachineConfig,
    acceleration: Acceleration,
    path: Path,
    *,
    crash_sign: Callable[[bytes], bool],
    cancel: threading.Event | None = None,
) -> Snapshot | MachineRun:
    """Boots a machine and writes its state to ``path``; how it ended where it did not come up.

    ``config.snapshot`` must be greater than 1. Raises as ``run_machine`` does, and InfrastructureError where QEMU can't
    save it.
    """
    with Console(crash_sign) as console, started(kernel, initramfs, config, acceleration) as qemu:
        watch = _Watch(qemu, console, config, None, cancel)
        watch.run()
        seen = watch.result()
        if seen.ended != "finished" or qemu.monitor is None:
            return seen
        save(qemu.monitor, path)
        return Snapshot(path, path.name, watch.place)


class _Phase(Enum):
    BOOT = "boot"
    RUN = "run"
    SETTLE = "settle"  # the reproducer is gone, work it left behind may still crash
    ASK_LIMIT = "ask-limit"  # time is up: does the machine still live?
    ASK_DONE = "ask-done"
    GRACE = "grace"  # a crash sign was seen: let the kernel finish its report


class _Watch:
    """The life of one run: one thread, one selector, one phase with a deadline at a time."""

    def __init__(
        self,
        qemu: Qemu,
        console: Console,
        config: MachineConfig,
        payload: bytes | None,
        cancel: threading.Event | None,
    ) -> None:
        self._qemu, self._console, self._config, self._payload = qemu, console, config, payload
        self._cancel = cancel or threading.Event()
        self._control = Control(qemu.control)
        self._messages = bytearray()
        self._selector = selectors.DefaultSelector()
        self._stop: Stop | None = None
        self._broken = ""
        self._returncode: int | None = None
        self._started = self._now = time.monotonic()
        self._ended_at = self._end_of_program = self._started
        self._hello_at: float | None = None
        self._run_at: float | None = None
        self._exit_status: int | None = None
        self._output = b""
        self._place: int | None = None
        self._calls: set[tuple[int, str, int]] = set()
        self._watches: Watches | None = None
        self._enter(_Phase.BOOT, config.boot_seconds)
        self._handlers: dict[bytes, Callable[[bytes], None]] = {
            protocol.HELLO: self._on_hello,
            protocol.STARTED: self._on_started,
            protocol.EXITED: self._on_exited,
            protocol.DONE: self._on_done,
            protocol.PONG: self._on_pong,
            protocol.OUTPUT: self._on_output,
            protocol.PLACE: self._on_place,
            protocol.CALL: self._on_call,
        }

    def watch(self, watches: Watches) -> None:
        """Before ``run``: which functions are to be noticed."""
        self._watches = watches

    @property
    def place(self) -> int | None:
        """Where the kernel lies, if it told."""
        return self._place

    def go_on(self, snapshot: Snapshot) -> None:
        """Before ``run``: the machine said all that is said at boot before the snapshot was taken."""
        self._place = snapshot.place
        self._hello()

    def run(self) -> None:
        """Watches until there is a reason to stop."""
        with self._selector:
            self._selector.register(self._qemu.console, selectors.EVENT_READ, self._read_console)
            self._selector.register(self._qemu.messages, selectors.EVENT_READ, self._read_messages)
            self._selector.register(self._qemu.control, self._control.events(), self._serve_control)
            while self._stop is None:
                self._step()
                self._look_again()
        self._ended_at = self._now

    def result(self) -> MachineRun:
        """What was seen, after ``run``."""
        stop = self._stop or "broken"
        booted = self._run_at is not None or (self._payload is None and self._hello_at is not None)
        facts = Facts(stop, booted, self._returncode, bytes(self._messages), self._broken)
        ended, detail = classify(facts, self._console)
        end = self._ended_at if self._console.crash_at is None else self._console.crash_at
        if stop in _CALM and self._console.crash_at is None:
            end = self._end_of_program
        return MachineRun(
            ended=ended,
            booted=booted,
            console=self._console.text(),
            exit_status=self._exit_status,
            boot_seconds=(self._hello_at or self._ended_at) - self._started,
            run_seconds=max(0.0, end - self._run_at) if self._run_at is not None else 0.0,
            detail=detail,
            output=self._output,
            ran=dict(self._watches.ran) if self._watches is not None else {},
            calls=frozenset(self._calls),
        )

    def _step(self) -> None:
        self._now = time.monotonic()
        if self._cancel.is_set() and self._phase is not _Phase.GRACE:
            self._stop = "cancelled"
            return
        if self._now >= self._deadline_now():
            self._on_deadline()
            return
        # A cancellation is noticed within a tenth of a second.
        events = self._selector.select(min(0.1, self._deadline_now() - self._now))
        self._now = time.monotonic()
        for key, _ in events:
            key.data()

    def _look_again(self) -> None:
        """Before the end: the line that is being printed right now may be the first of a report."""
        if self._stop is None or self._console.crash_at is not None:
            return
        self._console.finish(self._now)
        if self._console.crash_at is not None and self._stop in _CALM:
            self._stop = None
            self._enter(_Phase.GRACE, GRACE_TOTAL)

    # -- phases

    def _enter(self, phase: _Phase, seconds: float) -> None:
        self._phase, self._deadline = phase, self._now + seconds

    def _deadline_now(self) -> float:
        if self._phase is _Phase.GRACE:
            return min(self._deadline, max(self._console.last_at, self._console.crash_at or 0) + GRACE_QUIET)
        return self._deadline

    def _on_deadline(self) -> None:
        match self._phase:
            case _Phase.BOOT:
                self._stop = "no-boot"
            case _Phase.RUN:
                self._end_of_program = self._now
                self._ask(_Phase.ASK_LIMIT)
            case _Phase.SETTLE:
                self._ask(_Phase.ASK_DONE)
            case _Phase.GRACE:
                self._stop = "grace"
            case _Phase.ASK_LIMIT | _Phase.ASK_DONE:
                self._stop = "silent"

    def _ask(self, phase: _Phase) -> None:
        self._send(protocol.encode(protocol.PING))
        self._enter(phase, self._config.answer_seconds)

    # -- frames from the guest

    def _on_hello(self, text: bytes) -> None:
        protocol.release(text)
        self._hello()

    def _hello(self) -> None:
        if self._hello_at is not None:
            return
        self._hello_at = self._now
        if self._payload is None:
            self._end_of_program, self._stop = self._now, "finished"
        else:
            self._begin_watches()
            self._send(self._payload)

    def _on_started(self, _: bytes) -> None:
        if self._run_at is None:
            self._run_at = self._now
        if self._phase is _Phase.BOOT:
            self._enter(_Phase.RUN, self._config.run_seconds)

    def _on_exited(self, status: bytes) -> None:
        self._exit_status = protocol.exit_status(status)

    def _on_done(self, _: bytes) -> None:
        if self._phase in (_Phase.RUN, _Phase.ASK_LIMIT):
            self._end_of_program = self._now
            self._enter(_Phase.SETTLE, self._config.settle_seconds)

    def _on_pong(self, _: bytes) -> None:
        if self._phase in (_Phase.ASK_LIMIT, _Phase.ASK_DONE):
            # The answer may overtake what the kernel printed before it: they come by different ways.
            self._read_console()
        if self._stop is None and self._phase is _Phase.ASK_LIMIT:
            self._stop = "limit"
        elif self._stop is None and self._phase is _Phase.ASK_DONE:
            self._stop = "finished"

    def _on_output(self, text: bytes) -> None:
        self._output = text

    def _on_place(self, text: bytes) -> None:
        self._place = protocol.place(text)

    def _on_call(self, text: bytes) -> None:
        if len(self._calls) < _CALLS_KEPT:
            self._calls.add(protocol.call(text))

    # -- functions that are watched

    def _begin_watches(self) -> None:
        """The kernel is up and the program not yet sent."""
        if self._watches is None or self._place is None:
            return
        try:
            self._watches.begin(self._place)
        except DebugError as error:
            self._break(str(error))
        self._selector.register(self._watches.channel, selectors.EVENT_READ, self._serve_watches)

    def _serve_watches(self) -> None:
        if self._watches is None:
            return
        try:
            going = self._watches.serve()
        except DebugError as error:
            going = False
            self._break(str(error))
        if not going:
            self._forget(self._watches.channel)

    # -- input and output

    def _read_console(self) -> None:
        if self._phase is _Phase.BOOT:
            # A reproducer may crash at once: that it was started must be known before what it did.
            self._serve_control()
        data = self._qemu.console.read(_BLOCK)
        if data is None:
            return
        if not data:
            self._on_qemu_gone()
            return
        quiet = self._console.crash_at is None
        self._console.feed(data, self._now)
        if quiet and self._console.crash_at is not None:
            self._enter(_Phase.GRACE, GRACE_TOTAL)

    def _on_qemu_gone(self) -> None:
        self._read_messages()
        with suppress(subprocess.TimeoutExpired):
            self._returncode = self._qemu.process.wait(timeout=10)
        self._stop = self._stop or "exited"

    def _read_messages(self) -> None:
        data = self._qemu.messages.read(_BLOCK)
        if data == b"":
            self._forget(self._qemu.messages)
            return
        self._messages += data or b""
        del self._messages[_MESSAGES_KEPT:]
        if KVM_ERROR in self._messages:
            self._break("KVM internal error: this machine's KVM can't run the guest")

    def _serve_control(self) -> None:
        if not self._control.open:
            return
        self._control.flush()
        try:
            for frame in self._control.frames():
                handler = self._handlers.get(frame.type)
                if handler is None:
                    raise protocol.ProtocolError("a frame of an unknown type")
                handler(frame.payload)
        except protocol.ProtocolError as error:
            self._control.open = False
            # After a crash nothing a machine says is strange: the console has told what matters.
            if self._phase is not _Phase.GRACE:
                self._break(f"the control channel broke: {error}")
        if self._control.open:
            self._selector.modify(self._qemu.control, self._control.events(), self._serve_control)
        else:
            self._forget(self._qemu.control)

    def _send(self, frames: bytes) -> None:
        self._control.send(frames)
        if self._control.open and self._qemu.control in self._selector.get_map():
            self._selector.modify(self._qemu.control, self._control.events(), self._serve_control)

    def _forget(self, file: IO[bytes] | socket.socket) -> None:
        # One step may learn twice that a file has ended.
        if file in self._selector.get_map():
            self._selector.unregister(file)

    def _break(self, why: str) -> None:
        self._stop, self._broken = "broken", why
