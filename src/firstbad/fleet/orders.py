"""What a fleet's hosts are told to do, and what they answer. Sent between our own processes only, by TLS."""

import hashlib
import pickle
from dataclasses import dataclass, field
from typing import Any, Literal

from firstbad.fleet.shelf import Parcel
from firstbad.kernel.build import Fresh, Spec
from firstbad.payload import Payload
from firstbad.vm.limits import MachineConfig, MachineRun


@dataclass(frozen=True)
class BuildOrder:
    """Build a revision. ``repo``: a path, or ``repository:NAME`` for each host's own clone of it."""

    repo: str
    commit: str
    spec: Spec
    fresh: Fresh = ""
    again: int = 0
    """Told apart from another build of the same, by another host."""

    @property
    def id(self) -> str:
        """Equal orders have equal ids, whichever job gives them."""
        return f"build-{_digest(self)}"


@dataclass(frozen=True)
class RunOrder:
    """Boot a kernel and run a reproducer once. ``name`` tells it from all other runs."""

    parcel: Parcel
    payload: Payload
    machine: MachineConfig
    name: str

    @property
    def id(self) -> str:
        """Of this one run."""
        return f"run-{self.name}"


Order = BuildOrder | RunOrder


@dataclass(frozen=True)
class Answer:
    """What became of an order. ``fault``: the host failed, nothing was learned; ``wrong``: it can't be done anywhere
    (a UserError's text); ``host`` did it."""

    status: Literal["done", "fault", "wrong", "withdrawn"]
    value: Parcel | MachineRun | None = None
    why: str = ""
    host: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


def pack(value: Order | Answer) -> bytes:
    """For the wire."""
    return pickle.dumps(value)


def unpack(data: bytes) -> Any:
    """What `pack` packed; from our own processes only."""
    return pickle.loads(data)  # noqa: S301


def _digest(order: BuildOrder) -> str:
    text = repr((order.repo, order.commit, order.spec, order.fresh, order.again))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
