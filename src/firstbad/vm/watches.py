"""Notices the first execution of functions in a machine, by QEMU's debug stub.

A breakpoint stops all processors of the machine and its clock, is taken out and never comes back, so a function costs
one stop of about a millisecond, and the guest needs nothing for it: kprobes and function tracing need options that few
configurations have. But the stop lets all processors begin again together, by which a race shows more often
(docs/lab.md): for runs that count for nothing else.
"""

import socket

from firstbad.vm.limits import Watched

ANSWER_SECONDS = 20.0
"""A busy host may let QEMU wait; one that says nothing for so long is broken."""

_STOPS = 200
"""More stops than any set of functions and processors can make: the stub does not do what it is told."""
_LONGEST = 1 << 16


class DebugError(Exception):
    """QEMU's debug stub did not do what it is to do; the machine may stand still, so its run says nothing."""


class Watches:
    """The watched functions of one machine. ``pc``: bytes before the program counter in the stub's registers.

    ``most``: how many addresses can be watched at a time; what is beyond is not. Every call may raise DebugError.
    """

    def __init__(self, channel: socket.socket, watched: Watched, pc: int, most: int) -> None:
        self.channel, self.watched = channel, watched
        self._pc = pc
        self._wanted = [(at, name) for name, copies in watched.functions.items() for at in copies][:most]
        self._first = next(iter(watched.functions), "")
        self._at: dict[int, str] = {}
        self._pending = b""
        self._stops = 0
        self._open = True
        self.ran: dict[str, bool] = {}
        channel.settimeout(ANSWER_SECONDS)

    def begin(self, place: int) -> None:
        """Stops the machine for a moment and begins to watch; ``place`` is where its kernel's text begins."""
        if not self._wanted:
            return
        self._write(b"\x03")
        self._expect_stop()
        for address, name in self._wanted:
            here = (address - self.watched.text + place) % (1 << 64)
            if self._ask(b"Z1,%x,1" % here) == b"OK":
                self._at[here] = name
        names = list(self._at.values())
        # Of a function with a copy that is not watched it can only be said that it ran.
        self.ran = {n: False for n, copies in self.watched.functions.items() if names.count(n) == len(copies) > 0}
        self._send(b"c")

    def serve(self) -> bool:
        """Takes what has come from the stub; false when it has hung up: the machine has ended."""
        self._read()
        while packet := self._packet():
            if packet[:1] in b"TS":
                self._on_stop()
        return self._open

    def _on_stop(self) -> None:
        self._stops += 1
        if self._stops > _STOPS:
            raise DebugError("QEMU's debug stub stops at a function that is no longer watched")
        name = self._at.get(self._program_counter())
        if name is not None:
            self.ran[name] = True
            self._forget(None if name == self._first else name)
        self._send(b"c")

    def _forget(self, name: str | None) -> None:
        """Stops watching one function, or all of them: then whether the others would have run is not known."""
        for address in [at for at, other in self._at.items() if name in (None, other)]:
            self._ask(b"z1,%x,1" % address)
            del self._at[address]
        if name is None:
            self.ran = {one: True for one, ran in self.ran.items() if ran}

    def _program_counter(self) -> int:
        registers = self._ask(b"g")[2 * self._pc :][:16]
        try:
            return int.from_bytes(bytes.fromhex(registers.decode()), "little")
        except ValueError:
            raise DebugError("QEMU's debug stub gives registers that are no numbers") from None

    # -- packets: $ text # checksum (two hex digits), each answered with a plus

    def _ask(self, text: bytes) -> bytes:
        """The answer; empty when the stub has hung up."""
        self._send(text)
        return self._wait()

    def _expect_stop(self) -> None:
        packet = self._wait()
        if self._open and packet[:1] not in (b"T", b"S"):
            raise DebugError("QEMU's debug stub does not stop the machine")

    def _wait(self) -> bytes:
        while self._open:
            packet = self._packet()
            if packet:
                return packet
            self._read()
        return b""

    def _packet(self) -> bytes:
        """The next packet of what was read, empty when there is no whole one."""
        begin = self._pending.find(b"$")
        end = self._pending.find(b"#", begin) if begin >= 0 else -1
        if end < 0 or end > len(self._pending) - 3:
            return b""
        packet, self._pending = self._pending[begin + 1 : end], self._pending[end + 3 :]
        self._write(b"+")
        return packet

    def _send(self, text: bytes) -> None:
        self._write(b"$%s#%02x" % (text, sum(text) & 0xFF))

    def _write(self, data: bytes) -> None:
        try:
            self.channel.sendall(data)
        except TimeoutError:
            raise DebugError("QEMU's debug stub does not listen") from None
        except OSError:
            self._open = False  # it is going: the console tells the rest

    def _read(self) -> None:
        try:
            data = self.channel.recv(4096)
        except TimeoutError:
            raise DebugError("QEMU's debug stub does not answer") from None
        except OSError:
            data = b""
        self._pending += data
        self._open = self._open and bool(data)
        if len(self._pending) > _LONGEST:
            raise DebugError("QEMU's debug stub says more than anybody asked for")
