"""What a fleet is made of, as the schedule sees it: tasks, hosts, assignments."""

from collections import deque
from dataclasses import dataclass, field

REMEMBERED = 50  # durations of tasks that are alike


@dataclass(frozen=True)
class Task:
    """One build or one run. ``id`` is what it is known by everywhere: equal tasks have equal ids and are made once."""

    id: str
    kind: str
    """Of the slot that it takes: ``build`` or ``machine``."""
    project: str = "default"
    urgency: float = 1.0
    """1: somebody waits for it; less: the chance that somebody will."""
    needs: frozenset[str] = frozenset()
    """What a host must offer: a compiler, an architecture, KVM."""
    like: str = ""
    """Tasks that are alike take about as long, and less where one of them was made before (same tree and
    configuration)."""
    seconds: float = 60.0
    """How long it takes, until some that are alike say better."""


@dataclass(frozen=True)
class Host:
    """A machine that joined. ``slots``: how many tasks of each kind it does at a time."""

    name: str
    slots: dict[str, int]
    offers: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Assignment:
    """A task that a host is to begin now. ``again``: another host is at it already, and late."""

    task: Task
    host: str
    again: bool = False


@dataclass
class Member:
    """A host, and how it does."""

    host: Host
    free: dict[str, int]
    running: dict[str, float] = field(default_factory=dict)
    """Task ids, and when each began."""
    warm: dict[str, None] = field(default_factory=dict)
    """Which kinds of likeness it did lately, the latest last."""
    failures: int = 0
    """Tasks in a row that failed because of it."""
    slowness: deque[float] = field(default_factory=lambda: deque(maxlen=8))
    """How many times as long as usual its last tasks took."""
    out: str = ""
    """Why it gets no more tasks."""


@dataclass
class Times:
    """How long tasks take that are alike, in seconds."""

    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def usual(self, default: float) -> float:
        """The median; ``default`` before there are three."""
        if len(self.seconds) < 3:
            return default
        return sorted(self.seconds)[len(self.seconds) // 2]
