"""Builds one revision: check out, configure, make, sign, keep."""

import hashlib
import os
import shutil
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from firstbad.errors import BuildError, InfrastructureError
from firstbad.history.git import Repo
from firstbad.history.releases import base_release
from firstbad.history.worktree import checkout
from firstbad.kernel import compiled, config, places, process, reproducible, toolchain
from firstbad.kernel.architecture import DEFAULT, architecture
from firstbad.kernel.artifacts import Artifacts, Built
from firstbad.kernel.buildlog import cause_of, recorded_compiler
from firstbad.kernel.fixes import Fix, Fixer, Source
from firstbad.kernel.signature import signature

_KEPT_ENV = ("PATH", "HOME", "LANG", "USER")

Fresh = Literal["", "clean", "full"]
"""How much of earlier builds a build may use: "" everything; "clean" an object only if it was compiled of the same
preprocessed text; "full" nothing, every file is compiled."""


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
    toolchain_dirs: tuple[Path, ...] = ()
    """Directories with compilers beside those on PATH."""


class Builder:
    """One builder: a few places (work tree and output directory), and the shared caches."""

    def __init__(
        self,
        directory: Path,
        artifacts: Artifacts,
        ccache: Path,
        jobs: int = 0,
        limit_bytes: int = 5 << 30,
        cache_bytes: int = 0,
    ) -> None:
        """``limit_bytes`` bounds the places, ``cache_bytes`` (0: the same) the compile cache."""
        self.directory = directory
        self.artifacts = artifacts
        self.ccache = ccache
        self.limit_bytes = limit_bytes
        self.cache_bytes = cache_bytes or limit_bytes
        self.jobs = jobs or os.cpu_count() or 1
        self._fixer = Fixer(directory / "objects")

    def build(
        self, repo: Repo, commit: str, spec: Spec, cancel: threading.Event | None = None, fresh: Fresh = ""
    ) -> Built:
        """The kernel of ``commit`` (full hash), from the store if it was built before.

        A revision that does not build gives a ``Built`` with ``error``: that is a fact, kept like a kernel.
        With ``fresh`` in a work tree and an output directory of its own; where its signature is another than that of
        the kernel in the store, the fresh one replaces it and what was built on is thrown away.
        Raises InfrastructureError when the machine is at fault, process.GivenUp when ``cancel`` is set.
        """
        release = base_release(repo, commit)
        version = release.version if release else None
        arch = architecture(spec.arch)
        tools = toolchain.choose(version, spec.toolchain, arch.name, spec.toolchain_dirs)
        spec = _adapted(spec, version)
        with process.builder_lock(self.directory, cancel=cancel):
            source = self._fixer.source(repo, commit, version, spec.fixes, spec.patch)
            made_from = (config.digest(spec.config, spec.base, version, arch.name), tools.identity, *tools.make)
            key = hashlib.sha256("\0".join((_RECIPE, source.tree, *made_from, source.error)).encode()).hexdigest()[:32]
            try:
                # Another builder may be at the same kernel: it is waited for, and its kernel is ours.
                with self.artifacts.lock(f"{key}-{fresh}" if fresh else key, cancel):
                    known = self.artifacts.get(f"{key}-{fresh}" if fresh else key)
                    if known is None:
                        step = _Step(self, source, commit, spec, version, tools, made_from, cancel)
                        known = step.build_fresh(key, fresh) if fresh else step.build_near(key)
                    if fresh:
                        with self.artifacts.lock(key, cancel):
                            self._compare(key, known)
            except OSError as problem:
                raise InfrastructureError(f"building {commit[:12]}: {problem}") from problem
            return replace(known, fixes=source.applied)

    def _compare(self, key: str, fresh: Built) -> None:
        """What a fresh build says holds: a kernel in the store that differs from it is replaced."""
        known = self.artifacts.get(key)
        if known is None or known.signature != fresh.signature:
            for place in places.places(self.directory) if known else []:
                place.wipe()
            self.artifacts.copy(fresh, key)
        (fresh.directory / "vmlinux").unlink(missing_ok=True)  # the other one is kept


def _adapted(spec: Spec, version: tuple[int, int, int] | None) -> Spec:
    """With configurations as the release can take them."""
    like = spec.outputs
    if like is not None:
        like = replace(like, config=config.adapt(like.config, version))
    return replace(spec, config=config.adapt(spec.config, version), outputs=like)


_RECIPE = "1"
"""Part of every build's identity: another one when kernels are built in another way."""


class _Step:
    """One build; the builder's lock is held."""

    def __init__(
        self,
        builder: Builder,
        given: Source,
        commit: str,
        spec: Spec,
        version: tuple[int, int, int] | None,
        tools: toolchain.Toolchain,
        made_from: tuple[str, ...],
        cancel: threading.Event | None,
    ) -> None:
        self.builder, self.given, self.commit, self.spec = builder, given, commit, spec
        self.version, self.tools, self.made_from, self.cancel = version, tools, made_from, cancel
        self.arch = architecture(spec.arch)
        self.fresh: Fresh = ""
        self.maps = reproducible.maps_prefixes(tools.cc)
        self.more: tuple[str, ...] = ()
        self.readers: tuple[int, Counter[str]] = (0, Counter())

    def build_near(self, key: str) -> Built:
        """Build on what is nearest."""
        if self.given.error:
            return self._build_artifact(key)
        limit = self.builder.limit_bytes
        like = self._alike()
        self.place = places.choose(self.builder.directory, like, self._changed_since, limit)
        if not self.place.directory.exists():
            places.drop(self.builder.directory, limit)
        empty = self.place.begin(like)
        built = self._build_artifact(key, errors=empty)
        if built.error and not empty:
            # It may be what is left of another revision that doesn't fit.
            self.place.wipe()
            self.place.begin(like)
            built = self._build_artifact(key)
        objects, counts = self.readers
        self.place.end(places.Note(like, self.given.tree, objects, dict(counts)))
        return built

    def _alike(self) -> tuple[str, ...]:
        """What builds of one output directory have in common."""
        like = self.spec.outputs
        if like is None:
            return self.made_from
        return (config.digest(like.config, like.base, self.version, self.arch.name), *self.made_from[1:])

    def build_fresh(self, key: str, fresh: Fresh) -> Built:
        """Build in a place of its own, which is removed."""
        self.fresh = fresh
        places.drop_fresh(self.builder.directory)
        directory = Path(tempfile.mkdtemp(prefix="clean-", dir=self.builder.directory))
        try:
            self.place = places.Place(directory)
            self.place.begin(self.made_from)
            return self._build_artifact(f"{key}-{fresh}")
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def _changed_since(self, tree: str) -> set[str] | None:
        repo, now = self.given.repo, self.given.tree
        try:
            done = repo.run("diff-tree", "-r", "-z", "--name-only", "--end-of-options", tree, now, check=False)
        except InfrastructureError:
            # What was built there last may be a patched tree of another repository: the tree itself is among the
            # builder's objects, what the patch left alone is not, and to git that is a broken repository.
            return None
        return None if done.returncode else set(done.stdout.decode("utf-8", "replace").split("\0"))

    def _build_artifact(self, key: str, errors: bool = True) -> Built:
        """Build and keep what came of it; an error only if ``errors``."""
        for left in self.builder.directory.glob("new-*"):  # by an owner that was killed: the lock is ours
            shutil.rmtree(left, ignore_errors=True)
        # What compilers write besides; here it is found again if they are killed.
        self.scratch = self.builder.directory / "tmp"
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir()
        made = Path(tempfile.mkdtemp(prefix="new-", dir=self.builder.directory))
        started = time.monotonic()
        try:
            signed, error = self._build(made)
            built = Built(
                key,
                made,
                signature=signed,
                compiler=self._compiler(),
                seconds=round(time.monotonic() - started, 3),
                error=error,
                arch=self.arch.name,
                image=Path(self.arch.image).name,
            )
            return self.builder.artifacts.put(built, made) if errors or not error else built
        finally:
            shutil.rmtree(made, ignore_errors=True)
            shutil.rmtree(self.scratch, ignore_errors=True)

    def _compiler(self) -> str:
        recorded = "" if self.given.error else recorded_compiler(self.place.out)
        return recorded or self.tools.identity

    def _build(self, made: Path) -> tuple[str, str]:
        self.log = made / "build.log"
        if self.given.error:
            self.log.write_text(f"{self.given.error}\n")
            return "", self.given.error
        repo, tree = self.given.repo, self.given.tree
        out, source = self.place.out, self.place.source
        try:
            checkout(repo, source, tree)
            listing = repo.git("ls-tree", "-r", "-z", "--full-tree", tree)
            decided_by = config.inputs(listing, repo.blob(tree, "Makefile") or "", self.made_from[0])
            config.write_config(
                self._make, out, self.spec.config, self.spec.base, self.version, decided_by, self.arch.name
            )
            self.more = reproducible.fix_chance(out)
            self._make(self.arch.target)
            signed = signature(out / "vmlinux")
        except BuildError as error:
            return "", error.first_error
        finally:
            self.readers = compiled.readers(out, source)
        shutil.copy(out / self.arch.image, made / Path(self.arch.image).name)
        shutil.copyfile(out / "vmlinux", made / "vmlinux")
        shutil.copyfile(out / ".config", made / "config")
        (made / "compiled").write_text("\n".join(sorted(self.readers[1])))
        return signed, ""

    def _make(self, *targets: str, **variables: str) -> None:
        flags = reproducible.flags(self.place.source, self.place.out) if self.maps else ""
        command = [
            "make",
            f"-j{self.builder.jobs}",
            f"O={self.place.out}",
            f"CC=ccache {self.tools.cc}",
            f"HOSTCC=ccache {self.tools.hostcc or self.tools.cc}",
            *self.tools.make,
            *reproducible.ARGUMENTS,
            *([f"KCFLAGS={flags}", f"KAFLAGS={flags}"] if flags else []),
            *self.more,
            *(f"{k}={v}" for k, v in variables.items()),
            *targets,
        ]
        env = {key: os.environ[key] for key in _KEPT_ENV if key in os.environ}
        env["TMPDIR"] = str(self.scratch)
        env |= reproducible.ENVIRONMENT | process.mark(self.builder.directory)
        trees = (str(self.place.source), os.path.relpath(self.place.source, self.place.out))
        # ccache keeps what a compiler says in a file of its own until that has ended: on a full disk it says nothing.
        # What fails without a word is asked again.
        for cache in (self._cache(), {"CCACHE_DISABLE": "1"}):
            with self.log.open("ab") as log:
                status = process.run(command, log, env=env | cache, cwd=self.place.source, cancel=self.cancel)
            if not status:
                return
            cause = cause_of(self.log, trees, status)
            line = cause.reason.split("\n", 1)[0]
            if cause.infrastructure:
                raise InfrastructureError(f"building {self.commit[:12]}: {line}")
            if cause.explained:
                break
        raise BuildError(line, str(self.log))

    def _cache(self) -> dict[str, str]:
        """ccache's settings, and none of the user's own.

        By default it looks up what a compilation read last time. A new header that is found earlier on the include
        path goes unnoticed by that (ccache's manual says so) as by make: a clean build always runs the preprocessor.
        """
        if self.fresh == "full":
            return {"CCACHE_DISABLE": "1"}
        env = {"CCACHE_CONFIGPATH": "/dev/null", "CCACHE_DIR": str(self.builder.ccache)}
        env["CCACHE_MAXSIZE"] = f"{self.builder.cache_bytes // 1_000_000}M"
        if self.maps:
            env["CCACHE_BASEDIR"] = str(self.place.directory)
        return env | ({"CCACHE_NODIRECT": "1"} if self.fresh else {})
