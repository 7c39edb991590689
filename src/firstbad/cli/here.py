"""Which job a command without a number is about: the one of this repository that is under way, else the last."""

from pathlib import Path

from firstbad.errors import FirstbadError
from firstbad.history.git import Repo
from firstbad.store import Store, StoredJob

_LOOKED_AT = 50  # jobs; what is older and was never ended is not under way


def job_here(store: Store, number: int | None) -> StoredJob:
    """A job by number; without one that of `firstbad run` in the repository around us that has no answer yet, else the
    last job. Raises NotFoundError."""
    return store.job(number) if number is not None else under_way(store) or store.job()


def under_way(store: Store) -> StoredJob | None:
    """The newest job of `firstbad run` in the repository around us that has no answer yet and was not cancelled."""
    place = _repository(Path.cwd())
    for stored in store.page(limit=_LOOKED_AT).jobs if place is not None else ():
        if stored.job.project is None or stored.cancelled or _repository(stored.job.repo) != place:
            continue
        if stored.state != "finished":
            return stored
    return None


def _repository(path: Path) -> Path | None:
    try:
        return Repo(path).common_dir().resolve()
    except (FirstbadError, OSError):
        return None
