"""A session's line to the hub: orders out, answers in; kept up while the hub or the network is away."""

import asyncio
import threading
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from distributed import Security, core

from firstbad.errors import InfrastructureError
from firstbad.fleet.orders import Answer, BuildOrder, Order, pack, unpack

_rpc: Any = core.rpc  # dask has no types for it

ALIVE = 5.0  # seconds between signs of life
PAUSE = 1.0  # seconds between tries to reach the hub


class Link:
    """One session's. ``patience``: seconds in which a hub that is away has to come back."""

    def __init__(self, address: str, security: Security | None = None, patience: float = 600.0) -> None:
        self.address, self.patience = address, patience
        self._session = uuid.uuid4().hex
        self._security = security
        self._loop = asyncio.new_event_loop()
        self._closed = threading.Event()
        self._ahead: dict[str, Future[Answer]] = {}
        self._turn = 0  # how often it was said what is likely
        self._thread = threading.Thread(target=self._loop.run_forever, name="fleet", daemon=True)
        self._thread.start()
        self._submit(self._alive())

    def offers(self) -> dict[str, Any]:
        """What hosts offer together: ``offers``, ``slots`` by kind, number of ``hosts``. Raises InfrastructureError."""
        found: dict[str, Any] = self._submit(self._say("offers")).result()
        return found

    def do(self, order: Order, task: dict[str, Any], avoid: Sequence[str] = ()) -> Future[Answer]:
        """Have an order done; ``task``: further fields of `fleet.tasks.Task`. The future raises InfrastructureError."""
        return self._submit(self._do(order, task, list(avoid)))

    def ahead(self, orders: Sequence[tuple[BuildOrder, dict[str, Any]]]) -> list[Future[Answer]]:
        """Say which orders are likely to be given, with further fields of `fleet.tasks.Task`; those that were said
        before, and are not any more, are taken back, and their futures are cancelled."""
        self._turn += 1
        packed = [(pack(order), task) for order, task in orders]
        before, self._ahead = self._ahead, {}
        for order, task in orders:
            known = before.pop(order.id, None)
            if known is None or failed(known):
                known = self._submit(self._do(order, task, [], self._turn))
            self._ahead[order.id] = known
        for future in before.values():
            future.cancel()
        self._submit(self._say("ahead", orders=packed, turn=self._turn))
        return [self._ahead[order.id] for order, _ in orders]

    def accuse(self, host: str, why: str) -> None:
        """Say that a host lies."""
        self._submit(self._say("accuse", host=host, why=why)).result()

    def close(self) -> None:
        """Want nothing any more."""
        if self._closed.is_set():
            return
        self._closed.set()
        goodbye = self._submit(self._once("bye"))
        try:
            goodbye.result(timeout=5)
        except Exception:  # noqa: S110 - the hub notices by itself
            pass
        asyncio.run_coroutine_threadsafe(self._end(), self._loop)
        self._thread.join(timeout=5)

    async def _end(self) -> None:
        for task in asyncio.all_tasks():
            if task is not asyncio.current_task():
                task.cancel()
        await asyncio.sleep(0)
        self._loop.stop()

    def _submit(self, work: Any) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _do(self, order: Order, task: dict[str, Any], avoid: list[str], ahead: int = 0) -> Answer:
        """``ahead``: in which turn it was said to be likely; until that is taken back here, nobody else does."""
        while True:
            reply = await self._say("do", order=pack(order), task=task, avoid=avoid, ahead=ahead)
            answer: Answer = unpack(reply["answer"])
            if not (ahead and answer.status == "withdrawn"):
                return answer
            await asyncio.sleep(PAUSE)

    async def _say(self, word: str, **words: Any) -> Any:
        """Say it until the hub has answered. Saying it twice makes no difference."""
        deadline = time.monotonic() + self.patience
        while True:
            try:
                return await self._once(word, **words)
            except (OSError, TimeoutError) as error:  # dask's own errors of lost lines are OSErrors
                if time.monotonic() > deadline or self._closed.is_set():
                    raise InfrastructureError(f"the fleet's hub at {self.address} does not answer: {error}") from error
                await asyncio.sleep(PAUSE)

    async def _once(self, word: str, **words: Any) -> Any:
        security: Any = self._security
        more = security.get_connection_args("client") if security else {}
        line: Any = _rpc(self.address, connection_args=more)
        try:
            return await line.firstbad(word=word, session=self._session, **words)
        finally:
            await line.close_rpc()

    async def _alive(self) -> None:
        while not self._closed.is_set():
            try:
                await self._once("alive")
            except (OSError, TimeoutError):
                pass
            await asyncio.sleep(ALIVE)


def failed(future: Future[Any]) -> bool:
    """Whether a future came to no good."""
    if not future.done():
        return False
    if future.cancelled() or future.exception() is not None:
        return True
    return isinstance(future.result(), Answer) and future.result().status != "done"
