"""The kernel source package as a stream of the files that the demo keeps."""

import re
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from firstbad.errors import InfrastructureError, NotFoundError, UserError
from firstbad.packaged import read_toml

PACKAGE = "linux-source-6.12"
WHERE = Path("/usr/src")
EXECUTABLE, SYMLINK, PLAIN = "100755", "120000", "100644"


@dataclass(frozen=True)
class SourceFile:
    """One file of the tree: path without the leading directory, git mode, content (a link's target)."""

    path: str
    mode: str
    data: bytes


def find_source(where: Path = WHERE) -> Path:
    """Return the newest point release of Debian's kernel source, as ``apt-get`` leaves it.

    Raises NotFoundError, with the command that installs it.
    """
    for path in sorted(where.glob(f"{PACKAGE}*.tar.xz"), reverse=True):
        return path
    raise NotFoundError(f"{where}/{PACKAGE}.tar.xz is not there: apt-get install {PACKAGE}")


class Trim:
    """The rule that says which files are kept; see ``data/trim.toml`` for the lists and the reasons."""

    def __init__(self, names: list[str], keep: list[str], drop: list[str]) -> None:
        self._names = re.compile("|".join(f"(?:.*/)?{_translate(name)}" for name in names))
        self._keep = re.compile("|".join(map(_translate, keep)))
        self._drop = re.compile("|".join(map(_translate, drop)))

    @classmethod
    def load(cls) -> "Trim":
        """Read the rule that ships with the package."""
        table = read_toml(__package__, "data/trim.toml")
        return cls(table["names"], table["keep"], table["drop"])

    def __call__(self, path: str) -> bool:
        """Whether ``path`` (relative to the top of the tree) is kept."""
        if "/" not in path or self._names.fullmatch(path):
            return True
        return bool(self._keep.fullmatch(path)) and not self._drop.fullmatch(path)


def _translate(pattern: str) -> str:
    """Turn ``dir/`` (everything below) or a glob whose ``*`` stops at slashes into a regular expression."""
    stars = "[^/]*".join(re.escape(part) for part in pattern.split("*"))
    return stars + ".*" if pattern.endswith("/") else stars


def read_source(archive: Path, keep: Trim) -> Iterator[SourceFile]:
    """Yield the kept files of a ``linux-source-*.tar.xz`` in the archive's order.

    Nothing is written to disk. ``xz`` runs beside us: its threads decode this archive in seconds.
    Raises UserError if the archive can't be read.
    """
    command = ["xz", "--decompress", "--stdout", "--threads=0", "--", str(archive)]
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except FileNotFoundError as error:
        raise NotFoundError("xz is not installed: apt-get install xz-utils") from error
    with process:
        try:
            with tarfile.open(fileobj=process.stdout, mode="r|") as tar:
                yield from _members(tar, keep)
        except (tarfile.TarError, EOFError) as error:
            raise UserError(f"{archive}: not a readable kernel source archive: {error}") from error
        finally:
            process.kill()


def _members(tar: tarfile.TarFile, keep: Trim) -> Iterator[SourceFile]:
    for member in tar:
        _top, _slash, path = member.name.partition("/")
        if not path or not keep(path) or ".." in path.split("/"):
            continue
        if member.issym():
            yield SourceFile(path, SYMLINK, member.linkname.encode())
        elif member.isreg():
            handle = tar.extractfile(member)
            if handle is None:
                raise InfrastructureError(f"{path}: no data in the archive")
            mode = EXECUTABLE if member.mode & stat.S_IXUSR else PLAIN
            yield SourceFile(path, mode, handle.read())
