"""Who maintains a file or the files of a commit: told by the tree's MAINTAINERS.

A kernel tree may come from anywhere, and its scripts/get_maintainer.pl is a program.  Code from a tree runs inside
machines only, with one exception: this script of a tree that the caller names trusted, by perl, without a shell, with a
time limit and next to no environment.  Any other tree's MAINTAINERS is read as data by
:mod:`firstbad.report.maintainers_file`, and so is that of a trusted tree where perl or the script is missing or fails.
Only the script knows git: whose commits changed the file lately.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from firstbad.report.maintainers_file import Maintainers, Person
from firstbad.report.recipients import address_of, recipients

_SCRIPT = "scripts/get_maintainer.pl"
_TIMEOUT = 60.0  # seconds; with git history the script reads the log of every file
_MAX_LINE = 1000
_MAX_OUTPUT = 1 << 20  # bytes
_KERNEL_LIST = "linux-kernel@vger.kernel.org"
_ENOUGH = 3  # recipients that a commit's own message names; its maintainers are asked for below


def recipients_of_commit(
    message: str,
    author_email: str,
    tree: Path | Maintainers | None,
    show: str,
    *,
    trusted: bool = False,
    timeout: float = _TIMEOUT,
) -> tuple[list[str], list[str]]:
    """To and Cc for a commit: those its message names; if that are fewer than three, its maintainers, too.

    ``show`` is the commit as ``git show`` prints it, patch included; ``tree`` where a MAINTAINERS lies, or what was
    read from one already (None: there is none).
    """
    to, cc = recipients(message, author_email)
    if len(to) + len(cc) >= _ENOUGH:
        return to, cc
    more_to, more_cc = maintainers_of_commit(tree, show, timeout, trusted=trusted)
    all_to = {*to, *more_to}
    return sorted(all_to), sorted({*cc, *more_cc} - all_to)


def maintainers_of_file(
    tree: Path, file: str, timeout: float = _TIMEOUT, *, trusted: bool = False
) -> tuple[list[str], list[str]]:
    """To and Cc for a source file (path within the tree); both empty if nobody is known.

    Of a trusted tree with git blame, if only one recipient is found without.
    """
    path = PurePosixPath(file)
    if not file or path.is_absolute() or ".." in path.parts or file.startswith("-"):
        return [], []
    if trusted and (tree / path).is_file():
        to, cc = _ask(tree, ["--git-min-percent=15", "-f", file], "", timeout, enough=2)
        if to or cc:
            return to, cc
    known = Maintainers.read(tree)
    return to_and_cc(known.of_file(str(path))) if known else ([], [])


def maintainers_of_commit(
    tree: Path | Maintainers | None, commit_show_text: str, timeout: float = _TIMEOUT, *, trusted: bool = False
) -> tuple[list[str], list[str]]:
    """To and Cc for a commit given as ``git show`` prints it, patch included; both empty if nobody is known."""
    if not isinstance(tree, Path):
        return to_and_cc(tree.of_patch(commit_show_text, timeout)) if tree else ([], [])
    if trusted:
        to, cc = _ask(tree, ["--git-min-percent=20"], commit_show_text, timeout, enough=3)
        if to or cc:
            return to, cc
    known = Maintainers.read(tree)
    return to_and_cc(known.of_patch(commit_show_text, timeout)) if known else ([], [])


def parse_maintainers(output: str) -> tuple[list[str], list[str]]:
    """To and Cc from the script's output, one ``Name <address> (role)`` a line.

    Lines without role or address are dropped.
    """
    found = []
    for line in output.splitlines():
        who, role = _split_role(line[:_MAX_LINE].strip())
        if role:
            found.append(Person("", who, role))
    return to_and_cc(found)


def to_and_cc(people: Iterable[Person]) -> tuple[list[str], list[str]]:
    """Maintainers, supporters and lists are To, everybody else Cc, by their roles; each sorted by address.

    The list of the whole kernel is To only if no other list is named.  What is no address is dropped.
    """
    to, cc, lists = set[str](), set[str](), False
    whole_kernel = False
    for person in people:
        address = address_of(person.address)
        if not address:
            continue
        if address == _KERNEL_LIST:
            whole_kernel = True
        elif "list" in person.role:
            to.add(address)
            lists = True
        else:
            (to if "maintainer" in person.role or "supporter" in person.role else cc).add(address)
    if whole_kernel:
        (cc if lists else to).add(_KERNEL_LIST)
    return sorted(to), sorted(cc - to)


def _ask(tree: Path, options: list[str], text: str, timeout: float, enough: int) -> tuple[list[str], list[str]]:
    """Asks by MAINTAINERS and recent history first, and by git blame if fewer than ``enough`` came of it."""
    to, cc = parse_maintainers(_run(tree, options, text, timeout))
    if len(to) + len(cc) >= enough:
        return to, cc
    more_to, more_cc = parse_maintainers(_run(tree, ["--git-blame", *options], text, timeout))
    return (more_to, more_cc) if more_to or more_cc else (to, cc)


def _split_role(line: str) -> tuple[str, str]:
    """``Name <address> (role)`` in two; role and name may hold brackets, and the script cuts long roles within them."""
    if not line.endswith(")"):
        return line, ""
    end = line.find("> (") + 1 or line.find(" (")
    return (line[:end].strip(), line[end:].strip()[1:-1]) if end > 0 else (line, "")


def _run(tree: Path, options: list[str], text: str, timeout: float) -> str:
    """The output of the tree's script, empty if it is missing, fails or takes too long."""
    perl = shutil.which("perl")
    if perl is None or not (tree / _SCRIPT).is_file():
        return ""
    # PATH for git; nothing of ours is in the environment, and HOME is no place with settings.
    environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}
    try:
        process = subprocess.Popen(
            [perl, _SCRIPT, *options],
            cwd=tree,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return ""
    try:
        output, _ = process.communicate(text.encode("utf-8", "replace"), timeout)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    finally:
        _end(process)
    return output[:_MAX_OUTPUT].decode("utf-8", "replace") if process.returncode == 0 else ""


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the script and the git that it may have started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe:
            pipe.close()
