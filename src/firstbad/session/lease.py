"""A lease that is prolonged while somebody works."""

import threading
from types import TracebackType

from firstbad.errors import InfrastructureError
from firstbad.store.queue import BEATS, Lease, Queue


class Hold:
    """A lease with a thread that keeps it, given back at the end.

    ``lost``: another process has the job by now. ``stopping``: whoever runs the session wants it to end. A thread of
    its own, for a build takes minutes; it says nothing where this process is stopped or its host is gone.
    """

    def __init__(self, queue: Queue, lease: Lease) -> None:
        self.queue, self.lease = queue, lease
        self.lost = False
        self.stopping = threading.Event()
        self.not_before = 0.0
        self.attempted = False
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease of job {lease.job}", daemon=True)

    @property
    def token(self) -> str:
        """What its events are appended with."""
        return self.lease.token

    def __enter__(self) -> "Hold":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        try:
            if not self.lost:
                self.queue.release(self.lease, self.not_before, self.attempted)
        except InfrastructureError:
            pass  # the database is away: the lease ends by itself

    def _beat(self) -> None:
        while not self._end.wait(self.queue.seconds / BEATS):
            try:
                if not self.queue.heartbeat(self.lease):
                    self.lost = True
                    return
            except InfrastructureError:
                continue  # away for longer than anybody waits; it may come back before the lease ends
