"""Whether the source at a revision has a function, under its own name or an older one."""

import re
import subprocess
from collections.abc import Iterable
from difflib import SequenceMatcher

from firstbad.errors import InfrastructureError
from firstbad.history.git import Repo, complaint

ALIKE = 0.6
"""Share of equal words from which on a function of another name counts as the same one, renamed."""

_SOURCES = ("*.c", "*.h", "*.S", "*.rs")
# The names that SYSCALL_DEFINE makes: include/linux/syscalls.h, arch/*/include/asm/syscall_wrapper.h.
_SYSTEM_CALL = re.compile(
    r"__(?:x64|ia32|arm64|riscv|s390x?|se|do)_(?:compat_)?sys_(?P<name>\w+)\Z|__(?:se|do)_sys_(?P<n>\w+)\Z"
)
# A definition as the kernel writes it: begins in the first column, and so does the brace that ends it.
_DEFINITION = re.compile(
    r"^(?P<head>[A-Za-z_][^;{}()#]{0,200}?\b(?P<name>[A-Za-z_]\w*)\s*\([^;{}]{0,1000}\))\s*\n\{(?P<body>.*?)^\}",
    re.M | re.S,
)
_LONGEST = 2 << 20


class Source:
    """Looks functions up in the trees of a repository, each (revision, function) once.

    ``start`` is where the crash was seen: a function that can't be found there (a macro makes it) is not looked for.
    """

    def __init__(self, repo: Repo, start: str) -> None:
        self.repo, self.start = repo, start
        self._known: dict[tuple[str, str], str | None] = {}

    def name_at(self, commit: str, function: str, path: str = "") -> str | None:
        """What the function is called at a commit: mostly the same; None if nothing like it is there.

        ``path`` is its file at the start, if known; it need not be there any more. Any mention of the name counts as
        its definition: a wrong "it is not there" would be the worse mistake. A renamed function is known by its text.
        """
        key = (commit, function)
        if key not in self._known:
            self._known[key] = self._find(commit, function, path)
        return self._known[key]

    def files_at(self, commit: str, function: str, path: str = "") -> list[str]:
        """Source files (no headers) that mention a function at a commit; ``path`` alone if it is one of them."""
        word = _word(function)
        if path and word.search(self.repo.blob(commit, path) or ""):
            return [path]
        done = self._grep("-l", commit, function)
        names = (line.split(":", 1)[-1] for line in done.stdout.decode(errors="replace").splitlines())
        return [name for name in names if not name.endswith(".h")]

    def _find(self, commit: str, function: str, path: str) -> str | None:
        if self._mentions(commit, function, path) or not self._mentions(self.start, function, path):
            return function
        return self._renamed(commit, function, path)

    def _mentions(self, commit: str, function: str, path: str) -> bool:
        text = self.repo.blob(commit, path) if path else None
        return bool(_word(function).search(text or "")) or self._grep("-q", commit, function).returncode == 0

    def _grep(self, how: str, commit: str, function: str) -> "subprocess.CompletedProcess[bytes]":
        system_call = _system_call(function)
        what = ("-E", "-e", rf"SYSCALL_DEFINE[0-6]\({system_call}\b") if system_call else ("-w", "-F", "-e", function)
        done = self.repo.run("grep", "--no-color", how, *what, commit, "--", *_SOURCES, check=False)
        if done.returncode > 1:  # a search that failed found nothing, which is not the same as "there is nothing"
            raise InfrastructureError(f"git grep failed in {self.repo.path}: {complaint(done)}")
        return done

    def _renamed(self, commit: str, function: str, path: str) -> str | None:
        """The function of the same file whose text is most like it, if it is alike, and gone at the start."""
        now = _definitions(self.repo.blob(self.start, path) or "") if path else {}
        if function not in now:
            return None
        text = self.repo.blob(commit, path)
        if text is None:
            text = self.repo.blob(commit, self._older_path(commit, path))
        before = {name: body for name, body in _definitions(text or "").items() if name not in now}
        alike = {name: _likeness(now[function], body) for name, body in before.items()}
        best = max(alike, key=lambda name: alike[name], default="")
        return best if best and alike[best] >= ALIKE else None

    def _older_path(self, commit: str, path: str) -> str:
        renames = self.repo.run(
            "diff", "--no-ext-diff", "--name-status", "-M", "--diff-filter=R", "-z", commit, self.start, check=False
        )
        parts = iter(renames.stdout.decode(errors="replace").split("\0"))
        return next((old for _, old, new in zip(parts, parts, parts, strict=False) if new == path), path)


def _system_call(function: str) -> str:
    found = _SYSTEM_CALL.match(function)
    return (found["name"] or found["n"]) if found else ""


def _word(function: str) -> re.Pattern[str]:
    system_call = _system_call(function)
    return re.compile(rf"SYSCALL_DEFINE[0-6]\({system_call}\b" if system_call else rf"\b{re.escape(function)}\b")


def _definitions(text: str) -> dict[str, list[str]]:
    """Functions of a C file: name to the words of its text without the name itself."""
    found = {m["name"]: m["head"].replace(m["name"], "", 1) + m["body"] for m in _DEFINITION.finditer(text[:_LONGEST])}
    return {name: re.findall(r"\w+|[^\w\s]", body) for name, body in found.items()}


def _likeness(one: list[str], other: Iterable[str]) -> float:
    return SequenceMatcher(None, one, list(other), autojunk=False).ratio()
