"""One database, SQLite or PostgreSQL: transactions that wait for a database which is away, and the migrations."""

import logging
import math
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement

from firstbad.errors import InfrastructureError, UserError
from firstbad.locks import try_lock

HEAD = "0003"  # the newest migration; a database at it needs no alembic at all
PATIENCE = 30.0  # seconds in which a database that is away has to come back, where nothing else is said
_LONGEST_PAUSE = 2.0
# What SQLite's words may mean, where they leave it open.
_DISK = {
    "disk I/O error": "is the disk full, broken or read-only?",
    "disk is full": "make room on it",
    "unable to open": "is its directory read-only?",
}
_MIGRATING = 8384  # key of the lock in PostgreSQL under which one process upgrades
_T = TypeVar("_T")
_log = logging.getLogger("firstbad.store")
# What PostgreSQL refuses with on purpose, in the words of its FATAL messages: waiting changes nothing.
_REFUSED = re.compile(
    r"password|authentication|does not exist|no pg_hba\.conf|permission denied|invalid connection|SSL"
)
# Classes of its errors after which the same transaction may succeed: connection, conflicts, operator intervention.
_PASSING = ("08", "40", "53300", "55P03", "57P0")


class clock(FunctionElement[float]):
    """The database's own time, seconds since the epoch: workers' clocks may differ."""

    type = sa.Float()
    inherit_cache = True


@compiles(clock, "postgresql")
def _postgresql(*_: Any, **__: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) AS double precision)"


@compiles(clock)
def _sqlite(*_: Any, **__: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


class up_since(FunctionElement[float]):
    """When the server was started, seconds since the epoch; 0 where there is no server. While it was down nobody could
    prolong a lease."""

    type = sa.Float()
    inherit_cache = True


@compiles(up_since, "postgresql")
def _up_since(*_: Any, **__: Any) -> str:
    return "CAST(extract(epoch FROM pg_postmaster_start_time()) AS double precision)"


@compiles(up_since)
def _no_server(*_: Any, **__: Any) -> str:
    return "0.0"


class Database:
    """Transactions. Safe for threads and for several processes.

    A database that is away (restarted, failed over, locked) is waited for, ``patience`` seconds for each call; then
    InfrastructureError is raised. ``give_up`` ends the waiting of every call.
    """

    def __init__(self, where: Path | str, patience: float = PATIENCE) -> None:
        """``where``: a file of SQLite, or an URL. Raises UserError for another kind of URL."""
        self.patience = patience
        self.give_up = threading.Event()
        url = _url(where)
        self.name = url.database or "" if url.drivername == "sqlite" else url.render_as_string(hide_password=True)
        self.path = Path(url.database or "") if url.drivername == "sqlite" else None
        self._engine = _engine(url)
        self._writing = self._engine.execution_options(writing=True)

    @property
    def is_postgresql(self) -> bool:
        """Whether this is a server that many hosts share."""
        return self._engine.dialect.name == "postgresql"

    def read(self, work: Callable[[sa.Connection], _T]) -> _T:
        """What ``work`` returns, from one transaction."""
        return self._until_done(self._engine, lambda connection, _: work(connection))

    def write(self, work: Callable[[sa.Connection, bool], _T]) -> _T:
        """What ``work`` returns, once it is on disk. Its second argument says that this is not the first try: the
        commit of an earlier one may have come through although its answer did not."""
        return self._until_done(self._writing, work)

    def _until_done(self, engine: sa.Engine, work: Callable[[sa.Connection, bool], _T]) -> _T:
        deadline, pause, again = time.monotonic() + self.patience, 0.05, False
        while True:
            try:
                with self._turn(engine, deadline), engine.begin() as connection:
                    return work(connection, again)
            except sa.exc.DBAPIError as error:
                if self.give_up.is_set() or time.monotonic() > deadline or not self._may_pass(error):
                    raise self._told(error) from error
                if not again:
                    _log.warning("%s: %s; waiting for it", self.name, _words(error))
            again = True
            self.give_up.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    @contextmanager
    def _turn(self, engine: sa.Engine, deadline: float) -> Iterator[None]:
        """Writers of SQLite one after the other: its own waiting sleeps up to 100 ms while the database is free. The
        lock of the transaction is still what counts, so who waits too long here goes on to that."""
        if self.path is None or engine is not self._writing:
            yield
            return
        with ExitStack() as stack:
            try:
                lock = stack.enter_context(self.path.with_name(f"{self.path.name}-writer").open("a+"))
            except OSError:  # SQLite says better what is wrong with the place
                yield
                return
            while not self.give_up.is_set() and time.monotonic() < deadline and not try_lock(lock):
                time.sleep(0.001)
            yield

    def _may_pass(self, error: sa.exc.DBAPIError) -> bool:
        """Whether the same transaction may succeed later."""
        if not self.is_postgresql:
            return "locked" in str(error.orig) or "busy" in str(error.orig)
        code = getattr(error.orig, "sqlstate", None)
        if code:
            return str(code).startswith(_PASSING)
        # No state: the connection was lost, or none was made.
        return error.connection_invalidated or not _REFUSED.search(str(error.orig))

    def _told(self, error: sa.exc.DBAPIError) -> InfrastructureError:
        words = _words(error)
        why = next((f" ({why})" for sign, why in _DISK.items() if sign in words), "")
        return InfrastructureError(f"{self.name}: {words}{why}")

    def migrate(self) -> bool:
        """Bring the tables up to date, one process at a time; whether there was anything to do."""
        if self.read(_version) == HEAD:
            return False
        return self.write(lambda connection, _: _upgrade(connection))

    def close(self) -> None:
        """Give connections back."""
        self._engine.dispose()


def _version(connection: sa.Connection) -> str:
    if not sa.inspect(connection).has_table("alembic_version"):
        return ""
    return str(connection.execute(sa.text("select version_num from alembic_version")).scalar() or "")


def _upgrade(connection: sa.Connection) -> bool:
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATING)))
    if _version(connection) == HEAD:
        return False
    # Imported here: alembic takes longer to import than most commands take to run.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return True


def _url(where: Path | str) -> sa.URL:
    if isinstance(where, Path) or "://" not in where:
        path = Path(where)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InfrastructureError(f"{path.parent}: can't be made: {error.strerror}") from error
        return sa.URL.create("sqlite", database=str(path))
    try:
        url = sa.make_url(where)
    except (sa.exc.ArgumentError, ValueError):
        raise UserError("the database is no URL that can be read; like postgresql://user@host/firstbad") from None
    if url.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return url.set(drivername="postgresql+psycopg")
    raise UserError(f"{url.drivername}: no such kind of database; SQLite (a file) or postgresql://user@host/firstbad")


def _engine(url: sa.URL) -> sa.Engine:
    if url.drivername == "sqlite":
        engine = sa.create_engine(url, connect_args={"timeout": 30})
        sa.event.listen(engine, "connect", _durable)
        sa.event.listen(engine, "begin", _begin)
        return engine
    try:
        # Keepalives: a server that vanished without a word is noticed within half a minute.
        alive: dict[str, str | int] = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
        # And one of ours that is stopped within a transaction keeps no rows from the others for longer than that.
        alive |= {"connect_timeout": 10, "options": "-c idle_in_transaction_session_timeout=60s"}
        return sa.create_engine(url, pool_size=5, max_overflow=20, pool_recycle=1800, connect_args=alive)
    except ModuleNotFoundError:
        raise UserError("PostgreSQL needs a package more: pip install 'firstbad[postgres]'") from None


def _durable(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # or the driver begins transactions itself, late and without a lock
    cursor = connection.cursor()
    # WAL lets `status` read while a session writes; FULL waits for the disk, because an event is used at once.
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin(connection: sa.Connection) -> None:
    """Who is going to write takes the lock at once: between reading and writing nobody else comes in."""
    writing = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _words(error: sa.exc.DBAPIError) -> str:
    return " ".join(str(error.orig).split())[:300]


FOREVER = math.inf
"""Patience of who has nothing better to do than to wait."""
