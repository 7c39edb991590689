"""The demo at one click: a thread makes its history, then its job is put into the queue."""

import threading

from firstbad.demo import demo_job, make_demo
from firstbad.errors import FirstbadError
from firstbad.home import Home
from firstbad.store.queue import PERSON, Queue

TARGET = 0.99


class Tryout:
    """One at a time. ``number``: of its job, once there is one; ``problem``: why there is none."""

    def __init__(self, home: Home, queue: Queue) -> None:
        self._home, self._queue = home, queue
        self._lock = threading.Lock()
        self.running = False
        self.doing, self.problem = "", ""
        self.number: int | None = None

    def begin(self, who: str) -> None:
        """Begin, unless that was done already."""
        with self._lock:
            if self.running:
                return
            self.running, self.number, self.problem, self.doing = True, None, "", "looking for the kernel's source"
        threading.Thread(target=self._make, args=(who,), daemon=True).start()

    def _make(self, who: str) -> None:
        try:
            made = make_demo(self._home.root / "demo", 1, progress=self._tell)
            job = demo_job(made, made.cases["a"], TARGET)
            self.number = self._queue.submit(job, submitted_by=who, priority=PERSON).number
        except FirstbadError as error:
            self.problem = str(error)
        except Exception as error:  # a thread's end is seen by nobody else
            self.problem = f"{type(error).__name__}: {error}"
        finally:
            self.running = False

    def _tell(self, text: str) -> None:
        self.doing = text
