"""Writes commits through ``git fast-import``: the fastest way in, and the same hashes every time."""

import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self, cast

from firstbad.errors import InfrastructureError, NotFoundError


@dataclass(frozen=True)
class Person:
    """An author or committer, with the mail address that the commit names."""

    name: str
    email: str

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>"


@dataclass(frozen=True)
class NewCommit:
    """What ``Importer.commit`` writes; times are seconds since 1970, UTC."""

    author: Person
    written: int
    committer: Person
    committed: int
    message: str


def git_environment() -> dict[str, str]:
    """Return an environment in which neither the user's nor the machine's git configuration has a say."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    return {**kept, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "LC_ALL": "C"}


def git(repo: Path, *arguments: str) -> str:
    """Run one git command in ``repo`` and return what it prints, stripped; raises InfrastructureError."""
    try:
        done = subprocess.run(
            ["git", "-C", str(repo), *arguments], env=git_environment(), capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise NotFoundError("git is not installed") from error
    if done.returncode:
        raise InfrastructureError(f"git {arguments[0]} failed in {repo}: {done.stderr.strip()[-300:]}")
    return done.stdout.strip()


def git_blob(repo: Path, name: str) -> str:
    """Return the text of a blob as it is; bytes that are not UTF-8 survive as surrogates."""
    done = subprocess.run(
        ["git", "-C", str(repo), "cat-file", "blob", name], env=git_environment(), capture_output=True, check=False
    )
    if done.returncode:
        raise InfrastructureError(f"git can't read {name} in {repo}")
    return done.stdout.decode(errors="surrogateescape")


class Importer:
    """One ``git fast-import`` process; commits are named by marks, small integers counted from 1.

    Used as a context manager: leaving it without an exception waits for git and checks that it succeeded.
    """

    def __init__(self, repo: Path) -> None:
        self._repo = repo
        self._mark = 0
        self._marks = repo / "firstbad-marks"
        self._process: subprocess.Popen[bytes]
        self._pipe: IO[bytes]
        self._answers: IO[bytes]

    def __enter__(self) -> Self:
        command = ["git", "-C", str(self._repo), "fast-import", "--quiet", "--done", f"--export-marks={self._marks}"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=git_environment()
        )
        self._pipe = cast(IO[bytes], self._process.stdin)
        self._answers = cast(IO[bytes], self._process.stdout)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        if kind is not None:
            self._process.kill()
            self._process.communicate()
            return
        _out, complaint = self._process.communicate(b"done\n")
        if self._process.returncode:
            raise InfrastructureError(f"git fast-import failed: {complaint.decode(errors='replace').strip()[-300:]}")

    def hashes(self) -> dict[int, str]:
        """Return mark to full hash of everything that was written; only after the process has ended."""
        lines = self._marks.read_text().splitlines()
        self._marks.unlink()
        return {int(mark[1:]): name for mark, name in (line.split() for line in lines)}

    def _write(self, *parts: bytes) -> None:
        try:
            for part in parts:
                self._pipe.write(part)
        except BrokenPipeError as error:
            raise InfrastructureError(f"git fast-import ended early in {self._repo}") from error

    def _data(self, content: bytes) -> None:
        self._write(b"data %d\n" % len(content), content, b"\n")

    def commit(
        self,
        new: NewCommit,
        parents: Iterable[int | str],
        contents: Mapping[str, tuple[str, bytes]] | Iterable[tuple[str, tuple[str, bytes]]],
        branch: str = "refs/heads/master",
    ) -> int:
        """Write a commit whose tree is its first parent's with ``contents`` (path to mode and bytes) put in.

        ``parents`` are marks or full hashes; the branch's tip moves to the new commit. Returns its mark.
        """
        self._mark += 1
        lines = [f"commit {branch}", f"mark :{self._mark}"]
        lines.append(f"author {new.author} {new.written} +0000")
        lines.append(f"committer {new.committer} {new.committed} +0000")
        self._write("\n".join(lines).encode(), b"\n")
        self._data(new.message.encode())
        for number, parent in enumerate(parents):
            name = f":{parent}" if isinstance(parent, int) else parent
            self._write(f"{'merge' if number else 'from'} {name}\n".encode())
        for path, (mode, data) in contents.items() if isinstance(contents, Mapping) else contents:
            self._write(f"M {mode} inline {_quoted(path)}\n".encode())
            self._data(data)
        self._write(b"\n")
        return self._mark

    def hash_of(self, mark: int) -> str:
        """Return the full hash of a commit that was written before."""
        self._write(f"get-mark :{mark}\n".encode())
        self._pipe.flush()
        return self._answers.readline().decode().strip()

    def tag(self, name: str, target: int | str, tagger: Person, when: int, message: str) -> None:
        """Write an annotated tag ``name`` on a mark or hash."""
        of = f":{target}" if isinstance(target, int) else target
        self._write(f"tag {name}\nfrom {of}\ntagger {tagger} {when} +0000\n".encode())
        self._data(message.encode())

    def reset(self, branch: str, target: int | str) -> None:
        """Point ``branch`` at a mark or hash."""
        of = f":{target}" if isinstance(target, int) else target
        self._write(f"reset {branch}\nfrom {of}\n\n".encode())


def _quoted(path: str) -> str:
    """Quote a path as fast-import wants it where it starts with a quote or holds control characters."""
    if path.isprintable() and '"' not in path and "\\" not in path:
        return path
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
