"""Lists of jobs: filtered, searched, a page at a time."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from firstbad.store.jobs import COLUMNS, STANDING, StoredJob, stored
from firstbad.store.tables import jobs

MOST = 200  # jobs of one page
_SEARCHED = ("title", "culprit_title", "name", "submitted_by")
_WORDS = 8  # of a search that are looked at


@dataclass(frozen=True)
class Filter:
    """Which jobs. Empty: all.

    ``standing``: any of these (`StoredJob.standing`); ``text``: words that all occur in the crash's title, the
    culprit's title or hash, the name or the submitter; a job's number alone finds that job too. ``projects``: who asks
    belongs to these: private jobs of others are not seen; None: all are.
    """

    standing: Collection[str] = ()
    kind: str = ""
    project: str = ""
    text: str = ""
    projects: Collection[str] | None = None


@dataclass(frozen=True)
class Page:
    """Jobs, newest first. ``older``: pass it as ``before`` for the next page; None: this was the last."""

    jobs: list[StoredJob]
    older: int | None


def visible(projects: Collection[str] | None) -> sa.ColumnElement[bool]:
    """What those of ``projects`` may see; None: everything."""
    if projects is None:
        return sa.true()
    return sa.or_(jobs.c.private == 0, jobs.c.project.in_(list(projects)))


def condition(wanted: Filter) -> sa.ColumnElement[bool]:
    """A filter in SQL."""
    found = [visible(wanted.projects)]
    if wanted.standing:
        found.append(STANDING.in_(list(wanted.standing)))
    if wanted.kind:
        found.append(jobs.c.kind == wanted.kind)
    if wanted.project:
        found.append(jobs.c.project == wanted.project)
    words = wanted.text.replace("\0", "").encode("utf-8", "replace").decode().split()[:_WORDS]
    for word in words:
        inside = [jobs.c[name].icontains(word[:200], autoescape=True) for name in _SEARCHED]
        inside.append(jobs.c.culprit.startswith(word[:40].lower(), autoescape=True))
        if len(words) == 1 and word.isascii() and word.isdigit() and len(word) < 10:
            inside.append(jobs.c.id == int(word))
        found.append(sa.or_(*inside))
    return sa.and_(*found)


def page(connection: sa.Connection, root: Path | None, wanted: Filter, before: int | None, limit: int) -> Page:
    """One page of a list; ``before``: only jobs with a lower number."""
    limit = max(1, min(limit, MOST))
    query = sa.select(*COLUMNS).where(condition(wanted)).order_by(jobs.c.id.desc()).limit(limit + 1)
    if before is not None:
        query = query.where(jobs.c.id < before)
    rows = [stored(row, root) for row in connection.execute(query)]
    return Page(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)


def counts(connection: sa.Connection, projects: Collection[str] | None) -> dict[str, int]:
    """How many jobs are where, by `StoredJob.standing`."""
    # By position: parameters make two mentions of one expression two expressions to PostgreSQL.
    query = sa.select(STANDING, sa.func.count()).where(visible(projects)).group_by(sa.text("1"))
    return {str(name): int(number) for name, number in connection.execute(query)}
