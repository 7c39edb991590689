"""Who maintains a file or the files of a commit: asked of the tree's own scripts/get_maintainer.pl."""

import subprocess
from pathlib import Path, PurePosixPath

from firstbad.report.recipients import address_of

_SCRIPT = "scripts/get_maintainer.pl"
_TIMEOUT = 60.0  # seconds; with git history the script reads the log of every file
_MAX_LINE = 1000
_KERNEL_LIST = "linux-kernel@vger.kernel.org"


def maintainers_of_file(tree: Path, file: str, timeout: float = _TIMEOUT) -> tuple[list[str], list[str]]:
    """To and Cc for a source file (path within the tree); both empty if the script can't say.

    With git blame if only one recipient is found without.
    """
    path = PurePosixPath(file)
    if path.is_absolute() or ".." in path.parts or file.startswith("-") or not (tree / path).is_file():
        return [], []
    options = ["--git-min-percent=15", "-f", file]
    return _ask(tree, options, "", timeout, enough=2)


def maintainers_of_commit(tree: Path, commit_show_text: str, timeout: float = _TIMEOUT) -> tuple[list[str], list[str]]:
    """To and Cc for a commit given as ``git show`` prints it, patch included; both empty if the script can't say."""
    options = ["--git-min-percent=20"]
    return _ask(tree, options, commit_show_text, timeout, enough=3)


def parse_maintainers(output: str) -> tuple[list[str], list[str]]:
    """To and Cc from the script's output, one ``Name <address> (role)`` a line.

    Maintainers, supporters and lists are To, everybody else Cc.  The list of the whole kernel is To only if no
    other list is named.  Sorted by address; lines without role or address are dropped.
    """
    to, cc, lists = set[str](), set[str](), False
    whole_kernel = False
    for line in output.splitlines():
        who, role = _split_role(line[:_MAX_LINE].strip())
        address = address_of(who)
        if not address or not role:
            continue
        if address == _KERNEL_LIST:
            whole_kernel = True
        elif "list" in role:
            to.add(address)
            lists = True
        else:
            (to if "maintainer" in role or "supporter" in role else cc).add(address)
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
    """``Name <address> (role)`` in two; the role may hold brackets, the name too."""
    if not line.endswith(")"):
        return line, ""
    depth = 0
    for index in range(len(line) - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(line[index], 0)
        if depth == 0:
            return line[:index].strip(), line[index + 1 : -1]
    return line, ""


def _run(tree: Path, options: list[str], text: str, timeout: float) -> str:
    if not (tree / _SCRIPT).is_file():
        return ""
    try:
        done = subprocess.run(
            ["perl", _SCRIPT, *options],
            cwd=tree,
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
