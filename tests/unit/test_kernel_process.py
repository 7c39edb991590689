"""Host programs whose output is their only word on what went wrong."""

import errno
import os
import signal
import threading
from pathlib import Path

import pytest

from firstbad.kernel import process
from firstbad.kernel.process import GivenUp


def run(tmp_path, script, log, cancel=None):
    return process.run(["sh", "-c", script], log, env={"PATH": os.environ["PATH"]}, cwd=tmp_path, cancel=cancel)


def test_all_that_was_said_is_in_the_log(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"before\n")
    with path.open("ab") as log:
        assert run(tmp_path, "echo one; echo two >&2; head -c 300000 /dev/zero; exit 3", log) == 3
    assert path.read_bytes() == b"before\none\ntwo\n" + bytes(300_000)


def test_what_could_not_be_written_down_is_an_error_and_no_exit_status(tmp_path):
    """A full disk; the program itself goes on to its end and is not ended by a pipe that nobody reads."""
    with open("/dev/full", "ab", buffering=0) as log, pytest.raises(OSError, match="No space left") as raised:  # noqa: PTH123
        run(tmp_path, "for i in 1 2 3; do head -c 100000 /dev/zero; done; touch done; exit 2", log)
    assert raised.value.errno == errno.ENOSPC
    assert (tmp_path / "done").exists()


def test_nothing_is_waited_for_that_was_left_with_the_output_open(tmp_path):
    with (tmp_path / "log").open("ab") as log:
        assert run(tmp_path, "sleep 1000 & echo left", log) == 0
    assert (tmp_path / "log").read_text() == "left\n"


def test_who_left_the_group_with_the_output_open_is_not_waited_for(tmp_path):
    with (tmp_path / "log").open("ab") as log:
        leave = "setsid sh -c 'echo $$ > pid; exec sleep 1000' & while ! test -s pid; do :; done; echo left"
        assert run(tmp_path, leave, log) == 0
    left = int((tmp_path / "pid").read_text())
    try:
        assert (tmp_path / "log").read_text() == "left\n"
        assert Path(f"/proc/{left}").exists()
    finally:
        os.kill(left, signal.SIGKILL)


def test_who_gives_up_is_heard(tmp_path):
    cancel = threading.Event()
    cancel.set()
    with (tmp_path / "log").open("ab") as log, pytest.raises(GivenUp):
        run(tmp_path, "sleep 1000", log, cancel)
