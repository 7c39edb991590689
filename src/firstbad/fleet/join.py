"""A host joins a fleet, and joins again whenever the hub or the network was away."""

import asyncio
import logging
import tempfile
from pathlib import Path
from typing import Any

from distributed import Security, Worker

from firstbad.fleet import remote, settings
from firstbad.fleet.host import Crew, offers
from firstbad.home import Home

PAUSE = 2.0  # seconds between tries

_log = logging.getLogger(__name__)


async def join(
    address: str,
    crew: Crew,
    home: Home,
    name: str,
    slots: dict[str, int],
    stopping: asyncio.Event,
    security: Security | None = None,
) -> None:
    """Work for the hub at ``address`` until ``stopping`` is set. What is under way when it gets lost is ended."""
    remote.settle(crew, {"name": name, "slots": slots, "offers": sorted(offers(home))})
    settings.use()
    while not stopping.is_set():
        try:
            await _work(address, sum(slots.values()), stopping, security)
        except (OSError, TimeoutError, RuntimeError, ValueError) as error:
            _log.info("no hub at %s: %s", address, error)
        crew.withdraw_all()
        await _pause(stopping)


async def _work(address: str, threads: int, stopping: asyncio.Event, security: Security | None) -> None:
    with tempfile.TemporaryDirectory(prefix="firstbad-host-") as scratch:
        worker = Worker(
            address,
            nthreads=threads,
            security=security,
            local_directory=str(Path(scratch)),
            memory_limit=0,
            death_timeout=20,
            dashboard_address="127.0.0.1:0",
        )
        try:
            await worker
            _log.info("joined %s", address)
            ends = [asyncio.ensure_future(_finished(worker)), asyncio.ensure_future(stopping.wait())]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                end.cancel()
        finally:
            await worker.close(timeout=5, executor_wait=False)


async def _pause(stopping: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(stopping.wait(), PAUSE)
    except TimeoutError:
        pass


async def _finished(worker: Any) -> None:
    await worker.finished()
