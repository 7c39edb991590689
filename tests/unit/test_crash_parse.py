"""Console text to a report: offsets, contexts, stacks, and input that means harm."""

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from firstbad.crash.frames import clean_function
from firstbad.crash.parse import first_sign, parse

NULL_DEREF = """\
[    1.100000] Run /init as init process
[    1.200000] BUG: kernel NULL pointer dereference, address: 0000000000000008
[    1.200001] #PF: supervisor write access in kernel mode
[    1.200002] Oops: Oops: 0002 [#1] PREEMPT SMP
[    1.200003] CPU: 0 UID: 0 PID: 1 Comm: init Not tainted 6.12.0 #1
[    1.200004] RIP: 0010:widget_poke.constprop.0+0x9/0x20
[    1.200005] Call Trace:
[    1.200006]  <TASK>
[    1.200007]  ? __die+0x1f/0x70
[    1.200008]  widget_write.isra.0+0x13/0x40
[    1.200009]  vfs_write+0xd1/0x420
[    1.200010]  do_syscall_64+0x4b/0x110
[    1.200011] RIP: 0033:0x401234
[    1.200012]  user_space_thing+0x1/0x2
[    1.200013] ---[ end trace 0000000000000000 ]---
[    1.200014] Kernel panic - not syncing: Fatal exception
"""


def test_null_dereference() -> None:
    report = parse(NULL_DEREF.encode())
    assert report is not None
    assert report.title == "BUG: unable to handle kernel NULL pointer dereference in widget_poke"
    assert report.type == "NULL-POINTER-DEREFERENCE"
    assert report.frame == "widget_poke"
    assert report.frames == ("widget_poke", "widget_write", "vfs_write", "do_syscall_64")
    assert report.panicked
    assert not report.corrupted
    assert NULL_DEREF.encode()[report.start :].startswith(b"[    1.200000] BUG: kernel NULL")
    assert report.end == len(NULL_DEREF)
    assert "[    1.2" not in report.report
    assert "Run /init as init process\n" in report.report
    assert "__die" not in report.report


def test_carriage_returns_and_missing_time_stamps_change_nothing() -> None:
    plain = "".join(line[15:] + "\r\n" for line in NULL_DEREF.splitlines())
    report = parse(plain.encode())
    assert report is not None
    assert report.title == "BUG: unable to handle kernel NULL pointer dereference in widget_poke"
    assert report.frames[:2] == ("widget_poke", "widget_write")


def test_nothing_is_found_in_a_quiet_boot() -> None:
    quiet = """\
[    0.000000] Linux version 6.12.0
[    0.100000] Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on, data leaks possible
[    0.200000] WARNING: workqueue cpumask: online intersect > possible intersect
[    0.300000] audit: type=1400 BUGS: none
[    0.400000] EXT4-fs (sda1): mounted filesystem, panic on errors
"""
    assert parse(quiet.encode()) is None
    assert not first_sign(quiet.encode())
    assert parse(b"") is None


def test_only_the_own_context_counts() -> None:
    console = """\
[    1.000000][  T100] BUG: KASAN: slab-use-after-free in widget_read+0x1/0x2
[    1.000001][  T200]  innocent_bystander+0x1/0x2
[    1.000002][  T100] Read of size 8 at addr ffff888100000000 by task a/100
[    1.000003][  T200] general protection fault: 0000 [#1] SMP
[    1.000004][  T100] Call Trace:
[    1.000005][  T100]  kasan_report+0x1/0x2
[    1.000006][  T100]  widget_read+0x1/0x2
"""
    report = parse(console.encode())
    assert report is not None
    assert report.title == "KASAN: slab-use-after-free Read in widget_read"
    assert "bystander" not in report.report
    assert "general protection" not in report.report


def test_the_next_oops_ends_the_report() -> None:
    console = """\
[    1.0] WARNING: CPU: 0 PID: 1 at drivers/widget/core.c:77 widget_check+0x10/0x20
[    1.1] Call Trace:
[    1.2]  widget_ioctl+0x1/0x2
[    1.3] BUG: KASAN: slab-use-after-free in gadget_read+0x1/0x2
[    1.4] Read of size 8 at addr ffff888100000000 by task a/100
"""
    report = parse(console.encode())
    assert report is not None
    assert report.title == "WARNING in widget_check"
    assert report.end == console.index("[    1.3]")
    rest = parse(console.encode()[report.end :])
    assert rest is not None
    assert rest.title == "KASAN: slab-use-after-free Read in gadget_read"
    assert rest.corrupted  # it has no stack


def test_a_report_without_a_function_is_corrupted() -> None:
    report = parse(b"general protection fault: 0000 [#1] SMP\nModules linked in:\n")
    assert report is not None
    assert report.title == "general protection fault in corrupted"
    assert report.corrupted
    assert report.frame == ""


def test_what_programs_print_in_between_is_left_out() -> None:
    console = NULL_DEREF.replace("[    1.200005]", "executing program 7\n[    1.200005]")
    report = parse(console.encode())
    assert report is not None
    assert "executing" not in report.report


def test_a_panic_is_the_crash_only_if_nothing_came_before() -> None:
    panic = "[    2.0] Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b\n"
    alone = parse(panic.encode())
    assert alone is not None
    assert alone.title == "kernel panic: Attempted to kill init!"
    after = parse((NULL_DEREF + panic).encode())
    assert after is not None
    assert after.title.startswith("BUG: unable to handle kernel NULL pointer")


def test_newest_warning_wording() -> None:
    console = """\
------------[ cut here ]------------
WARNING: drivers/widget/core.c:77 at widget_check+0x10/0x20, CPU#1: init/1
Call Trace:
 widget_ioctl+0x1/0x2
"""
    report = parse(console.encode())
    assert report is not None
    assert report.title == "WARNING in widget_check"


def test_the_handlers_own_frames_are_not_guilty() -> None:
    console = """\
WARNING: CPU: 0 PID: 1 at lib/refcount.c:28 refcount_warn_saturate+0x10/0x20
Call Trace:
 <TASK>
 refcount_warn_saturate+0x10/0x20
 widget_put+0x1/0x2
 widget_release+0x1/0x2
"""
    report = parse(console.encode())
    assert report is not None
    assert report.title == "WARNING: refcount bug in widget_put"


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("foo", "foo"),
        ("foo.constprop.0", "foo"),
        ("foo.constprop.0.isra.1", "foo"),
        ("foo.part.3.cold", "foo"),
        ("foo.llvm.123456", "foo"),
        (".cold", ".cold"),
        ("", ""),
    ],
)
def test_clean_function(name: str, clean: str) -> None:
    assert clean_function(name) == clean


def test_first_sign_waits_for_lines_that_may_turn_out_harmless() -> None:
    assert first_sign(b"[  1.0] BUG: KASAN: slab-out-of-bounds in f")
    assert first_sign(b"quiet\n[  1.0] Kernel panic - not syncing: x")
    assert not first_sign(b"[  1.0] WARNING: work")
    assert not first_sign(b"[  1.0] WARNING: workqueue cpumask: online\n")
    assert first_sign(b"[  1.0] WARNING: work is late\n")


ALARMS = st.sampled_from(
    [
        b"BUG: KASAN: ",
        b"WARNING: CPU: 0 PID: 1 at ",
        b"INFO: task a:1 blocked for more than 143 seconds.",
        b"general protection fault: 0000",
        b"Kernel panic - not syncing: ",
        b"BUG: unable to handle kernel",
        b"[    1.0][ T1] ",
        b"RIP: 0010:",
        b" f+0x1/0x2",
        b"Call Trace:",
        b"\n",
        b"\r\n",
        b"is trying to acquire lock",
        b"at: [<ffff>] ",
        b"\x00\xff",
    ]
)


@settings(deadline=None)
@given(st.lists(st.one_of(ALARMS, st.binary(max_size=40)), max_size=60).map(b"".join))
@example(b"BUG: KASAN: ")
@example(b"\nKernel panic - not syncing: ")
@example(b"WARNING: ? 0+0x0/0")
def test_never_raises_and_keeps_its_promises(console: bytes) -> None:
    report = parse(console)
    assert first_sign(console + b"\n") == (parse(console + b"\n") is not None)
    if report is not None:
        assert 0 <= report.start < report.end <= len(console)
        assert report.title
        assert report.report
        assert len(report.title) <= 120
        again = parse(console[report.start :])
        assert again is not None
        assert again.title == report.title


@pytest.mark.parametrize(
    "unit",
    [
        b"[    1.000000] usb 1-1: new device\n",
        b"[    1.000000] WARNING: deprecated feature\n",
        b"INFO: task " + b"a" * 60 + b"\n",
        b"WARNING: INFO: task BUG: " * 40 + b"\n",
        b"WARNING: " + b"a-" * 300 + b"\n",
        b"general protection fault, ",
        b"[ 1.0]" * 20,
    ],
)
def test_time_is_linear(unit: bytes) -> None:
    def seconds(size: int) -> float:
        console = unit * (size // len(unit))
        begin = time.process_time()
        parse(console)
        return time.process_time() - begin

    seconds(1000)
    small, large = seconds(40_000), seconds(160_000)
    assert large < 10 * small + 0.05  # four times as long; sixteen if quadratic


def test_an_oops_line_that_looks_like_a_guessed_frame_is_kept() -> None:
    report = parse(b"[    1.0]  ? widget_read+0x1/0x2 WARNING: CPU: 0 PID: 1 at a.c:1\n")
    assert report is not None
    assert report.corrupted


CARRIERS = {
    "journalctl, syslog": "Nov 21 10:00:00 host kernel: {text}",
    "syslog, both clocks": "Nov 21 10:00:00 host kernel: {stamp} {text}",
    "journalctl -o short-precise": "Nov 21 10:00:00.123456 host kernel: {text}",
    "journalctl -o short-iso": "2026-11-21T10:00:00+0000 host kernel: {text}",
    "journalctl -o short-full": "Sat 2026-11-21 10:00:00 UTC host kernel: {text}",
    "journalctl -o short-monotonic": "[    1.200000] host kernel: {text}",
    "journalctl -o short-unix": "1732183200.123456 host kernel: {text}",
    "rsyslog": "2026-11-21T10:00:00.123456+00:00 my-host kernel: {stamp} {text}",
    "dmesg -T": "[Sat Nov 21 10:00:00 2026] {text}",
    "dmesg -x": "kern  :warn  : {stamp} {text}",
    "dmesg -xT": "kern  :warn  : [Sat Nov 21 10:00:00 2026] {text}",
    "dmesg --time-format iso": "2026-11-21T10:00:00,123456+00:00 {text}",
    "dmesg of kernels that print callers": "{stamp} [   T123] {text}",
    "dmesg --color=always": "\x1b[32m{stamp} \x1b[0m\x1b[31m{text}\x1b[0m",
    "/dev/kmsg, netconsole": "4,1234,12345678,-,caller=T123;{text}",
    "netconsole with the release": "6.12.0-rc1+,4,1234,12345678,-,ncfrag=0/12;{text}",
    "terminal program": "[2026-11-21 10:00:00.123] {stamp} {text}",
    "serial concentrator": "2026-11-21 10:00:00 ttyS0: {stamp} {text}",
    "CI": "2026-11-21T10:00:00.1234567Z {stamp} {text}",
    "container": "vm-1  | {stamp} {text}",
    "mail": "> {stamp} {text}",
    "hypervisor": "(XEN) {stamp} {text}",
}


@pytest.mark.parametrize("how", CARRIERS)
def test_what_brought_the_lines_is_no_part_of_them(how: str) -> None:
    lines = [(line[:14], line[15:]) for line in NULL_DEREF.splitlines()]
    console = "".join(CARRIERS[how].format(stamp=stamp, text=text) + "\n" for stamp, text in lines)
    report, bare = parse(console.encode()), parse(NULL_DEREF.encode())
    assert report is not None
    assert bare is not None
    assert (report.title, report.type, report.frame) == (bare.title, bare.type, bare.frame)
    assert (report.frames, report.corrupted) == (bare.frames, False)
    assert report.start == console.index(CARRIERS[how].format(stamp=lines[1][0], text=lines[1][1]))
    assert [line.strip() for line in report.report.splitlines() if "__die" not in line] == [
        line.strip() for line in bare.report.splitlines()
    ]


def test_what_other_programs_wrote_to_the_journal_in_between_is_left_out() -> None:
    lines = [f"Nov 21 10:00:00 host kernel: {line[15:]}\n" for line in NULL_DEREF.splitlines()]
    lines[6:6] = ["Nov 21 10:00:00 host sshd[12]: Accepted publickey for root\n"]
    report = parse("".join(lines).encode())
    assert report is not None
    assert report.frame == "widget_poke"
    assert "sshd" not in report.report


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["a ", "[", ": ", "> ", "1,", "2026-11-21 ", "x kernel: ", "\x1b[", "Nov 21 ", "[ 1.000000"]))
def test_a_line_of_many_prefixes_costs_little(part: str) -> None:
    since = time.monotonic()
    parse((part * 3000 + "BUG: unable to handle x\n").encode() * 20)
    assert time.monotonic() - since < 2
