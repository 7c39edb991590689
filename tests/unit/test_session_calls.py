"""System calls that worked where the crash was seen and can't work elsewhere."""

import errno

import pytest

from firstbad.session.calls import from_event, to_event, turned_away
from firstbad.vm import protocol

SOCKET, OPENAT, IOCTL, FUTEX = 41, 257, 16, 202


def calls(*rows):
    return frozenset(rows)


START = calls((SOCKET, "1f", 0), (OPENAT, "/dev/thing", 0), (OPENAT, "./file0", 0), (FUTEX, "-", 0), (IOCTL, "12", 22))


@pytest.mark.parametrize(
    ("here", "away"),
    [
        (calls(), 0),
        (START, 0),
        (calls((SOCKET, "1f", errno.EAFNOSUPPORT)), 1),
        (calls((SOCKET, "1f", errno.EAFNOSUPPORT), (SOCKET, "1f", 0)), 0),  # works at times
        (calls((SOCKET, "2", errno.EAFNOSUPPORT)), 0),  # another family, not seen at the start
        (calls((OPENAT, "/dev/thing", errno.ENOENT)), 1),
        (calls((OPENAT, "./file0", errno.ENOENT)), 0),  # the reproducer's own file
        (calls((SOCKET, "1f", errno.EINVAL)), 0),  # a check says no: it may be the one that the culprit dropped
        (calls((FUTEX, "-", errno.EAGAIN)), 0),
        (calls((IOCTL, "12", errno.ENOSYS)), 0),  # never worked
    ],
)
def test_what_is_turned_away(here, away):
    assert len(turned_away(START, here)) == away


def test_in_words():
    (line,) = turned_away(START, calls((SOCKET, "1f", errno.EAFNOSUPPORT)))
    assert line.endswith("(1f) fails with EAFNOSUPPORT")


def test_calls_survive_the_event_log():
    assert from_event(to_event(START)) == START


def test_a_call_as_init_tells_it():
    assert protocol.call(b"257 /dev/thing 2") == (257, "/dev/thing", 2)
    assert protocol.call(b"41 1f 0") == (41, "1f", 0)


@pytest.mark.parametrize(
    "text", [b"", b"257 /dev/a b 2", b"-1 - 0", b"1 - -2", b"1 " + b"a" * 200 + b" 0", b"\xff - 0"]
)
def test_a_guest_may_say_anything(text):
    with pytest.raises(protocol.ProtocolError):
        protocol.call(text)
