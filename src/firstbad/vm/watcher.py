"""Watches one run: console, QEMU's messages and control channel, until there is a reason to stop the machine."""

import selectors
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from typing import IO

from firstbad.vm import protocol
from firstbad.vm.console import Console
from firstbad.vm.control import Control
from firstbad.vm.ends import KVM_ERROR, Facts, Stop, classify
from firstbad.vm.limits import MachineConfig, MachineRun, Snapshot
from firstbad.vm.qemu import Qemu
from firstbad.vm.watches import DebugError, Watches

GRACE_QUIET, GRACE_TOTAL = 2.0, 5.0
"""Seconds of silence, and in all, that a machine has after a crash sign to print the rest and to panic."""

_CALM: tuple[Stop, ...] = ("finished", "limit", "silent")
"""Reasons to stop a machine that still runs after the reproducer was started."""

_BLOCK = 1 << 16
_MESSAGES_KEPT = 8192
_CALLS_KEPT = 2048


class _Phase(Enum):
    BOOT = "boot"
    RUN = "run"
    SETTLE = "settle"  # the reproducer is gone, work it left behind may still crash
    ASK_LIMIT = "ask-limit"  # time is up: does the machine still live?
    ASK_DONE = "ask-done"
    GRACE = "grace"  # a crash sign was seen: let the kernel finish its report


class Watcher:
    """The life of one run: one thread, one selector, one phase with a deadline at a time."""

    def __init__(
        self,
        qemu: Qemu,
        console: Console,
        config: MachineConfig,
        payload: bytes | None,
        cancel: threading.Event | None,
    ) -> None:
        """``payload``: the frames that init is sent once it spoke; None: the run ends with its first word. Setting
        ``cancel`` ends it too."""
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

    def watch_functions(self, watches: Watches) -> None:
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
