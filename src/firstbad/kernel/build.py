"""Builds one revision: check out, configure, make, sign, keep."""

import hashlib
import os
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

from firstbad.errors import BuildError, InfrastructureError
from firstbad.history.git import Repo
from firstbad.history.releases import base_release
from firstbad.history.worktree import checkout
from firstbad.kernel import config, process, toolchain
from firstbad.kernel.architecture import DEFAULT, architecture
from firstbad.kernel.artifacts import Artifacts, Built
from firstbad.kernel.buildlog import first_error, recorded_compiler
from firstbad.kernel.fixes import Fix, Fixer, Source
from firstbad.kernel.signature import signature

# Same code, same bytes: who built it, where and when must not get into the binary.
REPRODUCIBLE = {
    "KBUILD_BUILD_TIMESTAMP": "Thu Jan  1 00:00:00 UTC 1970",
    "KBUILD_BUILD_USER": "firstbad",
    "KBUILD_BUILD_HOST": "firstbad",
    "KBUILD_BUILD_VERSION": "1",
    "LOCALVERSION": "",
    "LC_ALL": "C",
}
_KEPT_ENV = ("PATH", "HOME", "TMPDIR", "LANG", "USER")


@dataclass(frozen=True)
class Spec:
    """What a build is made from, beside the revision: ``config`` is text, ``base`` a make target or "none".

    ``outputs`` is a similar configuration in whose output directory this one is built too: make rebuilds what the
    difference between them touches. None: a directory of its own.
    """

    config: str
    base: str = "none"
    toolchain: str = ""
    arch: str = DEFAULT
    fixes: tuple[Fix, ...] = ()
    """Applied where a revision needs them."""
    patch: bytes = b""
    """Applied to every revision, after its fixes."""
    outputs: "Spec | None" = None


class Builder:
    """One builder: a work tree, output directories by configuration, and the shared caches."""

    def __init__(
        self, directory: Path, artifacts: Artifacts, ccache: Path, jobs: int = 0, limit_bytes: int = 5 << 30
    ) -> None:
        """``limit_bytes`` bounds the output directories, and the compile cache in its turn."""
        self.directory = directory
        self.artifacts = artifacts
        self.ccache = ccache
        self.limit_bytes = limit_bytes
        self.jobs = jobs or os.cpu_count() or 1
        self._fixer = Fixer(directory / "objects")

    def build(self, repo: Repo, commit: str, spec: Spec, cancel: threading.Event | None = None) -> Built:
        """The kernel of ``commit`` (full hash), from the store if it was built before.

        A revision that does not build gives a ``Built`` with ``error``: that is a fact, kept like a kernel.
        Raises InfrastructureError when the machine is at fault, process.Cancelled when ``cancel`` is set.
        """
        release = base_release(repo, commit)
        version = release.version if release else None
        arch = architecture(spec.arch)
        tools = toolchain.choose(version, spec.toolchain, arch.name)
        with process.builder_lock(self.directory, cancel=cancel):
            source = self._fixer.source(repo, commit, version, spec.fixes, spec.patch)
            made_from = (
                source.tree,
                config.digest(spec.config, spec.base, version, arch.name),
                tools.identity,
                *tools.make,
                *([source.error] if source.error else []),
            )
            key = hashlib.sha256("\0".join(made_from).encode()).hexdigest()[:32]
            known = self.artifacts.get(key)
            if known is None:
                known = _Step(self, source, commit, spec, version, tools, cancel).make_artifact(key, made_from[1])
            return replace(known, fixes=source.applied)


class _Step:
    """One build in one output directory; the builder's lock is held."""

    def __init__(
        self,
        builder: Builder,
        given: Source,
        commit: str,
        spec: Spec,
        version: tuple[int, int, int] | None,
        tools: toolchain.Toolchain,
        cancel: threading.Event | None,
    ) -> None:
        self.builder, self.given, self.commit, self.spec = builder, given, commit, spec
        self.version, self.tools, self.cancel = version, tools, cancel
        self.arch = architecture(spec.arch)
        self.source = builder.directory / "src"

    def make_artifact(self, key: str, config_id: str) -> Built:
        self.config_id = config_id
        like = self.spec.outputs
        family = config.digest(like.config, like.base, self.version, self.arch.name) if like else config_id
        self.out = self.builder.directory / f"out-{self.arch.name}-{self.tools.name}-{family[:12]}"
        if not self.out.exists():
            drop_outputs(self.builder.directory, self.builder.limit_bytes)
        self.out.mkdir(parents=True, exist_ok=True)
        for left in self.builder.directory.glob("new-*"):  # by an owner that was killed: the lock is ours
            shutil.rmtree(left, ignore_errors=True)
        made = Path(tempfile.mkdtemp(prefix="new-", dir=self.builder.directory))
        started = time.monotonic()
        try:
            signed, error = self._build(made)
            seconds = time.monotonic() - started
            built = Built(
                key,
                made,
                signature=signed,
                compiler=recorded_compiler(self.out) or self.tools.identity,
                seconds=round(seconds, 3),
                error=error,
                arch=self.arch.name,
                image=Path(self.arch.image).name,
            )
            return self.builder.artifacts.put(built, made)
        except OSError as problem:
            raise InfrastructureError(f"building {self.commit[:12]}: {problem}") from problem
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def _build(self, made: Path) -> tuple[str, str]:
        self.log = made / "build.log"
        repo, tree = self.given.repo, self.given.tree
        if self.given.error:
            self.log.write_text(f"{self.given.error}\n")
            return "", self.given.error
        try:
            checkout(repo, self.source, tree)
            listing = repo.git("ls-tree", "-r", "-z", "--full-tree", tree)
            decided_by = config.inputs(listing, repo.blob(tree, "Makefile") or "", self.config_id)
            config.write_config(
                self._make, self.out, self.spec.config, self.spec.base, self.version, decided_by, self.arch.name
            )
            self._make(self.arch.target)
            signed = signature(self.out / "vmlinux")
        except BuildError as error:
            return "", error.first_error
        shutil.copy(self.out / self.arch.image, made / Path(self.arch.image).name)
        shutil.copyfile(self.out / "vmlinux", made / "vmlinux")
        shutil.copyfile(self.out / ".config", made / "config")
        (made / "compiled").write_text("\n".join(sorted(compiled_files(self.out, self.source))))
        return signed, ""

    def _make(self, *targets: str, **variables: str) -> None:
        command = [
            "make",
            f"-j{self.builder.jobs}",
            f"O={self.out}",
            f"CC=ccache {self.tools.cc}",
            f"HOSTCC=ccache {self.tools.hostcc or self.tools.cc}",
            *self.tools.make,
            *(f"{k}={v}" for k, v in variables.items()),
            *targets,
        ]
        env = {key: os.environ[key] for key in _KEPT_ENV if key in os.environ}
        env |= REPRODUCIBLE | process.mark(self.builder.directory) | {"CCACHE_DIR": str(self.builder.ccache)}
        env["CCACHE_MAXSIZE"] = f"{self.builder.limit_bytes // 1_000_000}M"
        with self.log.open("ab") as log:
            status = process.run(command, log, env=env, cwd=self.source, cancel=self.cancel)
        if status:
            trees = (str(self.source), os.path.relpath(self.source, self.out))
            line, ours = first_error(self.log, trees, status)
            if ours:
                raise InfrastructureError(f"building {self.commit[:12]}: {line}")
            raise BuildError(line, str(self.log))


def drop_outputs(directory: Path, limit: int) -> None:
    """Remove a builder's output directories, the ones used longest ago first, until ``limit`` bytes hold the rest.

    The caller holds the builder's lock, or knows that no build is under way.
    """
    outputs = sorted(directory.glob("out-*"), key=lambda path: path.stat().st_mtime)
    sizes = [sum(item.lstat().st_size for item in out.rglob("*") if item.is_file()) for out in outputs]
    while outputs and sum(sizes) > limit:
        shutil.rmtree(outputs.pop(0), ignore_errors=True)
        sizes.pop(0)


_SOURCES = (".c", ".h", ".S", ".lds")


def compiled_files(out: Path, source: Path) -> set[str]:
    """Files of the tree that the last build read, from Kbuild's ``.cmd`` files; paths relative to the tree."""
    words: set[str] = set()
    for directory, _, names in os.walk(out):
        for name in names:
            if name.startswith(".") and name.endswith(".o.cmd"):
                words.update(Path(directory, name).read_text(errors="replace").split())
    found: set[str] = set()
    for prefix in (f"{source}/", f"{os.path.relpath(source, out)}/"):
        found |= {os.path.normpath(word[len(prefix) :]) for word in words if word.startswith(prefix)}
    return {name for name in found if name.endswith(_SOURCES)}
