"""Jobs as pages need them, kept in memory: what is new is added, nothing is read or folded twice.

Whatever is made of a job's events is kept until the next event, so that any number of viewers costs one making.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from firstbad.home import Home
from firstbad.report.story import Story
from firstbad.session import State
from firstbad.session.narrowing import needs_repository
from firstbad.session.state import apply
from firstbad.session.story import tell
from firstbad.store import Event, Store, StoredJob

MOST_JOBS = 64
MOST_BYTES = 256 << 20  # of all that is kept, roughly; what was looked at longest ago goes first
_EVENT = 1500  # bytes of an event without its texts

Made = TypeVar("Made")


@dataclass
class Known:
    """One job's events and what they come to. Whoever uses it holds its lock (:meth:`Desk.open`)."""

    home: Home
    stored: StoredJob
    events: list[Event] = field(default_factory=list)
    state: State = field(default_factory=State)
    lock: threading.RLock = field(default_factory=threading.RLock)
    size: int = 0
    """Bytes, roughly."""
    _made: dict[object, Any] = field(default_factory=dict)

    @property
    def seq(self) -> int:
        """Number of the last event, -1 without any."""
        return self.events[-1].seq if self.events else -1

    def learn(self, events: list[Event]) -> None:
        """Take in what is new."""
        for event in events:
            apply(self.state, event, self.stored.job.title)
            # Once as the event, once in the state.
            self.size += _EVENT + 2 * sum(len(text) for text in _texts(event))
        self.events += events
        if events:
            self._made.clear()

    def once(self, name: object, make: Callable[[], Made]) -> Made:
        """What ``make`` gives, made once until the next event."""
        if name not in self._made:
            self._made[name] = make()
        found: Made = self._made[name]
        return found

    @property
    def old(self) -> bool:
        """Whether the events were made before they held the belief over the history."""
        return self.once("old", lambda: needs_repository(self.events))

    def story(self, picture: bool = False) -> Story:
        """The job's story; ``picture``: with the belief over the history even where only its repository tells that."""
        drawn = picture or not self.old
        return self.once(("story", drawn), lambda: tell(self.home, self.stored, self.events, drawn, self.state))


class Desk:
    """The jobs that were looked at lately."""

    def __init__(self, home: Home, store: Store) -> None:
        self._home, self._store = home, store
        self._known: OrderedDict[int, Known] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def open(self, stored: StoredJob) -> Iterator[Known]:
        """A job with all of its events as of now, for one user at a time."""
        known = self._take(stored)
        with known.lock:
            known.stored = stored
            if stored.seq > known.seq:
                known.learn(self._store.events(stored.id, known.seq))
            yield known
        self._tidy()

    def _take(self, stored: StoredJob) -> Known:
        with self._lock:
            known = self._known.setdefault(stored.id, Known(self._home, stored))
            self._known.move_to_end(stored.id)
            return known

    def _tidy(self) -> None:
        with self._lock:
            while len(self._known) > 1 and (
                len(self._known) > MOST_JOBS or sum(one.size for one in self._known.values()) > MOST_BYTES
            ):
                self._known.popitem(last=False)


def _texts(event: Event) -> Iterator[str]:
    """The long ones: reports, configurations, diffs."""
    for value in event.data.values():
        for inner in value.values() if isinstance(value, dict) else (value,):
            if isinstance(inner, str) and len(inner) > 200:
                yield inner
