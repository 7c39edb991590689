"""Debian's kernel sources as small histories: the release, and on top of it a bug of the demo's."""

from pathlib import Path

import pytest

from firstbad.demo.edits import load_bugs
from firstbad.demo.fastimport import Importer, NewCommit, Person, git
from firstbad.demo.source import WHERE, read_source

_WHO = Person("A Developer", "dev@example.org")
_KCONFIG = ("Kconfig", "Makefile", "Kbuild")
# Nothing of it is compiled by the configurations here; all files that Kconfig and Kbuild read are kept.
_LEFT_OUT = (
    "Documentation/",
    "drivers/gpu/",
    "drivers/infiniband/",
    "drivers/media/",
    "drivers/net/",
    "drivers/scsi/",
    "drivers/staging/",
    "sound/",
    "tools/perf/",
    "tools/testing/",
)


def _kept(path: str) -> bool:
    # Every kernel with a network has a loopback device.
    compiled = not path.startswith(_LEFT_OUT) or path == "drivers/net/loopback.c"
    return compiled or path.rsplit("/", 1)[-1].startswith(_KCONFIG)


def release(directory: Path, package: str, bug: str) -> tuple[Path, str, str]:
    """Repository, the commit of ``package``'s source, and the commit with the bug; made once. Skips without it."""
    archive = WHERE / f"{package}.tar.xz"
    if not archive.exists():
        pytest.skip(f"{archive} is not there: apt-get install {package}")
    repo = directory / f"{package}-{archive.stat().st_size}.git"
    if not (repo / "done").exists():
        _import(repo, archive, bug)
    return repo, *git(repo, "rev-parse", "v0", "v1").split()


def _import(repo: Path, archive: Path, bug: str) -> None:
    repo.mkdir(parents=True, exist_ok=True)
    git(repo, "init", "--quiet", "--bare", "--initial-branch=master")
    edit = load_bugs()[bug]
    texts: dict[str, str] = {}

    def contents():
        for file in read_source(archive, _kept):
            if file.path in edit.files:
                texts[file.path] = file.data.decode()
            yield file.path, (file.mode, file.data)

    with Importer(repo) as importer:
        first = importer.commit(NewCommit(_WHO, 0, _WHO, 0, f"{archive.name}\n"), [], contents())
        changed = {name: ("100644", edit.apply(name, text).encode()) for name, text in texts.items()}
        second = importer.commit(NewCommit(_WHO, 60, _WHO, 60, f"{edit.subject}\n"), [first], changed)
    hashes = importer.hashes()
    git(repo, "tag", "-f", "v0", hashes[first])
    git(repo, "tag", "-f", "v1", hashes[second])
    (repo / "done").touch()
