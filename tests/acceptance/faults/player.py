"""Plays QEMU: boots what the miniature tree was built to, and crashes where its value says that the bug is there.

``FAULTS_QEMU`` is ``number:how``: the machine with that number (from 1) hangs on its exit. Each machine leaves a link
in ``FAULTS_MACHINES``: it may write no file.
"""

import itertools
import os
import re
import signal
import socket
import struct
import sys
import time
from pathlib import Path

words = sys.argv
after = dict(itertools.pairwise(words))
control = socket.socket(fileno=int(after["-chardev"].split("fd=")[1]))

OOPS = """BUG: kernel NULL pointer dereference, address: 0000000000000008
#PF: supervisor read access in kernel mode
#PF: error_code(0x0000) - not-present page
PGD 0 P4D 0
Oops: Oops: 0000 [#1] SMP
CPU: 0 UID: 0 PID: 31 Comm: repro Not tainted 6.1.0 #1
RIP: 0010:demo_read+0x1f/0x40
Code: 00 00
Call Trace:
 <TASK>
 demo_caller+0x10/0x20
 do_syscall_64+0x40/0xe0
 entry_SYSCALL_64_after_hwframe+0x4b/0x53
 </TASK>
---[ end trace 0000000000000000 ]---
Kernel panic - not syncing: Fatal exception"""


def number() -> int:
    """This machine's number."""
    found = 1
    while True:
        try:
            Path(os.environ["FAULTS_MACHINES"], str(found)).symlink_to("machine")
            return found
        except FileExistsError:
            found += 1


def say(text: str) -> None:
    for line in text.splitlines():
        os.write(1, f"[    1.100000] {line}\r\n".encode())


def send(kind: bytes, payload: bytes = b"") -> None:
    control.sendall(struct.pack("<cI", kind, len(payload)) + payload)


def take() -> bytes:
    head = control.recv(5, socket.MSG_WAITALL)
    if len(head) < 5:
        raise SystemExit
    kind, size = struct.unpack("<cI", head)
    if size:
        control.recv(size, socket.MSG_WAITALL)
    return bytes(kind)


def hang(how: str) -> None:
    """What a QEMU that won't end does."""
    for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)
    if how == "child" and os.fork():  # the console stays open in a process of its group
        os._exit(0)
    if how == "stopped":
        os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(1000)


mine = number()
wanted, _, how = os.environ.get("FAULTS_QEMU", "").partition(":")
hangs = how if wanted == str(mine) else ""
value = re.search(rb"(.)(.)\xed\x5e", Path(after["-kernel"]).read_bytes(), re.DOTALL)
crashes = value is not None and value[2] != b"\0"

say("Linux version 6.1.0")
send(b"H", b"\x026.1")
while take() != b"C":
    pass
send(b"S")
if crashes:
    say(OOPS)
    if hangs:
        hang(hangs)
    sys.exit(0)
send(b"O", b"")
send(b"X", struct.pack("<I", 0))
send(b"D")
if hangs:
    hang(hangs)
take()
send(b"P")
time.sleep(1000)
