"""What live pages are sent: made once for all who look at a job, when something changed."""

import asyncio
from collections.abc import Callable

from firstbad.store.watch import Glance

_MOST = 64  # jobs whose last one is kept


def message(name: str, data: str) -> bytes:
    """One server-sent event."""
    lines = "".join(f"data: {line}\n" for line in data.split("\n"))
    return f"event: {name}\n{lines}\n".encode("utf-8", "replace")


class Bodies:
    """Belongs to the server's loop; ``make`` runs in a thread."""

    def __init__(self, make: Callable[[int], str]) -> None:
        self._make = make
        self._made: dict[int, tuple[tuple[int, str], asyncio.Task[bytes]]] = {}

    async def of(self, number: int, glance: Glance) -> bytes:
        """What a job's page shows as of a glance, as an event ``body``."""
        key = (glance.seq, glance.standing)
        known = self._made.get(number)
        if known is None or known[0] != key:
            known = key, asyncio.create_task(self._message(number))
            self._made[number] = known
            while len(self._made) > _MOST:
                del self._made[next(iter(self._made))]
        return await asyncio.shield(known[1])

    async def _message(self, number: int) -> bytes:
        return message("body", await asyncio.to_thread(self._make, number))
