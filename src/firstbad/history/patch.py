"""Patches of others: what they touch, and applying them to a tree of a repository.

A patch is hostile input: it must not reach outside the tree, nor into ``.git``. git refuses both by itself; here
they are refused before git is asked.
"""

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from firstbad.errors import NotFoundError, UserError
from firstbad.history.apart import apart
from firstbad.history.git import Repo

_LARGEST = 16 << 20  # bytes of a patch
_HEADER = re.compile(rb"(?:--- |\+\+\+ |diff --git |rename (?:from|to) |copy (?:from|to) )(.*)")
_HUNK = re.compile(rb"@@ -\d{1,9}(?:,(\d{1,9}))? \+\d{1,9}(?:,(\d{1,9}))? @@")
_ESCAPE = re.compile(rb"\\([abtnvfr\"\\]|[0-7]{3})")
_PLAIN = {b"a": b"\a", b"b": b"\b", b"t": b"\t", b"n": b"\n", b"v": b"\v", b"f": b"\f", b"r": b"\r"}
_FILE = re.compile(r"^diff --git (?P<names>.+)$")
_INDEX = re.compile(r"^index (?P<left>[0-9a-f]{4,64})\.\.[0-9a-f]{4,64}(?: [0-7]{6})?$")


class PatchError(UserError):
    """A patch can't be applied: it reaches outside, does not fit, or is already there."""


class AlreadyApplied(PatchError):
    """What a patch does is there already."""


@dataclass(frozen=True)
class DiffFile:
    """A file that ``git diff`` shows: its path after the change and the (cut) hash of what was there before."""

    path: str
    left: str
    """Of zeros where the file is new."""


def read_patch(path: Path) -> bytes:
    """A patch file. Raises NotFoundError, and PatchError for what is none or too large."""
    try:
        if not path.is_file():
            raise NotFoundError(f"{path}: no such patch")
        if path.stat().st_size > _LARGEST:
            raise PatchError(f"{path}: larger than {_LARGEST >> 20} MiB, which no patch is")
        data = path.read_bytes()
    except OSError as error:
        raise PatchError(f"{path}: can't be read: {error.strerror}") from error
    check_patch(data, str(path))
    return data


def check_patch(patch: bytes, origin: str = "patch") -> None:
    """Raises PatchError unless it is a patch, all of whose paths lie within the tree and outside ``.git``."""
    if not any(line.startswith((b"diff --git ", b"--- ")) for line in _headers(patch)):
        raise PatchError(f"{origin}: not a patch (no line begins with 'diff --git' or '---')")
    for name in patched_paths(patch):
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\0" in name:
            raise PatchError(f"{origin}: reaches outside the tree: {name}")
        if any(part.lower() == ".git" for part in path.parts):
            raise PatchError(f"{origin}: reaches into git's own files: {name}")


def patched_paths(patch: bytes) -> list[str]:
    """All paths that a patch names in its headers, without ``a/`` and ``b/``; undecodable bytes replaced."""
    found: dict[str, None] = {}
    for line in _headers(patch):
        match = _HEADER.match(line)
        for name in _names(line, match[1].rstrip(b"\r")) if match else ():
            text = name.decode("utf-8", "replace")
            if text != "/dev/null":
                found[text] = None
    return list(found)


def _headers(patch: bytes) -> Iterator[bytes]:
    """The lines of a patch without those of its hunks, some of which look like headers."""
    old = new = 0
    for line in patch.split(b"\n"):
        if old > 0 or new > 0:
            kind = line[:1]
            old -= kind in (b" ", b"-", b"", b"\r")
            new -= kind in (b" ", b"+", b"", b"\r")
            if kind in (b" ", b"+", b"-", b"\\", b"", b"\r"):
                continue
            old = new = 0  # the hunk is shorter than it says: git will refuse it
        if match := _HUNK.match(line):
            old, new = int(match[1] or 1), int(match[2] or 1)
        else:
            yield line


def _names(line: bytes, rest: bytes) -> Iterator[bytes]:
    if line.startswith(b"diff --git "):
        # Two names; unquoted ones with blanks can't be told apart, but then they stand in the lines below too.
        words = re.findall(rb'"(?:[^"\\]|\\.)*"|\S+', rest)
        yield from (_stripped(word) for word in words)
        return
    # "--- a/name<TAB>date".
    name = rest if rest.startswith(b'"') else rest.split(b"\t", 1)[0]
    if line.startswith((b"--- ", b"+++ ")):
        yield _stripped(name)
    else:
        yield _unquoted(name)


def _stripped(name: bytes) -> bytes:
    plain = _unquoted(name)
    return plain[2:] if plain[:2] in (b"a/", b"b/") else plain


def _unquoted(name: bytes) -> bytes:
    """A path as git quotes it (core.quotePath), without quotes and escapes."""
    if not (len(name) > 1 and name.startswith(b'"') and name.endswith(b'"')):
        return name.strip()
    return _ESCAPE.sub(
        lambda found: _PLAIN.get(found[1]) or (bytes([int(found[1], 8) & 255]) if len(found[1]) == 3 else found[1]),
        name[1:-1],
    )


def diff_files(text: str) -> list[DiffFile]:
    """The files of a ``git diff``, in order."""
    found: list[DiffFile] = []
    path = ""
    for line in text.splitlines():
        if match := _FILE.match(line):
            path = _second_name(match["names"])
        elif path and (match := _INDEX.match(line)):
            found.append(DiffFile(path, match["left"]))
            path = ""
    return found


def _second_name(names: str) -> str:
    if names.startswith('"') or names.endswith('"'):
        last = re.findall(r'"(?:[^"\\]|\\.)*"|\S+', names)[-1]
        return _stripped(last.encode()).decode("utf-8", "replace")
    # "a/NAME b/NAME": both are the same but for a rename, so they part in the middle; with a rename at " b/".
    half = len(names) // 2
    second = names[half + 1 :] if names[:half][2:] == names[half + 1 :][2:] else names.rpartition(" b/")[2]
    return second.removeprefix("b/")


def patched_tree(repo: Repo, tree: str, patch: bytes) -> str:
    """The tree (hash) that a patch makes of a tree, as a three-way merge where the patch's own blobs are known.

    ``repo`` has a directory for new objects, see `Repo.beside`. Raises PatchError that says what does not fit, or
    that the patch is already applied.
    """
    check_patch(patch)
    if repo.objects is None:
        raise ValueError("a patched tree needs a place for its objects")
    with tempfile.TemporaryDirectory(prefix="index-", dir=repo.objects) as place:
        env = {**apart(repo, Path(place, "git")), "GIT_INDEX_FILE": f"{place}/index"}

        def apply(*options: str) -> str:
            repo.run("read-tree", tree, env=env)
            words = ("apply", "--cached", "--whitespace=nowarn", *options, "-")
            done = repo.run(*words, check=False, binary_input=patch, env=env)
            return _reason(done.stderr) if done.returncode else ""

        # --3way falls back to plain application; together with --reverse it would call a conflict a success.
        if error := apply("--3way"):
            raise AlreadyApplied("patch is already applied") if not apply("--reverse") else PatchError(error)
        made = repo.run("write-tree", env=env).stdout.decode().strip()
    if made == tree:
        raise AlreadyApplied("patch is already applied")
    return made


def _reason(stderr: bytes) -> str:
    """The first complaint of ``git apply``."""
    lines = [line.strip() for line in stderr.decode("utf-8", "replace").splitlines()]
    told = [
        line.removeprefix("error: ").removeprefix("fatal: ") for line in lines if line.startswith(("error:", "fatal:"))
    ]
    told = [line for line in told if "3-way merge" not in line] or [line for line in lines if line]
    return (told[0] if told else "git apply failed")[:300]
