"""Which host does what next: a pure core without clock, network or disk; the real fleet and the simulated one use it.

- What somebody waits for goes before what is only likely to be asked for.
- Among the former the project goes first that got the least, in seconds of slots (start-time fair queueing, Goyal, Vin
  and Cheng, 1996: a project that asked for nothing has no credit from that time).
- A task goes to a host that did one like it, else to one that offers little more than it needs.
- A task that takes several times as long as those like it is begun again elsewhere where a slot is free; who is done
  first counts.
- A host that fails again and again, or is slow at everything, or was found out, gets nothing more.
"""

import heapq
from collections.abc import Collection
from dataclasses import replace
from itertools import count

from firstbad.fleet.tasks import Assignment, Host, Member, Task, Times

LATE = 3.0  # times the usual: a task that takes longer is begun again elsewhere
LEAST_LATE = 30.0  # seconds before which no task is late
SLOW = 3.0  # times the usual, for half of its last tasks: a host is too slow
FAILURES = 3  # in a row
WARM = 16  # kinds of likeness that a host is remembered for
LIKENESSES = 4096  # whose usual times are remembered
TRIES = 5  # hosts that may fail over a task; it is what they fail over, then

_Class = tuple[str, frozenset[str], frozenset[str], bool]
"""Kind of slot, what a host must offer, hosts that must not do it, whether somebody waits: one task of a class can be
placed when any can."""


class Schedule:
    """Hosts, tasks that wait and tasks that run. Times are seconds of any clock that never goes back."""

    def __init__(self) -> None:
        self.members: dict[str, Member] = {}
        self.tasks: dict[str, Task] = {}
        """All that wait or run."""
        self.used: dict[str, float] = {}
        """Seconds of slots by project, as fair queueing counts them."""
        self._order = count()
        self._waiting: dict[_Class, dict[str, list[tuple[float, int, str]]]] = {}
        self._queued: dict[str, int] = {}  # ids that wait, and under which number in their heap
        self._at: dict[str, set[str]] = {}  # ids that run, and where
        self._avoid: dict[str, set[str]] = {}  # hosts that failed over a task or are late with it
        self._again: set[str] = set()  # ids that wait for a second host
        self._free: dict[tuple[str, frozenset[str]], dict[str, None]] = {}  # hosts with free slots by what they offer
        self._times: dict[tuple[str, str], Times] = {}
        self._likes: dict[str, dict[str, None]] = {}  # hosts that are warm for it
        self._kinds: dict[tuple[str, str], str] = {}  # of the slot that a host gives to a task
        self._charged: dict[tuple[str, str], float] = {}  # seconds that a project was charged for a task that runs
        self._virtual = 0.0  # what was used by who got least, when the last task began

    # Hosts.

    def join(self, host: Host) -> None:
        """A host offers its slots. One of that name that was there before is gone."""
        self.leave(host.name)
        self.members[host.name] = Member(host, dict(host.slots))
        for kind in host.slots:
            self._note_free(self.members[host.name], kind)

    def leave(self, name: str) -> list[str]:
        """A host is gone: what it did waits again. Returns the ids of that."""
        member = self.members.get(name)
        if member is None:
            return []
        fallen = self.leave_out(name, "it is gone")
        for like in member.warm:
            self._cool(like, name)
        del self.members[name]
        return fallen

    def leave_out(self, name: str, why: str) -> list[str]:
        """A host gets nothing more, and what it does counts for nothing. Returns the ids of what waits again."""
        member = self.members.get(name)
        if member is None or member.out:
            return []
        member.out = why
        for kind in member.host.slots:
            self._free.get((kind, member.host.offers), {}).pop(name, None)
        return [task for task in list(member.running) if self._fell(task, name)]

    # Tasks.

    def add(self, task: Task, avoid: Collection[str] = ()) -> None:
        """A task is asked for; one that is known becomes as urgent as this. ``avoid``: hosts that must not do it."""
        known = self.tasks.get(task.id)
        if known is not None:
            if known.urgency >= task.urgency:
                return
            task = replace(task, project=known.project) if known.urgency >= 1.0 else task
        self.tasks[task.id] = task
        if avoid and known is None:
            self._avoid[task.id] = set(avoid)
        if task.id not in self._at:
            self._queue(task)

    def withdraw(self, task: str) -> list[str]:
        """Nobody wants a task any more. Returns the hosts that are at it, to be told."""
        if self.tasks.pop(task, None) is None:
            return []
        self._queued.pop(task, None)
        self._again.discard(task)
        self._avoid.pop(task, None)
        hosts = sorted(self._at.pop(task, ()))
        for name in hosts:
            self._end(name, task)
        return hosts

    def done(self, task: str, name: str, now: float) -> list[str]:
        """A host has done a task. Returns the other hosts that are at it, to be told that nobody waits for them."""
        member, known = self.members.get(name), self.tasks.get(task)
        if member is None or known is None or task not in member.running:
            return []
        seconds = now - member.running[task]
        charged = self._charged.get((name, task))
        others = [host for host in self.withdraw(task) if host != name]
        if charged is not None:
            self.used[known.project] += seconds - charged
        self._learn(member, known, seconds)
        return others

    def failed(self, task: str, name: str) -> bool:
        """A host could not do a task, for reasons of its own; another one will. False: too many could not."""
        member = self.members.get(name)
        if member is None or task not in member.running:
            return True
        member.failures += 1
        self._avoid.setdefault(task, set()).add(name)
        self._fell(task, name)
        if member.failures >= FAILURES:
            self.leave_out(name, f"{member.failures} tasks in a row failed")
        if len(self._avoid.get(task, ())) >= TRIES:
            self.withdraw(task)
            return False
        return True

    def late(self, now: float) -> list[str]:
        """Have another host begin what takes far too long; returns the ids of these tasks."""
        found = []
        for task, hosts in self._at.items():
            known = self.tasks[task]
            if task in self._again or known.urgency < 1.0:
                continue
            spent = now - max(self.members[name].running[task] for name in hosts)
            if spent > max(LEAST_LATE, LATE * self.usual(known)):
                self._avoid.setdefault(task, set()).update(hosts)
                self._again.add(task)
                self._queue(known)
                found.append(task)
        return found

    def usual(self, task: Task) -> float:
        """Seconds that a task takes."""
        times = self._times.get((task.kind, task.like))
        return times.usual(task.seconds) if times else task.seconds

    def waiting(self) -> int:
        """How many tasks wait."""
        return len(self._queued)

    def running(self, task: str) -> frozenset[str]:
        """Where a task runs."""
        return frozenset(self._at.get(task, ()))

    # The decision.

    def assign(self, now: float) -> list[Assignment]:
        """What begins now: as much as there are slots for."""
        found = []
        for waits in (True, False):
            while (chosen := self._next(waits)) is not None:
                task, name = chosen
                found.append(Assignment(task, name, task.id in self._again))
                self._begin(task, name, now)
        return found

    def _next(self, waits: bool) -> tuple[Task, str] | None:
        """The best task that a free host can do."""
        best: tuple[float, float, int, Task, str] | None = None
        for key in [key for key in self._waiting if key[3] == waits]:
            groups = self._groups(key)
            if groups is None:
                continue
            for project in list(self._waiting[key]):
                task = self._top(key, project)
                if task is None:
                    continue
                rank = (self._start(project) if waits else 0.0, -task.urgency, self._queued[task.id])
                if best is not None and rank >= best[:3]:
                    continue
                best = (*rank, task, self._host(task, groups))
        return None if best is None else best[3:]

    def _top(self, key: _Class, project: str) -> Task | None:
        heap = self._waiting[key][project]
        while heap:
            _, order, task = heap[0]
            if self._queued.get(task) == order:
                return self.tasks[task]
            heapq.heappop(heap)
        del self._waiting[key][project]
        if not self._waiting[key]:
            del self._waiting[key]
        return None

    def _groups(self, key: _Class) -> list[dict[str, None]] | None:
        """Free hosts that can do a task, those first that offer least; None: there is none."""
        kind, needs, avoid, _ = key
        fit = [offers for one, offers in self._free if one == kind and needs <= offers and self._free[one, offers]]
        if all(name in avoid for offers in fit for name in self._free[kind, offers]):
            return None
        return [self._free[kind, offers] for offers in sorted(fit, key=lambda offers: (len(offers), sorted(offers)))]

    def _host(self, task: Task, groups: list[dict[str, None]]) -> str:
        """The host for a task that one of them can do."""
        avoid = self._avoid.get(task.id, ())
        able = (name for group in groups for name in group if name not in avoid)
        warm = (name for name in self._likes.get(task.like, ()) if any(name in group for group in groups))
        return next((name for name in warm if name not in avoid), None) or next(able)

    # Bookkeeping.

    def _start(self, project: str) -> float:
        """What a project is taken to have used: nobody saves up while asking for nothing."""
        return max(self._virtual, self.used.get(project, 0.0))

    def _queue(self, task: Task) -> None:
        order = next(self._order)
        self._queued[task.id] = order
        key = (task.kind, task.needs, frozenset(self._avoid.get(task.id, ())), task.urgency >= 1.0)
        heaps = self._waiting.setdefault(key, {})
        heapq.heappush(heaps.setdefault(task.project, []), (-task.urgency, order, task.id))

    def _begin(self, task: Task, name: str, now: float) -> None:
        member = self.members[name]
        member.running[task.id] = now
        self._kinds[name, task.id] = task.kind
        member.free[task.kind] -= 1
        if not member.free[task.kind]:
            self._free[task.kind, member.host.offers].pop(name, None)
        self._at.setdefault(task.id, set()).add(name)
        self._again.discard(task.id)
        del self._queued[task.id]
        if task.urgency >= 1.0:
            self._virtual = self._start(task.project)
            self.used[task.project] = self._virtual + self.usual(task)
            self._charged[name, task.id] = self.usual(task)

    def _end(self, name: str, task: str) -> None:
        """A host is no longer at a task."""
        member = self.members.get(name)
        if member is None:
            return
        del member.running[task]
        kind = self._kinds.pop((name, task))
        self._charged.pop((name, task), None)
        member.free[kind] += 1
        if not member.out:
            self._note_free(member, kind)

    def _fell(self, task: str, name: str) -> bool:
        """A host does a task no more, and it is not done; whether it waits again."""
        self._end(name, task)
        hosts = self._at.get(task, set())
        hosts.discard(name)
        known = self.tasks.get(task)
        if hosts or known is None:
            return False
        self._at.pop(task, None)
        if task not in self._queued:
            self._queue(known)
        return True

    def _note_free(self, member: Member, kind: str) -> None:
        if member.free[kind] > 0:
            self._free.setdefault((kind, member.host.offers), {})[member.host.name] = None

    def _learn(self, member: Member, task: Task, seconds: float) -> None:
        """How long such tasks take, what the host is warm for, and whether it is slow."""
        usual = self.usual(task)
        times = self._times.pop((task.kind, task.like), None) or Times()
        self._times[task.kind, task.like] = times  # the latest last
        if len(self._times) > LIKENESSES:
            del self._times[next(iter(self._times))]
        member.failures = 0
        if len(times.seconds) >= 3:
            member.slowness.append(seconds / max(usual, 1e-9))
        times.seconds.append(seconds)
        if task.like:
            self._warm_up(member, task.like)
        slow = sorted(member.slowness)
        if len(slow) == member.slowness.maxlen and slow[len(slow) // 2] > SLOW:
            self.leave_out(member.host.name, f"takes {slow[len(slow) // 2]:.1f} times as long as others")

    def _warm_up(self, member: Member, like: str) -> None:
        member.warm.pop(like, None)
        member.warm[like] = None
        self._likes.setdefault(like, {})[member.host.name] = None
        if len(member.warm) > WARM:
            oldest = next(iter(member.warm))
            del member.warm[oldest]
            self._cool(oldest, member.host.name)

    def _cool(self, like: str, name: str) -> None:
        self._likes[like].pop(name, None)
        if not self._likes[like]:
            del self._likes[like]
