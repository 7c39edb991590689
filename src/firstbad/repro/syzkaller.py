"""Builds ``syz-execprog`` and ``syz-executor`` of one syzkaller revision, and keeps them.

The repository's own Makefile and programs run on this host, as this user: nothing but the given clone's word says that
they are harmless. They get a minimal environment, no network as far as Go and git are concerned, and limited time.
"""

import hashlib
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from firstbad.bounded import run_bounded
from firstbad.errors import InfrastructureError, NotFoundError, UserError
from firstbad.history.git import Repo
from firstbad.locks import locked
from firstbad.packaged import read_toml
from firstbad.repro.targets import Target

SECONDS = 1800.0
_FORMAT = "1"
"""Counts up when what is built from a revision changes."""
_UNDER_WAY = "building-syzkaller-"
_PROGRAMS = ("syz-execprog", "syz-executor")
_FLAG = re.compile(r'(?:flag|set)\.[A-Z]\w*\("(\w+)"')
_OPTIONAL = re.compile(r'optionalFlag\s*=\s*"(\w+)"')
_CAUSES = (
    re.compile(r"Native cross-compiler is missing/broken|(?:^|: )(?:fatal )?error: |undefined reference"),
    re.compile(r"^go: |^[\w./-]+\.go:\d+(?::\d+)?: |cannot find |not found"),
    re.compile(r"^make: \*\*\*"),
)


@dataclass(frozen=True)
class Syzkaller:
    """Built programs of one revision; ``flags`` are those that this ``execprog`` knows."""

    commit: str
    execprog: Path
    executor: Path
    flags: frozenset[str]


@cache
def facts() -> dict[str, Any]:
    """What ``syzkaller.toml`` says."""
    return read_toml(__package__, "syzkaller.toml")


def build_syzkaller(clone: Path, revision: str, target: Target, directory: Path) -> Syzkaller:
    """The programs of ``revision`` of a git clone, which is only read; built at most once per revision and compilers.

    Kept in ``directory``. Safe to call from several processes at a time. Raises NotFoundError and UserError that say
    what is missing, or the line that a build failed with; InfrastructureError when it takes more than half an hour.
    """
    repo = Repo(clone)
    commit = repo.resolve(revision)
    compilers = [
        _version("go", "version", "golang-go"),
        _version(target.compiler("g++"), "--version", target.packages()),
    ]
    key = hashlib.sha256("\0".join([_FORMAT, commit, target.name, *compilers]).encode()).hexdigest()[:32]
    kept = directory / f"syzkaller-{key}"
    if not kept.exists():
        with locked(directory / "syzkaller.lock"):
            if not kept.exists():
                _build(repo, commit, target, kept, compilers[0])
    flags = frozenset((kept / "flags").read_text().split())
    return Syzkaller(commit, kept / _PROGRAMS[0], kept / _PROGRAMS[1], flags)


def _build(repo: Repo, commit: str, target: Target, kept: Path, go_version: str) -> None:
    for left in kept.parent.glob(f"{_UNDER_WAY}*"):
        shutil.rmtree(left, ignore_errors=True)  # of a process that was killed: the lock is ours
    with tempfile.TemporaryDirectory(prefix=_UNDER_WAY, dir=kept.parent, ignore_cleanup_errors=True) as scratch:
        place = Path(scratch)
        source = place / "go/src" / facts()["import_path"]
        _check_out(repo, commit, source, place)
        _check_go(source, commit, go_version)
        log = _make(source, place, commit, target)
        result = place / "result"
        result.mkdir()
        for program, arch in zip(_PROGRAMS, (_vm_arch(target), target.syzkaller), strict=True):
            built = source / "bin" / f"linux_{arch}" / program
            if not built.exists():
                raise _failure(commit, log)
            shutil.copy2(built, result)
        (result / "flags").write_text(" ".join(sorted(_flags(source))))
        result.replace(kept)
        # Go makes its module cache read-only, which rmtree can't remove where we are not root.
        _make_writable(place)


def _vm_arch(target: Target) -> str:
    """syz-execprog runs natively where the executor is a 32-bit one on a 64-bit kernel."""
    return {"386": "amd64"}.get(target.syzkaller, target.syzkaller)


def _environment(place: Path) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "HOME": str(place),
        "LC_ALL": "C",
        "GOPATH": str(place / "go"),
        "GOCACHE": str(place / "cache"),
        "GOENV": "off",
        "GOPROXY": "off",
        "GOSUMDB": "off",
        "GOTOOLCHAIN": "local",  # since Go 1.21 another toolchain would be downloaded
        "GOTELEMETRY": "off",
        "GOVCS": "*:off",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_TERMINAL_PROMPT": "0",
        # No GOFLAGS: syzkaller's Makefile has a variable of that name, which make would export then.
    }


def _check_out(repo: Repo, commit: str, source: Path, place: Path) -> None:
    """A repository of our own that borrows the clone's objects: syzkaller's Makefile asks git which revision it is."""
    source.mkdir(parents=True)
    env = _environment(place)

    def git(*args: str) -> tuple[int, str]:
        command = ["git", "-c", "core.hooksPath=/dev/null", *args]
        return run_bounded(command, source, SECONDS, "a checkout of syzkaller", env=env)

    git("init", "-q", "--template=", ".")
    objects = source / ".git/objects/info"
    objects.mkdir(parents=True, exist_ok=True)
    (objects / "alternates").write_text(f"{repo.common_dir() / 'objects'}\n")
    (source / ".git/HEAD").write_text(f"{commit}\n")
    status, output = git("read-tree", commit)
    if status:
        raise InfrastructureError(f"can't check syzkaller {commit[:12]} out: {_last_line(output)}")
    # A clone may lack files that no build of ours needs (a partial clone, one without the largest files): what can be
    # written is written, and the build says what it misses.
    git("checkout-index", "-q", "-a", "-f")
    if not (source / "Makefile").exists() or not (source / "tools/syz-execprog").exists():
        raise UserError(f"{repo.path}: {commit[:12]} is no revision of syzkaller (no tools/syz-execprog)")


def _check_go(source: Path, commit: str, go_version: str) -> None:
    """Raises UserError when a revision asks for a newer Go, or for modules that it does not bring."""
    if not (source / "go.mod").exists():
        return
    wanted = re.search(r"^go (\d+)\.(\d+)", (source / "go.mod").read_text(errors="replace"), re.MULTILINE)
    there = re.search(r"\bgo(\d+)\.(\d+)", go_version)
    if wanted and there and [int(n) for n in there.groups()] < [int(n) for n in wanted.groups()]:
        raise UserError(
            f"syzkaller {commit[:12]} needs Go {wanted[1]}.{wanted[2]} (its go.mod); "
            f"this machine has {there[1]}.{there[2]}"
        )
    if not (source / "vendor").is_dir():
        raise UserError(
            f"syzkaller {commit[:12]} does not bring its modules (no vendor directory), and a build has no network; "
            "give a commit of your own on top of it with the result of `go mod vendor`"
        )


def _make(source: Path, place: Path, commit: str, target: Target) -> str:
    env = _environment(place) | {"GO111MODULE": "on" if (source / "go.mod").exists() else "off"}
    command = ["setpriv", "--pdeathsig", "TERM", "make", "execprog", "executor", *facts()["make"]]
    command += ["TARGETOS=linux", f"TARGETARCH={target.syzkaller}", f"TARGETVMARCH={_vm_arch(target)}"]
    status, output = run_bounded(command, source, SECONDS, f"building syzkaller {commit[:12]}", env=env)
    if status:
        raise _failure(commit, output)
    return output


def _failure(commit: str, output: str) -> UserError:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    found = (line for cause in _CAUSES for line in lines if cause.search(line))
    cause = next(found, lines[-1] if lines else "make said nothing")
    return UserError(f"syzkaller {commit[:12]} does not build: {cause[:300]}")


def _flags(source: Path) -> set[str]:
    known = set()
    for directory in facts()["flag_sources"]:
        for file in (source / directory).rglob("*.go"):
            if not file.name.endswith("_test.go") and not file.is_symlink():
                text = file.read_text(errors="replace")
                known |= {*_FLAG.findall(text), *_OPTIONAL.findall(text)}
    return known


def _version(command: str, argument: str, packages: str) -> str:
    try:
        status, output = run_bounded([command, argument], Path("/"), 60, "its version", env=dict(os.environ))
    except FileNotFoundError:
        raise NotFoundError(
            f"{command}: not found; syz programs need it to build syzkaller; on Debian: apt-get install {packages}"
        ) from None
    if status:
        raise UserError(f"{command} does not work: {_last_line(output)}")
    return output.splitlines()[0]


def _last_line(output: str) -> str:
    return next((line for line in reversed(output.splitlines()) if line.strip()), "nothing was said")[:300]


def _make_writable(place: Path) -> None:
    for directory, _, _ in os.walk(place):
        Path(directory).chmod(0o700)
