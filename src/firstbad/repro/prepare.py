"""From what a person names (a C file, a syz program, a script, a program) to what a machine can run."""

import hashlib
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from firstbad.errors import NotFoundError, UserError
from firstbad.payload import DIRECTORY, File, Payload
from firstbad.repro import elf, shell, syz
from firstbad.repro.compiler import FLAGS, compile_c
from firstbad.repro.options import Options, read_options
from firstbad.repro.syzkaller import build_syzkaller
from firstbad.repro.targets import Target, find_target
from firstbad.scratch import write_whole

Kind = Literal["c", "program", "syz", "shell"]
PROGRAM = "reproducer"
_LARGEST = 64 << 20
_NO_START = b"firstbad-init: can't execute"


@dataclass(frozen=True)
class Settings:
    """What else decides how a reproducer runs.

    ``target``: userspace of the machine; ``cpus`` of the machine; ``syzkaller``: a git clone, which syz programs need,
    and ``syzkaller_commit``; ``busybox``: a static one, where the host's does not do; ``options``: what the
    reproducer's own options are overruled by; ``compiler``: instead of the target's.
    """

    target: Target = field(default_factory=lambda: find_target("", "x86_64"))
    cpus: int = 2
    syzkaller: Path | None = None
    syzkaller_commit: str = ""
    busybox: Path | None = None
    options: tuple[tuple[str, Any], ...] = ()
    compiler: str = ""


@dataclass(frozen=True)
class Reproducer:
    """A reproducer that is ready to run.

    ``source``: what was named; ``digest``: SHA-256 (hex) of the source; ``files``: by their names in the machine,
    where they are kept here; ``command``: what is run there; ``options``: how it says that it wants to be run;
    ``config``: further lines for the kernel's configuration; ``syzkaller``: the commit whose programs run it.
    """

    source: Path
    kind: Kind
    digest: str
    files: tuple[tuple[str, Path], ...]
    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()
    options: Options | None = None
    config: str = ""
    syzkaller: str = ""

    def payload(self) -> Payload:
        """All that a machine is sent, read from the kept files."""
        files = (File(name, path.read_bytes()) for name, path in self.files)
        return Payload(tuple(files), self.command, self.environment)

    def fault(self, exit_status: int | None, output: bytes, seconds: float) -> str:
        """Why a run of ``seconds`` that ended without a crash says nothing of the kernel; empty if it does."""
        if _NO_START in output:
            return "the reproducer could not be started: " + output[output.index(_NO_START) :].decode(errors="replace")
        return syz.fault(exit_status, output, seconds) if self.kind == "syz" else ""


def prepare(source: Path, directory: Path, settings: Settings | None = None) -> Reproducer:
    """Makes ``source`` runnable, by what it is: a ``.c`` file is compiled; a static executable (ELF) is taken as it is;
    a script (``#!/bin/sh``) brings busybox along; a syz program brings syz-execprog and syz-executor of its syzkaller
    revision, which are built if need be.

    What is made is kept in ``directory`` by the hash of all it is made from. Safe to call from several processes at
    a time. Raises NotFoundError when a file or a tool is missing, UserError when ``source`` is none of these or can't
    be made to run (with line and first error).
    """
    settings = settings or Settings()
    data = _read(source)
    text = "" if data.startswith(elf.MAGIC) else data.decode(errors="replace")
    options = _options(text, source, settings)
    directory.mkdir(parents=True, exist_ok=True)
    making = _Making(source, data, hashlib.sha256(data).hexdigest(), directory, settings, options)
    if not text:
        return making.program()
    if source.suffix in (".c", ".cprog"):  # syz-manager's name for one
        return making.c()
    if shell.is_script(data):
        return making.shell()
    if source.suffix == ".syz" or syz.is_program(text):
        return making.syz()
    raise UserError(
        f"{source}: neither C source (.c), a static executable (ELF), a script (#!/bin/sh) nor a syz program"
    )


@dataclass(frozen=True)
class _Making:
    source: Path
    data: bytes
    digest: str
    directory: Path
    settings: Settings
    options: Options | None

    def program(self) -> Reproducer:
        elf.check_program(self.data, str(self.source), self.settings.target)
        return self._one_file("program", self._keep(self.digest, self.data))

    def c(self) -> Reproducer:
        target = self.settings.target
        compiler = self.settings.compiler or target.compiler()
        made_from = [self.digest, compiler, *target.flags, *FLAGS]
        key = hashlib.sha256("\0".join(made_from).encode()).hexdigest()
        kept = self._path(key)
        if not kept.exists():
            self._keep(key, compile_c(self.data, str(self.source), target, compiler))
        return self._one_file("c", kept)

    def shell(self) -> Reproducer:
        busybox = shell.find_busybox(self.settings.busybox, self.settings.target)
        command = shell.command(self.data, str(self.source))
        files = ((shell.BUSYBOX, busybox), (shell.NAME, self._keep(self.digest, self.data)))
        return Reproducer(self.source, "shell", self.digest, files, command)

    def syz(self) -> Reproducer:
        if self.settings.syzkaller is None:
            raise UserError(
                f"{self.source}: a syz program needs a git clone of syzkaller; name it in the job file "
                "(reproducer.syzkaller), by --syzkaller or in $FIRSTBAD_SYZKALLER"
            )
        revision = self.settings.syzkaller_commit or "HEAD"
        built = build_syzkaller(self.settings.syzkaller, revision, self.settings.target, self.directory)
        options = self.options or Options()
        config = resources.files("firstbad.repro").joinpath("syzkaller.config").read_text()
        return Reproducer(
            self.source,
            "syz",
            self.digest,
            syz.files(self._keep(self.digest, self.data), built),
            syz.command(options, built, self.settings.target, self.settings.cpus),
            options=options,
            config=config + self.settings.target.kernel_config(),
            syzkaller=built.commit,
        )

    def _one_file(self, kind: Kind, kept: Path) -> Reproducer:
        files, command = ((PROGRAM, kept),), (f"{DIRECTORY}/{PROGRAM}",)
        config = self.settings.target.kernel_config()
        return Reproducer(self.source, kind, self.digest, files, command, options=self.options, config=config)

    def _path(self, key: str) -> Path:
        return self.directory / f"reproducer-{key[:32]}"

    def _keep(self, key: str, data: bytes) -> Path:
        kept = self._path(key)
        if not kept.exists():
            write_whole(kept, data, 0o755)
        return kept


def _options(text: str, source: Path, settings: Settings) -> Options | None:
    """The reproducer's own options with the job's over them; None where neither says anything."""
    own = read_options(text, str(source))
    if not settings.options:
        return own
    try:
        return Options.model_validate({**(own or Options()).model_dump(), **dict(settings.options)})
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"reproducer.{first['loc'][0]}: {first['msg']}") from None


def _read(source: Path) -> bytes:
    try:
        if not source.is_file():
            raise NotFoundError(f"{source}: no such reproducer")
        if source.stat().st_size > _LARGEST:
            raise UserError(f"{source}: larger than {_LARGEST >> 20} MiB, which no reproducer is")
        return source.read_bytes()
    except OSError as error:
        raise UserError(f"{source}: can't be read: {error.strerror}") from error
