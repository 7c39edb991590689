"""`firstbad crash`: for people, for scripts, on consoles that grow."""

import bz2
import gzip
import json
import lzma
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from firstbad.cli import main
from firstbad.cli.crash_text import escaped
from firstbad.crash.parse import parse
from firstbad.crash.watch import Watch, parse_all

FIELDS = {
    "name", "crashed", "title", "alt_titles", "type", "frame", "corrupted", "suppressed", "panicked", "executor",
    "report", "start", "end", "guilty_file",
}  # fmt: skip


def oops(name: str, number: int = 1) -> bytes:
    return (
        f"[   {number}.000000] BUG: KASAN: slab-use-after-free in {name}_poke+0x1/0x20 drivers/{name}/core.c:10\n"
        f"[   {number}.000000] Read of size 8 at addr ffff888012345678 by task syz.3.17/123\n"
        f"[   {number}.000000] CPU: 0 UID: 0 PID: 123 Comm: syz.3.17 Not tainted 6.12.0 #1\n"
        f"[   {number}.000000] Call Trace:\n"
        f"[   {number}.000000]  dump_stack_lvl+0x1/0x2 lib/dump_stack.c:120\n"
        f"[   {number}.000000]  {name}_poke+0x1/0x20 drivers/{name}/core.c:10\n"
        f"[   {number}.000000]  {name}_ioctl+0x1/0x20 drivers/{name}/core.c:20\n"
    ).encode()


QUIET = b"".join(b"[    0.%06d] usb 1-1: nothing happens\n" % i for i in range(50))
WIDGET = "KASAN: slab-use-after-free Read in widget_poke"
GADGET = "KASAN: slab-use-after-free Read in gadget_poke"


def invoke(*args: object, stdin: bytes = b""):
    return CliRunner().invoke(main, ["crash", *(str(arg) for arg in args)], input=stdin)


@pytest.fixture
def console(tmp_path: Path) -> Path:
    path = tmp_path / "console.log"
    path.write_bytes(QUIET + oops("widget", 1) + QUIET + oops("gadget", 2))
    return path


def test_for_people(console: Path) -> None:
    result = invoke(console)
    assert result.exit_code == 0
    assert f"{console}: {WIDGET}" in result.stdout
    assert "drivers/widget/core.c" in result.stdout
    assert "proc=3, id=17" in result.stdout
    assert " widget_ioctl+0x1/0x20 drivers/widget/core.c:20\n" in result.stdout
    assert GADGET not in result.stdout
    assert "\x1b" not in result.stdout


def test_for_scripts(console: Path, tmp_path: Path) -> None:
    (tmp_path / "quiet.log").write_bytes(QUIET)
    result = invoke("--json", console, tmp_path / "quiet.log", "-", stdin=oops("gadget"))
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["name"] for row in rows] == [str(console), str(tmp_path / "quiet.log"), "-"]
    assert [row["title"] for row in rows] == [WIDGET, "", GADGET]
    assert all(row.keys() >= FIELDS for row in rows)
    assert rows[0]["guilty_file"] == "drivers/widget/core.c"
    assert rows[0]["start"] == len(QUIET)
    assert rows[1] == {
        **dict.fromkeys(FIELDS, ""), "name": rows[1]["name"], "crashed": False, "alt_titles": [], "corrupted": False,
        "suppressed": False, "panicked": False, "start": 0, "end": 0,
    }  # fmt: skip


def test_no_crash(tmp_path: Path) -> None:
    (tmp_path / "quiet.log").write_bytes(QUIET)
    result = invoke(tmp_path / "quiet.log")
    assert result.exit_code == 0
    assert result.stdout == f"{tmp_path / 'quiet.log'}: no crash\n"


def test_all_crashes(console: Path) -> None:
    rows = [json.loads(line) for line in invoke("--json", "--all", console).stdout.splitlines()]
    assert [row["title"] for row in rows] == [WIDGET, GADGET]
    data = console.read_bytes()
    assert [data[row["start"] :].split(b"] ", 1)[1][:10] for row in rows] == [b"BUG: KASAN"] * 2


def test_lines_of_a_report_are_no_crashes_of_their_own() -> None:
    # A symbolized report names every inlined function in a first line of its own; a panic follows.
    first = b"BUG: KASAN: slab-use-after-free in list_add include/linux/list.h:9 [inline]\n"
    data = first + oops("widget").replace(b"[   1.000000] ", b"") + b"Kernel panic - not syncing: Fatal exception\n"
    (report,) = parse_all(data)
    assert "Kernel panic" in report.report
    panic = b"[    9.000000] Kernel panic - not syncing: Fatal exception\n"
    both = list(parse_all(oops("widget") + QUIET + oops("gadget", 2) + panic))
    assert [(report.title, report.panicked) for report in both] == [(WIDGET, True), (GADGET, True)]


def test_many_crashes_far_apart() -> None:
    data = b"".join(oops(f"n{i}x", i) + QUIET * 800 for i in range(8))
    assert len(data) > 8 << 20
    found = list(parse_all(data))
    assert [report.frame for report in found] == [f"n{i}x_poke" for i in range(8)]
    assert all(data[report.start :].split(b"] ", 1)[1].startswith(b"BUG: KASAN") for report in found)


def line(name: object, log: object) -> bytes:
    return json.dumps({"name": name, "log": log}).encode() + b"\n"


def test_jsonl() -> None:
    binary = bytes(range(256)) + b"\n"
    logs = [QUIET, oops("widget"), binary + oops("gadget") + binary, b""]
    result = invoke("--jsonl", stdin=b"".join(line(f"n{i}", log.decode("latin-1")) for i, log in enumerate(logs)))
    assert result.exit_code == 0
    rows = [json.loads(each) for each in result.stdout.splitlines()]
    assert [(row["name"], row["crashed"], row["title"]) for row in rows] == [
        ("n0", False, ""), ("n1", True, WIDGET), ("n2", True, GADGET), ("n3", False, ""),
    ]  # fmt: skip
    assert all(row.keys() == FIELDS for row in rows)
    expected = parse(logs[2])
    assert expected is not None
    assert (rows[2]["report"], rows[2]["start"], rows[2]["end"]) == (expected.report, expected.start, expected.end)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (b"{", "line 2: not JSON"),
        (b"[1]", "line 2: not an object"),
        (b'{"name": "x"}', "line 2: log: missing"),
        (b'{"log": "x"}', "line 2: name: missing"),
        (b'{"name": 1, "log": ""}', "line 2: name: not text"),
        (b'{"name": "x", "log": null}', "line 2: log: not text"),
        (b'{"name": "x", "log": "ab\\u20ac"}', "line 2: log: character 2 is not latin-1"),
        (b'{"name": "\xff", "log": ""}', "line 2: byte 10: not UTF-8"),
        (b"[" * 100_000, "line 2: not JSON"),
    ],
)
def test_a_bad_line_is_named(bad: bytes, words: str) -> None:
    result = invoke("--jsonl", stdin=line("first", "") + bad + b"\n" + line("third", ""))
    assert result.exit_code == 2
    assert words in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert [json.loads(each)["name"] for each in result.stdout.splitlines()] == ["first"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], "no console given"),
        (["missing.log"], "missing.log: no such file"),
        (["/"], "can't be read"),
        (["--follow", "a", "b"], "--follow watches one console"),
        (["--follow", "missing.log"], "missing.log: no such file"),
        (["--vmlinux", "missing", "-"], "--vmlinux: missing: does not exist"),
        (["--tree", "missing", "-"], "--tree: missing: does not exist"),
        (["--modules", "/", "-"], "--modules needs --vmlinux"),
    ],
)
def test_unusable_arguments(args: list[str], words: str) -> None:
    result = invoke(*args)
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stdout == ""


def test_people(console: Path, tmp_path: Path) -> None:
    entry = "WIDGETS\nM:\tMain <main@example.org>\nR:\tRe <re@example.org>\nS:\tMaintained\nF:\tdrivers/widget/\n"
    (tmp_path / "MAINTAINERS").write_text(entry)
    row = json.loads(invoke("--json", "--tree", tmp_path, console).stdout)
    assert (row["to"], row["cc"]) == (["main@example.org"], ["re@example.org"])
    assert "main@example.org" in invoke("--tree", tmp_path, console).stdout


def test_control_characters_are_shown_not_obeyed(tmp_path: Path) -> None:
    path = tmp_path / "evil\x1b[2J.log"
    path.write_bytes(oops("widget").replace(b"Call Trace:", b"\x1b[31mCall\x07 Trace:\x9b2J\r"))
    result = invoke(path)
    assert "\x1b" not in result.stdout
    assert "\x07" not in result.stdout
    assert "\x9b" not in result.stdout
    assert "evil\\x1b[2J.log" in result.stdout
    assert escaped("a\tb\x1b\x00\r") == "a\tb\\x1b\\x00"


def test_colours_are_the_users_choice(console: Path) -> None:
    command = [sys.executable, "-m", "firstbad", "crash", str(console)]
    environment = {**os.environ, "FORCE_COLOR": "1", "TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    coloured = subprocess.run(command, env=environment, capture_output=True, check=True).stdout
    plain = subprocess.run(command, env={**environment, "NO_COLOR": "1"}, capture_output=True, check=True).stdout
    assert b"\x1b[1;31m" in coloured
    assert b"\x1b[36m" in coloured
    assert b"\x1b[1;31m" not in plain
    assert b"\x1b[36m" not in plain


# A console that grows, with a clock of our own.


def test_a_crash_is_shown_when_it_has_not_grown_for_a_while() -> None:
    watch, data = Watch(quiet=3.0), QUIET + oops("widget")
    for begin in range(0, len(data), 7):
        watch.feed(data[begin : begin + 7])
        assert watch.finished(0.0) == []
    assert watch.finished(2.0) == []
    watch.feed(b"[   1.000000]  last_one+0x1/0x2\n")
    assert watch.finished(4.0) == []
    (report,) = watch.finished(7.1)
    assert report.title == WIDGET
    assert report.report.endswith(" last_one+0x1/0x2\n")
    assert (report.start, report.end) == (len(QUIET), len(data) + 32)
    assert watch.finished(99.0, last=True) == []


def test_a_crash_is_shown_when_the_next_one_begins() -> None:
    watch = Watch(quiet=3.0)
    watch.feed(QUIET + oops("widget") + QUIET)
    assert watch.finished(0.0) == []
    watch.feed(oops("gadget", 2))
    assert [report.title for report in watch.finished(0.1)] == [WIDGET]
    (report,) = watch.finished(0.2, last=True)
    assert (report.title, report.start) == (GADGET, 2 * len(QUIET) + len(oops("widget")))
    watch.feed(QUIET + oops("widget"))
    assert [report.title for report in watch.finished(9.0, last=True)] == [WIDGET]


def test_memory_is_bounded() -> None:
    watch = Watch()
    for _ in range(50):
        watch.feed(QUIET * 40)
        watch.feed(b"x" * 100_000)
        assert watch.finished(0.0) == []
        assert len(watch._console) < 1 << 20
    watch.feed(b"\n" + oops("widget"))
    assert [report.title for report in watch.finished(0.0, last=True)] == [WIDGET]


class Follower:
    """The command in a process of its own."""

    def __init__(self, *args: object) -> None:
        command = [sys.executable, "-m", "firstbad", "crash", "--follow", "--json", *map(str, args)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def title(self) -> str:
        assert self.process.stdout
        return str(json.loads(self.process.stdout.readline())["title"])

    def interrupt(self) -> tuple[int, list[str], bytes]:
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, [json.loads(each)["title"] for each in out.splitlines()], err


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def test_following_a_file_that_is_cut_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "console.log"
    path.write_bytes(QUIET)
    follower = Follower("--quiet", "0.5", path)
    append(path, oops("widget"))
    assert follower.title() == WIDGET
    path.write_bytes(b"")
    time.sleep(1)
    append(path, oops("gadget"))
    assert follower.title() == GADGET
    path.rename(tmp_path / "console.log.1")
    path.write_bytes(oops("widget"))
    assert follower.title() == WIDGET
    assert follower.interrupt() == (0, [], b"")


def test_what_is_known_when_it_is_interrupted_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "console.log"
    path.write_bytes(oops("gadget") + QUIET + oops("widget"))
    follower = Follower("--quiet", "600", path)
    assert follower.title() == GADGET
    assert follower.interrupt() == (0, [WIDGET], b"")


def test_following_a_pipe_ends_with_it() -> None:
    follower = Follower("-")
    out, err = follower.process.communicate(QUIET + oops("widget"), timeout=20)
    assert [json.loads(each)["title"] for each in out.splitlines()] == [WIDGET]
    assert (follower.process.returncode, err) == (0, b"")


@pytest.mark.parametrize(
    ("pack", "kind"),
    [
        (gzip.compress, "gzip"),
        (lzma.compress, "xz"),
        (bz2.compress, "bzip2"),
        (lambda b: b.decode().encode("utf-16"), "UTF-16"),
    ],
)
def test_a_console_that_is_no_text_is_not_called_clean(
    tmp_path: Path, pack: Callable[[bytes], bytes], kind: str
) -> None:
    path = tmp_path / "console.log"
    path.write_bytes(pack(oops("widget")))
    for options in ([], ["--json"]):
        result = invoke(path, *options)
        assert result.exit_code == 2
        assert not result.stdout
        assert f"{path}: not text but" in result.stderr
        assert kind in result.stderr
