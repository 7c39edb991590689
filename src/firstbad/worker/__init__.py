"""Work on the queue's jobs: the loop of a worker, what it tells of itself, and when fixes are looked for."""

from firstbad.worker.beside import Beside
from firstbad.worker.loop import Worker

__all__ = ["Beside", "Worker"]
