"""The service itself: workers, queue, disk, what failed lately."""

import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from firstbad.disk import bytes_on_disk
from firstbad.home import GIB, Home
from firstbad.store.listing import Filter
from firstbad.store.watch import WorkerRow, workers
from firstbad.web.auth import Reader, Viewer
from firstbad.web.site import Site, TheSite

router = APIRouter()
FAILURES, WAITING = 10, 20
_COUNTED_FOR = 600.0  # seconds


class _Sizes:
    """How much lies in a data directory, counted now and then beside the pages."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[Path, tuple[float, dict[str, int]]] = {}
        self._counting: set[Path] = set()

    def of(self, home: Home) -> dict[str, int]:
        """Bytes by directory as they were counted last; empty until that is done."""
        with self._lock:
            when, found = self._found.get(home.root, (0.0, {}))
            if time.monotonic() - when > _COUNTED_FOR and home.root not in self._counting:
                self._counting.add(home.root)
                threading.Thread(target=self._count, args=(home,), daemon=True).start()
        return found

    def _count(self, home: Home) -> None:
        places = {
            "builds": home.artifacts,
            "builders": home.builders,
            "compile cache": home.ccache,
            "jobs": home.root / "jobs",
        }
        found = {name: bytes_on_disk(path) for name, path in places.items()}
        with self._lock:
            self._found[home.root] = time.monotonic(), found
            self._counting.discard(home.root)


def _told(site: Site, viewer: Viewer, worker: WorkerRow) -> WorkerRow:
    """A worker as the viewer may see it: of a private job of others not even that it is worked on."""
    if worker.job is None:
        return worker
    stored = site.store.job(worker.job)
    if viewer.sees(stored.project, stored.private):
        return worker
    return replace(worker, job=None, data={**worker.data, "activity": "", "since": 0})


SIZES = _Sizes()


@router.get("/system", response_class=HTMLResponse)
def system_page(site: TheSite, viewer: Reader) -> str:
    """Workers, queue, disk, failures."""
    own = viewer.projects
    disk = shutil.disk_usage(site.home.root)
    return site.render(
        "system.html",
        viewer=viewer,
        here="/system",
        now=time.time(),
        workers=[_told(site, viewer, one) for one in workers(site.store)],
        counts=site.store.counts(own),
        running=site.store.page(Filter(("running",), projects=own), None, WAITING).jobs,
        waiting=site.store.page(Filter(("waiting",), projects=own), None, WAITING),
        failed=site.store.page(Filter(("failed",), projects=own), None, FAILURES).jobs,
        budgets=[one for one in site.queue.budgets() if viewer.of(one.project)],
        disk=disk,
        free=disk.free / GIB,
        total=disk.total / GIB,
        sizes={name: size / GIB for name, size in SIZES.of(site.home).items()},
        budget=site.home.budget / GIB,
        gib=GIB,
    )
