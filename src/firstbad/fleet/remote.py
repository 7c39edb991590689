"""What runs in a host's process at the hub's word: functions that dask finds by name."""

from typing import Any, ClassVar

from firstbad.fleet.host import Crew
from firstbad.fleet.orders import pack, unpack


class _Here:
    """This process's crew, and how it introduces itself; none in a process that is no host."""

    crew: Crew | None = None
    words: ClassVar[dict[str, Any]] = {}


def settle(crew: Crew, words: dict[str, Any]) -> None:
    """This process is a host. ``words``: name, slots, offers."""
    _Here.crew, _Here.words = crew, words


def introduce() -> dict[str, Any]:
    """What this host is."""
    return _Here.words


def do(order: bytes) -> bytes:
    """Do an order."""
    if _Here.crew is None:
        raise RuntimeError("this process is no host of a fleet")
    return pack(_Here.crew.do(unpack(order)))


def withdraw(order: str) -> None:
    """Give an order up."""
    if _Here.crew is not None:
        _Here.crew.withdraw(order)
