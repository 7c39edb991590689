"""Watching functions by QEMU's debug stub, with a stub that is played; the real one: tests/acceptance/test_reach.py."""

import re
import socket
import threading
from collections.abc import Iterator

import pytest

from firstbad.vm import protocol
from firstbad.vm.limits import Watched
from firstbad.vm.watches import DebugError, Watches

PC = 128
SLIDE = 0x1000000
TEXT = 0xFFFFFFFF81000000
WATCHED = Watched({"guilty": (TEXT + 0x100,), "outer": (TEXT + 0x200, TEXT + 0x300)}, TEXT)


class Stub:
    """Answers as QEMU does. ``stops``: where the machine stops after it was told to go on, one by one."""

    def __init__(self, channel: socket.socket, stops: list[int], refuses: frozenset[int] = frozenset()) -> None:
        self.channel, self.stops, self.refuses = channel, stops, refuses
        self.watched: set[int] = set()
        self.said: list[str] = []
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def say(self, text: str) -> None:
        data = text.encode()
        self.channel.sendall(b"+$" + data + b"#%02x" % (sum(data) & 255))

    def read(self) -> bytes:
        try:
            return self.channel.recv(4096)
        except OSError:  # the test is over
            return b""

    def serve(self) -> None:
        pending = b""
        while data := self.read():
            pending += data
            if b"\x03" in pending:
                pending = pending.replace(b"\x03", b"")
                self.say("T02thread:01;")
            while found := re.search(rb"\$([^#]*)#..", pending):
                pending = pending[found.end() :]
                self.answer(found[1].decode())

    def answer(self, text: str) -> None:
        self.said.append(text)
        if text[0] in "Zz":
            at = int(text.split(",")[1], 16)
            (self.watched.add if text[0] == "Z" else self.watched.discard)(at)
            self.say("E22" if at in self.refuses else "OK")
        elif text == "g":
            self.say("00" * PC + self.stops.pop(0).to_bytes(8, "little").hex() + "00" * 8)
        elif text == "c" and self.stops:
            self.say("T05thread:02;")
        elif text == "c":
            self.channel.shutdown(socket.SHUT_WR)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def watch(ends, stops, *, most=8, refuses=frozenset()):
    ours, theirs = ends
    stub = Stub(theirs, [at + SLIDE for at in stops], frozenset(at + SLIDE for at in refuses))
    watches = Watches(ours, WATCHED, PC, most)
    watches.begin(TEXT + SLIDE)
    while watches.serve():
        pass
    return watches, stub


def test_a_function_is_watched_until_it_ran(ends):
    watches, stub = watch(ends, [TEXT + 0x300])
    assert watches.ran == {"guilty": False, "outer": True}
    assert stub.watched == {TEXT + 0x100 + SLIDE}


def test_once_the_first_ran_nothing_is_watched_and_nothing_is_said_of_the_others(ends):
    watches, stub = watch(ends, [TEXT + 0x100])
    assert watches.ran == {"guilty": True}
    assert stub.watched == set()
    assert stub.said.count("c") == 2


def test_a_second_processor_at_the_same_place_goes_on(ends):
    watches, _ = watch(ends, [TEXT + 0x200, TEXT + 0x200])
    assert watches.ran == {"guilty": False, "outer": True}


def test_of_a_function_with_a_copy_that_is_not_watched_nothing_is_said_unless_it_ran(ends):
    watches, _ = watch(ends, [], most=2)
    assert watches.ran == {"guilty": False}


def test_what_the_stub_refuses_is_not_known(ends):
    watches, _ = watch(ends, [], refuses={TEXT + 0x100})
    assert watches.ran == {"outer": False}


def test_a_stub_that_stops_for_ever_is_broken(ends):
    with pytest.raises(DebugError, match="no longer watched"):
        watch(ends, [TEXT] * 300)


def test_a_stub_that_says_nothing_is_broken(ends, monkeypatch):
    monkeypatch.setattr("firstbad.vm.watches.ANSWER_SECONDS", 0.01)
    with pytest.raises(DebugError, match="does not answer"):
        Watches(ends[0], WATCHED, PC, 8).begin(TEXT)


def test_a_machine_that_ends_meanwhile_is_no_error(ends):
    ends[1].close()
    watches = Watches(ends[0], WATCHED, PC, 8)
    watches.begin(TEXT)
    assert not watches.serve()


def test_registers_that_are_no_numbers(ends):
    threading.Thread(target=lambda: (ends[1].recv(99), ends[1].sendall(b"$zz#00")), daemon=True).start()
    with pytest.raises(DebugError, match="no numbers"):
        Watches(ends[0], WATCHED, 0, 8)._program_counter()


@pytest.mark.parametrize("text", [b"", b"123", b"0x00000081000000", b"ffffffff8100000g"])
def test_a_kernel_s_place_that_is_no_address(text):
    with pytest.raises(protocol.ProtocolError):
        protocol.place(text)


def test_a_kernel_s_place():
    assert protocol.place(b"ffffffff81000000") == TEXT
    assert protocol.place(b"0000000000000000") is None
