"""A worker as a child of another process, which ends with it."""

import logging
import subprocess
import sys
import threading
from collections.abc import Sequence

_log = logging.getLogger("firstbad.worker")
_PAUSE = 5.0  # seconds until a worker that ended by itself is started again
PATIENCE = 20.0  # seconds in which a worker that is told to end has to be gone


class Beside:
    """`firstbad worker` beside a server; started again where it ends by itself."""

    def __init__(self, options: Sequence[str] = ()) -> None:
        """``options``: of the command."""
        # It ends (SIGTERM) when the thread that started it is gone, however that came.
        self.command = ["setpriv", "--pdeathsig", "TERM", sys.executable, "-m", "firstbad", "worker", *options]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="worker beside", daemon=True)

    def __enter__(self) -> "Beside":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(PATIENCE + 5)

    def _watch(self) -> None:
        while not self._stopping.is_set():
            # A group of its own: Ctrl-C in the terminal is the server's, which then ends the worker in order.
            with subprocess.Popen(self.command, stdin=subprocess.DEVNULL, process_group=0) as process:
                while process.poll() is None and not self._stopping.wait(0.2):
                    pass
                if process.poll() is None:
                    process.terminate()
                    try:
                        process.wait(PATIENCE)
                    except subprocess.TimeoutExpired:
                        process.kill()
            if not self._stopping.is_set():
                _log.warning("the worker ended with status %s; another one is started", process.returncode)
                self._stopping.wait(_PAUSE)
