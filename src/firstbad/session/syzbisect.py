"""What a configuration of syz-bisect and a crash directory of syz-manager say of a job.

The fields are those of ``Config`` in syzkaller's ``tools/syz-bisect/bisect.go``, of the manager's configuration inside
it, and the flags of that tool by their names; the files are those that syz-manager and syz-bisect keep of a crash.
"""

import json
import re
from pathlib import Path
from typing import Any

from firstbad.crash import parse
from firstbad.errors import UserError
from firstbad.repro.options import read_options
from firstbad.session.gathered import Gathered, Kind, Told

_COMMENT = re.compile(r"(^|\n)[ \t]*#[^\n]*")  # syzkaller's own reader takes such lines out too
_HASH = re.compile(r"[0-9a-f]{40}")
_REPRODUCERS = ("repro.cprog", "repro.c", "repro.prog", "repro.syz")
_REPORTS = ("repro.report", "report", *(f"report{number}" for number in range(10)))
_LARGEST = 4 << 20
# Userspace and kernel: the names of Go, by ours.
_KERNELS = {"amd64": "x86_64", "386": "x86_64", "arm64": "aarch64", "riscv64": "riscv64"}
_UNTAKEN = ("bin_dir", "cmdline", "compiler", "cross_tree", "linker", "make", "sysctl", "userspace")


def from_syz_bisect(text: str, source: str, directory: Path, fix: bool | None = None) -> Gathered:
    """A configuration. Files that it names are looked for from ``directory``; a kernel repository that is none on this
    machine is left to ``--repo``. Raises UserError for what is no such configuration."""
    try:
        data = json.loads(_COMMENT.sub(r"\1", text))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{source}: not a syz-bisect configuration: {error}") from None
    if not isinstance(data, dict) or not any(key in data for key in ("kernel_repo", "kernel_config", "manager")):
        raise UserError(f"{source}: JSON, but no syz-bisect configuration: it has no 'kernel_repo' or 'kernel_config'")
    return _Config(data, source, directory, fix).read()


class _Config:
    def __init__(self, data: dict[str, Any], source: str, directory: Path, fix: bool | None) -> None:
        self.data, self.source, self.directory = data, source, directory
        self.fix = bool(data.get("fix")) if fix is None else fix
        self.notes: list[str] = []
        manager = data.get("manager")
        self.manager: dict[str, Any] = manager if isinstance(manager, dict) else {}

    def read(self) -> Gathered:
        job: dict[str, Any] = {}
        for key, names in (("config", "kernel_config"), ("baseline", "kernel_baseline_config")):
            if file := self._file(self.data, names):
                job[key] = file
        repo = self._directory(self.data, "kernel_repo") or self._directory(self.manager, "kernel_src")
        job |= {"repo": repo} if repo else {}
        job |= self._revisions() | self._tables()
        left = [name for name in _UNTAKEN if self.data.get(name)]
        if left:
            self.notes.append(f"not taken, machines and compilers are chosen here: {', '.join(left)}")
        kind: Kind | None = "fix" if self.fix else None
        return Gathered(self.source, "syz-bisect configuration", kind, job, (), tuple(self.notes))

    def _revisions(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, name in (("commit", "kernel_commit"), ("commit_title", "kernel_commit_title")):
            if value := self._text(self.data, name):
                found[key] = value
        if branch := self._text(self.data, "kernel_branch"):
            found["head" if self.fix else "branch"] = branch
        return found

    def _tables(self) -> dict[str, Any]:
        build: dict[str, Any] = {"toolchain": "clang"} if self.data.get("compiler_type") == "clang" else {}
        fixes = [
            {"commit": one["fix_hash"], **({"guilty": one["guilty_hash"]} if one.get("guilty_hash") else {})}
            for one in self.data.get("backports") or []
            if isinstance(one, dict) and isinstance(one.get("fix_hash"), str)
        ]
        build |= {"fixes": fixes} if fixes else {}
        reproducer: dict[str, Any] = {}
        words = self._text(self.manager, "target").split("/")
        if len(words) >= 2:
            kernel, user = words[1], words[-1]
            if kernel in _KERNELS:
                build["arch"] = _KERNELS[kernel]
                reproducer |= {"arch": "i386"} if user == "386" else {}
            else:
                self.notes.append(f"manager.target: no machines for {kernel}: name --userspace and build.arch")
        if clone := self._directory(self.manager, "syzkaller"):
            reproducer["syzkaller"] = clone
        if commit := self._text(self.data, "syzkaller_commit"):
            reproducer["syzkaller_commit"] = commit
        tables = {"build": build, "reproducer": reproducer, "machine": self._machine()}
        return {name: table for name, table in tables.items() if table}

    def _machine(self) -> dict[str, Any]:
        vm = self.manager.get("vm")
        vm = vm if isinstance(vm, dict) else {}
        found = {ours: vm[theirs] for ours, theirs in (("cpus", "cpu"), ("memory_mb", "mem")) if _count(vm.get(theirs))}
        image, key = self._file(self.manager, "image"), self._file(self.manager, "sshkey")
        return found | ({"image": image, "ssh_key": key} if image and key else {})

    def _text(self, table: dict[str, Any], name: str) -> str:
        value = table.get(name)
        return value.strip() if isinstance(value, str) else ""

    def _file(self, table: dict[str, Any], name: str) -> str:
        return self._path(table, name, "file")

    def _directory(self, table: dict[str, Any], name: str) -> str:
        return self._path(table, name, "directory")

    def _path(self, table: dict[str, Any], name: str, kind: str) -> str:
        value = self._text(table, name)
        path = self.directory / value if value and "\0" not in value else None
        if path is None:
            return ""
        if path.is_dir() if kind == "directory" else path.is_file():
            return str(path.absolute())
        self.notes.append(f"{name}: no such {kind} here: {value[:200]}")
        return ""


def _count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def from_crash_directory(directory: Path) -> Gathered:
    """A directory of a crash: the reproducer and how it runs, the title, the answer of a bisection that ended there.

    Raises UserError where it holds none of the files that such a directory has.
    """
    job: dict[str, Any] = {}
    reproducers = [directory / name for name in _REPRODUCERS if (directory / name).is_file()]
    if reproducers:
        job["repro"] = str(reproducers[0].absolute())
    if options := _options(directory):
        job["reproducer"] = options
    if title := _title(directory):
        job["title"] = title
    told, kind = _answer(directory)
    if not job and not told:
        names = ", ".join((*_REPRODUCERS, "description"))
        raise UserError(f"{directory}: not a crash directory: it has none of {names}")
    notes = () if reproducers else ("no reproducer here: name one with --repro",)
    return Gathered(directory.name or str(directory), "crash directory", kind, job, told, notes)


def _options(directory: Path) -> dict[str, Any]:
    text = _read(directory / "repro.opts").strip()
    if not text:
        return {}
    options = read_options(f"# {' '.join(text.split())}", str(directory / "repro.opts"))
    if options is None:
        return {}
    found = {name: getattr(options, name) for name in ("threaded", "collide", "slowdown")}
    found |= {"sandbox": options.sandbox} if options.sandbox else {}
    found |= {"procs": options.procs} if options.procs else {}
    return found | ({"repeat_times": options.repeat_times} if options.repeat else {})


def _title(directory: Path) -> str:
    said = _read(directory / "description").strip().partition("\n")[0]
    if said:
        return said[:500]
    for name in _REPORTS:
        report = parse(_read(directory / name).encode()) if (directory / name).is_file() else None
        if report is not None:
            return report.title
    return ""


def _answer(directory: Path) -> tuple[tuple[Told, ...], Any]:
    """What ``cause.commit`` or ``fix.commit`` names, as a crash at it (fix: none) and none (a crash) before it."""
    for kind, here, before in (("cause", "bad", "good"), ("fix", "good", "bad")):
        hashes = _read(directory / f"{kind}.commit").split()
        if len(hashes) == 1 and _HASH.fullmatch(hashes[0]):
            outcomes: dict[str, Any] = {"bad": "crash", "good": "ok"}
            rows = [(hashes[0], here), (f"{hashes[0]}^", before)]
            return tuple(Told(name, word, ((outcomes[word], ""),)) for name, word in rows), kind  # type: ignore[arg-type]
    return (), None


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST).decode(errors="replace")
    except OSError:
        return ""
