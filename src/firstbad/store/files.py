"""Files that were uploaded, by what is in them; each project has its own, so that nobody learns what others have."""

import hashlib
import time
from collections.abc import Iterable

import sqlalchemy as sa

from firstbad.errors import NotFoundError, UserError
from firstbad.store.database import Database
from firstbad.store.service import file_uses, files

MIB = 1 << 20
_UNUSED_SECONDS = 86_400.0


class Files:
    """The part of the store that has uploads; ``limit`` bytes of them in a project that no job needs yet, at most."""

    def __init__(self, database: Database, limit: int = 512 * MIB) -> None:
        self.database, self.limit = database, limit

    def put(self, project: str, data: bytes) -> str:
        """Keep a file; returns its digest. Raises UserError when too much of the project is kept that no job needs."""
        name, now = hashlib.sha256(data).hexdigest(), time.time()
        same = sa.and_(files.c.project == project, files.c.digest == name)

        def write(connection: sa.Connection, _: bool) -> bool:
            connection.execute(sa.delete(files).where(_unused(), files.c.created < now - _UNUSED_SECONDS))
            if connection.execute(sa.update(files).where(same).values(created=now)).rowcount:
                return True
            kept = connection.execute(sa.select(sa.func.sum(files.c.size)).where(files.c.project == project, _unused()))
            if int(kept.scalar() or 0) + len(data) > self.limit:
                return False
            connection.execute(
                sa.insert(files).values(project=project, digest=name, size=len(data), created=now, data=data)
            )
            return True

        if not self.database.write(write):
            limit = f"{self.limit // MIB} MiB"
            raise UserError(f"{limit} were uploaded that no job needs; they are removed a day after their upload")
        return name

    def size(self, project: str, name: str) -> int | None:
        """Bytes of a file; None where there is none."""
        query = sa.select(files.c.size).where(files.c.project == project, files.c.digest == name)
        return self.database.read(lambda connection: connection.execute(query).scalar())

    def get(self, project: str, name: str) -> bytes:
        """What is in a file. Raises NotFoundError."""
        query = sa.select(files.c.data).where(files.c.project == project, files.c.digest == name)
        data = self.database.read(lambda connection: connection.execute(query).scalar())
        if data is None:
            raise NotFoundError(f"no file sha256:{name} was uploaded for the project {project}")
        return bytes(data)

    def use(self, job_id: int, project: str, names: Iterable[str]) -> None:
        """Keep files as long as the job is kept."""
        rows = [{"job_id": job_id, "project": project, "digest": name} for name in sorted(set(names))]

        def write(connection: sa.Connection, _: bool) -> None:
            connection.execute(sa.delete(file_uses).where(file_uses.c.job_id == job_id))
            if rows:
                connection.execute(sa.insert(file_uses), rows)

        self.database.write(write)

    def project_of(self, job_id: int, name: str) -> str:
        """The project whose file a job uses; empty where it uses none of that digest."""
        query = sa.select(file_uses.c.project).where(file_uses.c.job_id == job_id, file_uses.c.digest == name)
        return self.database.read(lambda connection: connection.execute(query).scalar()) or ""


def _unused() -> sa.ColumnElement[bool]:
    same = sa.and_(file_uses.c.project == files.c.project, file_uses.c.digest == files.c.digest)
    return ~sa.exists().where(same)
