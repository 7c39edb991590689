"""Tells viewers that something changed: one look at the database for all of them, twice a second.

Nobody waits for anybody: a viewer that is slow, or a thousand of them, cost one query a look.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from starlette.concurrency import run_in_threadpool

from firstbad.errors import FirstbadError
from firstbad.store.watch import Glance

PERIOD = 0.5  # seconds between looks

Look = Callable[[Collection[int]], Mapping[int, Glance]]
"""As :func:`firstbad.store.watch.glances` of one store."""


@dataclass(eq=False)
class _Seat:
    number: int
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class Hub:
    """Who watches what. All but ``look``, which may take its time in a thread, runs on the server's loop."""

    def __init__(self, look: Look, period: float = PERIOD) -> None:
        self._look, self._period = look, period
        self._seats: set[_Seat] = set()
        self._seen: dict[int, Glance] = {}
        self._task: asyncio.Task[None] | None = None
        self.stopping = False

    def stop(self) -> None:
        """The server ends, and so do all viewers' streams."""
        self.stopping = True
        for seat in self._seats:
            seat.changed.set()

    async def watch(self, number: int, patience: float = 15.0) -> AsyncIterator[Glance | None]:
        """Glances at a job whenever they change, the present one first; None after ``patience`` seconds without."""
        seat = _Seat(number)
        self._seats.add(seat)
        if number in self._seen:
            seat.changed.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._go_on())
        try:
            while not self.stopping:
                try:
                    await asyncio.wait_for(seat.changed.wait(), patience)
                except TimeoutError:
                    yield None
                    continue
                seat.changed.clear()
                if number in self._seen and not self.stopping:
                    yield self._seen[number]
        finally:
            self._seats.discard(seat)

    async def _go_on(self) -> None:
        while self._seats and not self.stopping:
            wanted = {seat.number for seat in self._seats}
            found: Mapping[int, Glance] = {}
            with suppress(FirstbadError):  # a database that is away comes back, or the pages say so
                found = await run_in_threadpool(self._look, wanted)
            for seat in self._seats:
                new = found.get(seat.number)
                if new is not None and new != self._seen.get(seat.number):
                    seat.changed.set()
            self._seen = {n: g for n, g in {**self._seen, **found}.items() if n in wanted}
            await asyncio.sleep(self._period)
        self._seen = {}
