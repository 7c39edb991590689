"""The fleet's own schedule with simulated hosts: how much of them it uses, what it costs, what it holds in memory.

Run: ``uv run python -m benchmarks.fleet [--hosts 1000] [--jobs 10000] [--active 4000] [--seed 1]``, or ``--sizing``.
The schedule (``firstbad.fleet.schedule``) is the real one. Simulated are hosts, clock and bisections: each asks for one
revision after the other (16 on average), a build of some 7 minutes and then runs on machines, 4 where the bug is, which
end at the first crash, 10 clean ones of up to 5 minutes where it is not; what may be asked for next (two builds, one of
which will be) is asked for with less urgency meanwhile. Hosts have a build slot and four machines; a twentieth is twice
as slow as the others, one in a hundred ten times; hosts go away (after 100 hours on average) and come back an hour
later; one task in 200 fails for the host's reasons; one in 500 hangs. Projects (20) have unequally many jobs.

``--sizing`` instead: how many such hosts bisections need that come at random moments, so many a day: the fewest with
which they take on average at most half as long again as on a fleet with a host for each.
"""

import argparse
import heapq
import json
import math
import random
import resource
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from firstbad.fleet.schedule import Schedule
from firstbad.fleet.tasks import Host, Task

BUILD, CLEAN, CRASH, BOOT = 432.0, 300.0, 60.0, 30.0  # seconds
AWAY, BACK = 100 * 3600.0, 3600.0
FAILS, HANGS = 1 / 200, 1 / 500
LOOK = 30.0  # seconds between looks for what is late
DAY = 86400.0
A_DAY = (10, 30, 100, 300)  # bisections, for --sizing
LONGER = 1.5  # times as long as without waiting
ENOUGH = 300  # bisections that a size is judged by


P = ParamSpec("P")
R = TypeVar("R")


@dataclass
class Job:
    """A bisection: how many revisions it has yet to test, and what it waits for."""

    number: int
    project: str
    left: int
    begun: float = 0.0
    step: int = 0
    runs: set[str] = field(default_factory=set)
    bad: bool = False
    wanted: str = ""
    """The build that it waits for."""
    ahead: set[str] = field(default_factory=set)
    built: set[str] = field(default_factory=set)


class Simulation:
    """Bisections and hosts around a schedule."""

    def __init__(self, hosts: int, jobs: int, active: int, seed: int, a_day: float = 0.0) -> None:
        """``active``: jobs at a time, of a backlog; with ``a_day`` so many come a day instead, at random moments."""
        self.rng, self.schedule, self.now = random.Random(seed), Schedule(), 0.0
        self.events: list[tuple[float, int, str, str, str]] = []
        self.count = 0
        self.speed = {f"host{i}": self._speed() for i in range(hosts)}
        weights = [1 / (i + 1) for i in range(20)]
        projects = self.rng.choices([f"project{i}" for i in range(20)], weights, k=jobs)
        self.coming = [Job(i, projects[i], max(4, round(self.rng.gauss(16, 3)))) for i in range(jobs)]
        self.coming.reverse()
        self.running: dict[str, Job] = {}
        self.owner: dict[str, Job] = {}
        self.active = active
        self.begun: dict[tuple[str, str], float] = {}
        self.busy = defaultdict[str, float](float)
        self.wasted = defaultdict[str, float](float)
        self.tasks = self.decisions = 0
        self.spent = 0.0
        self.finished: list[tuple[float, Job]] = []
        self.backlog_ended = 0.0
        self.busy_in_backlog = defaultdict[str, float](float)
        self.lost = self.failed = 0
        for name in self.speed:
            self._join(name)
        self._at(LOOK, "look", "", "")
        self.moments: list[float] = []
        """When jobs come, the last one first; empty where they are a backlog."""
        if a_day:
            self.moments = sorted((self.rng.uniform(0.0, jobs / a_day * DAY) for _ in range(jobs)), reverse=True)
            self._at(self.moments[-1], "come", "", "")

    def _speed(self) -> float:
        chance = self.rng.random()
        return 10.0 if chance < 0.01 else 2.0 if chance < 0.06 else self.rng.uniform(0.8, 1.2)

    def _at(self, when: float, kind: str, task: str, host: str) -> None:
        self.count += 1
        heapq.heappush(self.events, (when, self.count, kind, task, host))

    def _timed(self, function: Callable[P, R], *words: P.args, **more: P.kwargs) -> R:
        since = time.perf_counter()
        found = function(*words, **more)
        self.spent += time.perf_counter() - since
        return found

    def _join(self, name: str) -> None:
        self._timed(self.schedule.join, Host(name, {"build": 1, "machine": 4}))
        self._at(self.now + self.rng.expovariate(1 / AWAY), "leave", "", name)

    # Bisections.

    def _more_jobs(self) -> None:
        while not self.moments and self.coming and len(self.running) < self.active:
            self._begin_job()
        if not self.coming and not self.backlog_ended:
            self.backlog_ended = self.now
            self.busy_in_backlog = self.busy.copy()

    def _begin_job(self) -> None:
        job = self.coming.pop()
        job.begun = self.now
        self.running[str(job.number)] = job
        self._step(job, f"{job.number}.0")

    def _come(self) -> None:
        """One of those that come at random moments; who comes last leaves an end for what is a backlog's."""
        self.moments.pop()
        self._begin_job()
        if self.moments:
            self._at(self.moments[-1], "come", "", "")

    def _add(self, job: Job, task: str, kind: str, urgency: float = 1.0) -> None:
        self.owner[task] = job
        self.tasks += 1
        like = f"tree{job.number % 50}" if kind == "build" else ""
        self._timed(self.schedule.add, Task(task, kind, job.project, urgency, like=like, seconds=BUILD))

    def _step(self, job: Job, wanted: str) -> None:
        for pointless in job.ahead - {wanted}:
            self._withdraw(pointless)
        job.ahead.clear()
        job.wanted, job.step = wanted, job.step + 1
        if wanted in job.built:
            self._run(job)
        else:
            self._add(job, wanted, "build")
        for side in (0, 1):
            task = f"{job.number}.{job.step}.{side}"
            job.ahead.add(task)
            self._add(job, task, "build", 0.5)

    def _withdraw(self, task: str) -> None:
        self.owner.pop(task, None)
        for host in self._timed(self.schedule.withdraw, task):
            self._stop(task, host)

    def _stop(self, task: str, host: str) -> None:
        kind = "machine" if "r" in task else "build"
        spent = self.now - self.begun.pop((task, host))
        self.busy[kind] += spent
        self.wasted[kind] += spent

    def _run(self, job: Job) -> None:
        job.wanted, job.bad = "", self.rng.random() < 0.5
        job.runs = {f"{job.number}.{job.step}.r{i}" for i in range(4 if job.bad else 10)}
        for run in job.runs:
            self._add(job, run, "machine")

    def _ended(self, task: str) -> None:
        job = self.owner.pop(task, None)
        if job is None:
            return
        if task in job.runs:
            job.runs.discard(task)
            if job.bad:
                for run in job.runs:
                    self._withdraw(run)
                job.runs.clear()
            if not job.runs:
                self._next(job)
        else:
            job.built = {task} if task == job.wanted else job.built | {task}
            job.ahead.discard(task)
            if task == job.wanted:
                self._run(job)

    def _next(self, job: Job) -> None:
        job.left -= 1
        if job.left:
            self._step(job, f"{job.number}.{job.step}.{int(job.bad)}")
            return
        for task in list(job.ahead):
            self._withdraw(task)
        del self.running[str(job.number)]
        self.finished.append((self.now, job))
        self._more_jobs()

    # Hosts.

    def _seconds(self, task: str, host: str) -> float:
        if self.rng.random() < HANGS:
            return 1e6
        if "r" not in task:
            return self.rng.lognormvariate(0, 0.3) * BUILD * self.speed[host]
        bad = (job := self.owner.get(task)) is not None and job.bad
        return BOOT * self.speed[host] + (min(CLEAN, self.rng.expovariate(1 / CRASH)) if bad else CLEAN)

    def _assign(self) -> None:
        found = self._timed(self.schedule.assign, self.now)
        self.decisions += len(found)
        for one in found:
            self.begun[one.task.id, one.host] = self.now
            seconds = self._seconds(one.task.id, one.host)
            fails = self.rng.random() < FAILS
            when = self.now + seconds * (self.rng.random() if fails else 1.0)
            self._at(when, "fail" if fails else "end", one.task.id, one.host)

    def run(self, until: float = math.inf) -> None:
        """Until the last bisection has ended, or until then."""
        self._more_jobs()
        self._assign()
        while (self.running or self.moments) and self.now < until:
            self.now, _, kind, task, host = heapq.heappop(self.events)
            if kind == "look":
                self._timed(self.schedule.late, self.now)
                self._at(self.now + LOOK, "look", "", "")
            elif kind == "leave":
                self.lost += 1
                self._timed(self.schedule.leave, host)
                for pair in [pair for pair in self.begun if pair[1] == host]:
                    self._stop(*pair)
                self._at(self.now + BACK, "back", "", host)
            elif kind == "come":
                self._come()
            elif kind == "back":
                self._join(host)
            elif (task, host) in self.begun:
                self._end(kind, task, host)
            if not self.events or self.events[0][0] > self.now:
                self._assign()

    def _end(self, kind: str, task: str, host: str) -> None:
        if host not in self.schedule.running(task):  # it was left out meanwhile
            self._stop(task, host)
        elif kind == "fail":
            self.failed += 1
            self._stop(task, host)
            self._timed(self.schedule.failed, task, host)
        else:
            self.busy["machine" if "r" in task else "build"] += self.now - self.begun.pop((task, host))
            for other in self._timed(self.schedule.done, task, host, self.now):
                self._stop(task, other)
            self._ended(task)


def hours(hosts: int, a_day: int, seed: int) -> tuple[list[float], dict[str, float]]:
    """How long bisections take on so many hosts, in order, and the share of time that slots are busy. Infinitely long
    where the fleet does not keep up."""
    jobs = max(ENOUGH, 2 * a_day)
    made = Simulation(hosts, jobs, 0, seed, a_day)
    made.run(until=1.5 * jobs / a_day * DAY)
    if made.running:
        return [math.inf], {}
    slots = {"build": hosts, "machine": 4 * hosts}
    found = sorted((end - job.begun) / 3600 for end, job in made.finished)
    return found, {kind: made.busy[kind] / made.now / number for kind, number in slots.items()}


def sizing(seed: int) -> None:
    """Print what so many bisections a day need."""
    print("| bisections a day | hosts | hours of one: mean | 95% within | builders busy | machines busy |")
    print("| --- | --- | --- | --- | --- | --- |")
    for a_day in A_DAY:
        alone = statistics.mean(hours(max(20, a_day), a_day, seed)[0])
        low, high = 0, 1
        while statistics.mean(hours(high, a_day, seed)[0]) > LONGER * alone:
            low, high = high, 2 * high
        while high - low > max(1, high // 50):
            middle = (low + high) // 2
            fits = statistics.mean(hours(middle, a_day, seed)[0]) <= LONGER * alone
            low, high = (low, middle) if fits else (middle, high)
        took, busy = hours(high, a_day, seed)
        row = f"{statistics.mean(took):.1f} (with hosts to spare {alone:.1f}) | {took[int(0.95 * len(took))]:.1f}"
        print(f"| {a_day} | {high} | {row} | {busy['build']:.0%} | {busy['machine']:.0%} |", flush=True)


def main() -> None:
    """See the module's first lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--active", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sizing", action="store_true", help="what to buy for so many bisections a day")
    options = parser.parse_args()
    if options.sizing:
        sizing(options.seed)
        return
    began = time.perf_counter()
    made = Simulation(options.hosts, options.jobs, options.active, options.seed)
    made.run()
    slots = {"build": options.hosts, "machine": 4 * options.hosts}
    share = {kind: made.busy_in_backlog[kind] / made.backlog_ended / n for kind, n in slots.items()}
    out = Counter(member.out.split()[0] for member in made.schedule.members.values() if member.out)
    figures = {
        "hours": round(made.now / 3600, 1),
        "hours_of_backlog": round(made.backlog_ended / 3600, 1),
        "busy_in_backlog": {kind: round(value, 4) for kind, value in share.items()},
        "wasted": {kind: round(made.wasted[kind] / made.busy[kind], 4) for kind in slots},
        "tasks": made.tasks,
        "begun": made.decisions,
        "microseconds_per_task": round(made.spent / made.tasks * 1e6, 1),
        "hosts_lost": made.lost,
        "failures": made.failed,
        "left_out": dict(out),
        "finished": len(made.finished),
        "hours_of_a_job": round(sum(end - job.begun for end, job in made.finished) / len(made.finished) / 3600, 2),
        "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "real_seconds": round(time.perf_counter() - began, 1),
    }
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
