"""What a machine is given to run: files, a command, its environment. Made by ``repro``, sent by ``vm``."""

from dataclasses import dataclass

DIRECTORY = "/tmp"  # noqa: S108 - the guest's, where nobody else is
"""Where the command starts, and where files with a relative name are put."""


@dataclass(frozen=True)
class File:
    """One file in the machine: ``name`` relative to ``DIRECTORY`` or absolute, contents, permission bits."""

    name: str
    data: bytes
    mode: int = 0o755

    @property
    def path(self) -> str:
        """Its absolute path in the machine."""
        return self.name if self.name.startswith("/") else f"{DIRECTORY}/{self.name}"


@dataclass(frozen=True)
class Payload:
    """Files that are written, then a command that is run; ``command[0]`` is an absolute path.

    ``environment`` is added to PATH, HOME and TERM, which our init sets.
    """

    files: tuple[File, ...]
    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()
