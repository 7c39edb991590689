"""What dask.distributed is told in hubs and on hosts, unless its own configuration (``DASK_…``) says otherwise."""

from typing import Any

import dask

HOPE = 60.0  # seconds in which a host that can do an order may yet join

_DEFAULTS: dict[str, Any] = {
    # Who is silent for half a minute is gone.
    "distributed.comm.timeouts.connect": "10s",
    "distributed.comm.timeouts.tcp": "20s",
    "distributed.scheduler.worker-ttl": "30s",
    # A host that dies over a task is told to our own schedule at once; nothing is to be tried again behind its back.
    "distributed.scheduler.allowed-failures": 0,
    # Memory is the business of builds and machines.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    # No pages about itself.
    "distributed.worker.http.routes": [],
    "distributed.scheduler.http.routes": [],
    "distributed.admin.tick.limit": "60s",
}


def use() -> None:
    """For all that this process does from here on."""
    nested: dict[str, Any] = {}
    for name, value in _DEFAULTS.items():
        *path, last = name.split(".")
        table = nested
        for key in path:
            table = table.setdefault(key, {})
        table[last] = value
    dask.config.update_defaults(nested)
