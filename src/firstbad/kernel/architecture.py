"""What a kernel is built for: reads ``architectures.toml``."""

import platform
from dataclasses import dataclass

from firstbad.errors import UserError
from firstbad.kernel import data

DEFAULT = "x86_64"


@dataclass(frozen=True)
class Architecture:
    """One table of ``architectures.toml``, where the fields are explained."""

    name: str
    make: str
    target: str
    image: str
    cross: str
    debian: str
    machine: str
    also: tuple[str, ...] = ()

    @property
    def srcarch(self) -> str:
        """Its directory of the tree's ``arch/``."""
        return {"x86_64": "x86", "i386": "x86"}.get(self.make, self.make)

    @property
    def is_native(self) -> bool:
        """Whether this host's own compilers build it."""
        return self.machine == platform.machine()


def architecture(name: str) -> Architecture:
    """An architecture by one of its names. Raises UserError that names those that exist."""
    tables = data.load("architectures.toml")
    for own, table in tables.items():
        if name == own or name in table.get("also", ()):
            fields = {"machine": own, **table, "also": tuple(table.get("also", ()))}
            return Architecture(name=own, **fields)
    raise UserError(f"unknown architecture {name!r}; known: {', '.join(tables)}")
