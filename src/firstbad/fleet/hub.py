"""The middle of a fleet: a dask scheduler, and beside it the schedule that decides who does what.

dask.distributed carries the tasks: it knows which hosts are there, takes tasks to them and brings back what came of
them. Which host does what is decided by `fleet.schedule`, and each task is given to dask for that one host. Nothing is
kept here: sessions give their orders again when a hub was lost, and what they know is in the database.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from distributed import Client, Scheduler, Security
from distributed.diagnostics.plugin import SchedulerPlugin

from firstbad.fleet import remote, settings
from firstbad.fleet.orders import Answer, BuildOrder, Order, pack, unpack
from firstbad.fleet.schedule import Schedule
from firstbad.fleet.tasks import Assignment, Host, Task

LOOK = 5.0  # seconds between looks for what is late and for sessions that are gone
SILENCE = 30.0  # seconds without a word after which a session is gone

_log = logging.getLogger(__name__)


@dataclass
class Wanted:
    """An order that waits or is under way, and who wants it."""

    order: Order
    task: Task
    since: float
    answer: asyncio.Future[Answer]
    sessions: set[str] = field(default_factory=set)
    ahead: set[str] = field(default_factory=set)
    """Sessions that are likely to want it."""


class _Ears(SchedulerPlugin):
    """Hears from dask who joins and who is gone."""

    name = "firstbad"

    def __init__(self, hub: "Hub") -> None:
        self.hub = hub

    def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        self.hub.joined(worker)

    def remove_worker(self, scheduler: Scheduler, worker: str, **_: Any) -> None:
        self.hub.gone(worker)


class Hub:
    """Hosts and sessions of one fleet."""

    def __init__(self, address: str, security: Security | None = None) -> None:
        """``address``: where to listen, as ``tcp://127.0.0.1:8786`` or ``tls://…``."""
        self.schedule = Schedule()
        self.wanted: dict[str, Wanted] = {}
        self.heard: dict[str, float] = {}
        self.turns: dict[str, int] = {}  # by session
        self.addresses: dict[str, str] = {}
        self._gone: dict[str, asyncio.Event] = {}
        self._tries = 0
        self._address, self._security = address, security
        self._tasks: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Listen. Raises OSError where that is not possible."""
        settings.use()
        protocol, _, rest = self._address.partition("://")
        host, _, port = rest.rpartition(":")
        self.scheduler = Scheduler(
            protocol=protocol,
            host=host,
            port=int(port),
            security=self._security,
            idle_timeout=None,
            dashboard_address="127.0.0.1:0",
        )
        self.scheduler.handlers["firstbad"] = self.handle
        await self.scheduler
        self.scheduler.add_plugin(_Ears(self))
        self.client: Any = Client(self.scheduler.address, asynchronous=True, security=self._security)  # type: ignore[no-untyped-call]
        await self.client
        self._spawn(self._look())

    async def close(self) -> None:
        """End; hosts notice and look for another hub."""
        for task in list(self._tasks):
            task.cancel()
        await self.client.close()
        await self.scheduler.close()

    # What sessions say. Arguments and answers are of msgpack's kinds and bytes.

    async def handle(self, comm: Any = None, word: str = "", **words: Any) -> Any:
        """One word of a session: ``do`` an order and wait for it; ``ahead``: the orders that it is likely to give;
        ``alive``; ``bye``; ``accuse`` a host; ``offers`` of all hosts."""
        self.heard[words["session"]] = time.monotonic()
        handlers: dict[str, Callable[..., Awaitable[Any]]] = {
            "do": self._do,
            "ahead": self._ahead,
            "bye": self._bye,
            "accuse": self._accuse,
        }
        handler = handlers.get(word)
        if handler is not None:
            return await handler(**words)
        members = [member for member in self.schedule.members.values() if not member.out]
        offers = sorted({offer for member in members for offer in member.host.offers})
        slots = {kind: sum(member.host.slots.get(kind, 0) for member in members) for kind in ("build", "machine")}
        return {"offers": offers, "slots": slots, "hosts": len(members)}

    async def _do(
        self, session: str, order: bytes, task: dict[str, Any], avoid: list[str], ahead: int = 0
    ) -> dict[str, Any]:
        """``ahead``: the turn in which a session named it among what is likely, and that may be taken back; 0: it was
        not."""
        self.turns[session] = max(ahead, self.turns.get(session, 0))
        wanted = self._ask(unpack(order), task, avoid)
        (wanted.ahead if ahead else wanted.sessions).add(session)
        self._turn()
        answer = await asyncio.shield(wanted.answer)
        return {"answer": pack(answer)}

    async def _ahead(self, session: str, orders: list[tuple[bytes, dict[str, Any]]], turn: int) -> bool:
        """Orders that a session is likely to want, and waits for by words of their own; of those that it named before,
        the others are no longer wanted. ``turn``: how often it said this; words may overtake each other."""
        if turn < self.turns.get(session, 0):
            return True
        self.turns[session] = turn
        named = set()
        for packed, task in orders:
            order = unpack(packed)
            named.add(order.id)
            if order.id in self.wanted:
                self._ask(order, task, [])
        for wanted in list(self.wanted.values()):
            if session in wanted.ahead and wanted.order.id not in named:
                wanted.ahead.discard(session)
                self._drop(wanted)
        self._turn()
        return True

    async def _bye(self, session: str) -> bool:
        self.heard.pop(session, None)
        self.turns.pop(session, None)
        for wanted in list(self.wanted.values()):
            wanted.sessions.discard(session)
            wanted.ahead.discard(session)
            self._drop(wanted)
        self._turn()
        return True

    async def _accuse(self, session: str, host: str, why: str) -> bool:
        """A session found out that a host lies: it gets nothing more."""
        _log.warning("host %s is left out: %s", host, why)
        self.schedule.leave_out(host, why)
        self._turn()
        return True

    def _ask(self, order: Order, task: dict[str, Any], avoid: list[str]) -> Wanted:
        facts = {**task, "needs": frozenset(task["needs"])}
        made = Task(order.id, "build" if isinstance(order, BuildOrder) else "machine", **facts)
        wanted = self.wanted.get(order.id)
        if wanted is None:
            future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            wanted = self.wanted[order.id] = Wanted(order, made, time.monotonic(), future)
        if made.urgency > wanted.task.urgency:
            wanted.task = made
        # Another host is better, but none is no reason not to do it.
        others = any(self._can(name, made) for name in self.schedule.members if name not in avoid)
        self.schedule.add(made, avoid if others else ())
        return wanted

    def _drop(self, wanted: Wanted) -> None:
        """Nobody may want an order any more."""
        if not wanted.sessions and not wanted.ahead:
            self._end(wanted, Answer("withdrawn"))

    def _end(self, wanted: Wanted, answer: Answer) -> None:
        self.wanted.pop(wanted.order.id, None)
        for host in self.schedule.withdraw(wanted.order.id):
            self._tell(host, wanted.order.id)
        if not wanted.answer.done():
            wanted.answer.set_result(answer)

    def _tell(self, host: str, order: str) -> None:
        """Have a host give an order up."""
        if host in self.addresses:
            self._spawn(self.client.run(remote.withdraw, order, workers=[self.addresses[host]], on_error="ignore"))

    # What hosts do.

    def joined(self, address: str) -> None:
        """A host is there: it is asked what it is."""
        self._spawn(self._join(address))

    async def _join(self, address: str) -> None:
        try:
            (found,) = (await self.client.run(remote.introduce, workers=[address])).values()
        except Exception as error:  # a host that is gone again, or no host of ours
            _log.warning("%s does not say what it is: %s", address, error)
            return
        name = f"{found['name']}@{address.rpartition('/')[2]}"
        self.addresses[name], self._gone[name] = address, asyncio.Event()
        self.schedule.join(Host(name, found["slots"], frozenset(found["offers"])))
        _log.info("host %s joined: %s", name, found["slots"])
        self._turn()

    def gone(self, worker: str) -> None:
        """A host is gone: others do what it did."""
        for name in [name for name, address in self.addresses.items() if address == worker]:
            del self.addresses[name]
            self._gone.pop(name).set()
            fallen = self.schedule.leave(name)
            _log.info("host %s is gone; %d orders wait again", name, len(fallen))
        self._turn()

    def _turn(self) -> None:
        for one in self.schedule.assign(time.monotonic()):
            self._spawn(self._perform(one))

    async def _perform(self, one: Assignment) -> None:
        """Have a host do an order, and take in what came of it."""
        wanted, address = self.wanted.get(one.task.id), self.addresses.get(one.host)
        if wanted is None or address is None:
            self.schedule.failed(one.task.id, one.host)
            return
        self._tries += 1
        future = self.client.submit(
            remote.do,
            pack(wanted.order),
            key=f"{one.task.id}-{self._tries}",
            workers=[address],
            allow_other_workers=False,
            pure=False,
            retries=0,
        )
        try:
            answer: Answer = unpack(await _first(future, self._gone[one.host]))
        except Exception as error:  # dask tells a lost host by several of its own
            answer = Answer("fault", why=f"{one.host}: {error}")
        finally:
            future.release()
        self._took(one, wanted, answer)

    def _took(self, one: Assignment, wanted: Wanted, answer: Answer) -> None:
        if one.host not in self.schedule.running(one.task.id):
            return  # the host was left out, or is gone, or another one was first
        if answer.status in ("done", "wrong"):
            for host in self.schedule.done(one.task.id, one.host, time.monotonic()):
                self._tell(host, one.task.id)
            self._end(wanted, Answer(answer.status, answer.value, answer.why, one.host, answer.facts))
        elif not self.schedule.failed(one.task.id, one.host):
            self._end(wanted, Answer("fault", why=answer.why))
        self._turn()

    async def _look(self) -> None:
        """Now and then: who is late, which session is gone, what can't be done by anybody."""
        while True:
            await asyncio.sleep(LOOK)
            now = time.monotonic()
            self.schedule.late(now)
            for session in [one for one, heard in self.heard.items() if now - heard > SILENCE]:
                await self._bye(session)
            for wanted in list(self.wanted.values()):
                if now - wanted.since > settings.HOPE and not self._able(wanted.task):
                    lacks = ", ".join(sorted(wanted.task.needs)) or "a slot"
                    self._end(wanted, Answer("wrong", why=f"no host of the fleet has what this needs: {lacks}"))
            self._turn()

    def _able(self, task: Task) -> bool:
        return any(self._can(name, task) for name in self.schedule.members)

    def _can(self, name: str, task: Task) -> bool:
        member = self.schedule.members[name]
        return not member.out and task.needs <= member.host.offers and member.host.slots.get(task.kind, 0) > 0

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _first(future: Any, gone: asyncio.Event) -> bytes:
    """What a host answers, unless it is gone before. Raises ConnectionError then."""
    waits = [asyncio.ensure_future(_result(future)), asyncio.ensure_future(gone.wait())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        if waits[0].done():
            return bytes(waits[0].result())
        raise ConnectionError("it is gone")
    finally:
        for one in waits:
            one.cancel()


async def _result(future: Any) -> Any:
    return await future
