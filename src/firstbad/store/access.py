"""Who may use a service: projects, tokens (as hashes), sessions of browsers; and the repositories that it knows."""

import hashlib
import secrets
import time
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from firstbad.errors import NotFoundError, UserError
from firstbad.references import is_name
from firstbad.store.database import Database
from firstbad.store.service import projects, repositories, sessions, tokens

Scope = Literal["read", "submit", "admin"]
SCOPES: tuple[Scope, ...] = ("read", "submit", "admin")
"""Each has what those before it have."""
ALL = "*"
"""The project of a token that is for all of them."""
_HOUR = 3600.0


@dataclass(frozen=True)
class Token:
    """What is known of a token: all but itself. Times are seconds since the epoch; ``expires`` 0: never."""

    id: int
    name: str
    scope: Scope
    project: str
    created: float
    expires: float
    revoked: float
    used: float

    def is_valid(self, now: float) -> bool:
        """Whether it still opens anything."""
        return not self.revoked and (not self.expires or now < self.expires)


@dataclass(frozen=True)
class Repository:
    """A repository that jobs may name. ``place`` is a path or an URL; ``commands``: jobs may run commands of theirs on
    the workers (`firstbad run`, patches), else kernels are all that is built from it."""

    name: str
    place: str
    commands: bool


_TOKEN = [c for c in tokens.c if c.name != "hash"]


class Access:
    """The part of the store that says who may do what."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def is_open(self) -> bool:
        """Whether no token was ever made."""
        query = sa.select(tokens.c.id).limit(1)
        return self.database.read(lambda connection: connection.execute(query).first()) is None

    def create_token(self, name: str, scope: Scope, project: str, days: float | None) -> tuple[str, Token]:
        """A new token, and what is kept of it. ``days`` None: it never expires. Raises UserError, NotFoundError."""
        if not name.strip() or len(name) > 100 or not name.isprintable():
            raise UserError("a token's name is a line of 1 to 100 letters: who or what uses it")
        if project != ALL:
            self.check_project(project)
        text, now = f"fb_{secrets.token_urlsafe(32)}", time.time()
        row = {"name": name, "scope": scope, "project": project, "created": now, "hash": digest(text)}
        row["expires"] = now + days * 86_400 if days is not None else 0.0
        insert = sa.insert(tokens).values(row).returning(*_TOKEN)
        return text, self.database.write(lambda connection, _: _token(connection.execute(insert).one()))

    def tokens(self) -> list[Token]:
        """All that were ever made, oldest first."""
        query = sa.select(*_TOKEN).order_by(tokens.c.id)
        return self.database.read(lambda connection: [_token(row) for row in connection.execute(query)])

    def revoke(self, number: int) -> Token:
        """End a token and the sessions that it began. Raises NotFoundError."""
        change = sa.update(tokens).where(tokens.c.id == number).values(revoked=time.time()).returning(*_TOKEN)

        def write(connection: sa.Connection, _: bool) -> Any:
            connection.execute(sa.delete(sessions).where(sessions.c.token_id == number))
            return connection.execute(change).one_or_none()

        row = self.database.write(write)
        if row is None:
            raise NotFoundError(f"there is no token {number}; see `firstbad token list`")
        return _token(row)

    def token(self, text: str) -> Token | None:
        """The token that somebody shows, if it is valid."""
        return self._valid(sa.select(*_TOKEN).where(tokens.c.hash == digest(text)))

    def begin_session(self, token: Token, seconds: float) -> str:
        """A browser shows the returned secret instead of the token from now on."""
        secret, now = secrets.token_urlsafe(32), time.time()
        until = min(now + seconds, token.expires or now + seconds)
        row = {"hash": digest(secret), "token_id": token.id, "expires": until}

        def write(connection: sa.Connection, _: bool) -> None:
            connection.execute(sa.delete(sessions).where(sessions.c.expires < now))
            connection.execute(sa.insert(sessions).values(row))

        self.database.write(write)
        return secret

    def end_session(self, secret: str) -> None:
        """The browser was logged out."""
        change = sa.delete(sessions).where(sessions.c.hash == digest(secret))
        self.database.write(lambda connection, _: connection.execute(change))

    def session(self, secret: str) -> Token | None:
        """The token with which a browser's session was begun, if both are still valid."""
        query = sa.select(*_TOKEN).join(sessions, sessions.c.token_id == tokens.c.id)
        return self._valid(query.where(sessions.c.hash == digest(secret), sessions.c.expires > time.time()))

    def _valid(self, query: sa.Select[Any]) -> Token | None:
        row = self.database.read(lambda connection: connection.execute(query).one_or_none())
        found, now = _token(row) if row is not None else None, time.time()
        if found is None or not found.is_valid(now):
            return None
        if now - found.used > _HOUR:
            change = sa.update(tokens).where(tokens.c.id == found.id).values(used=now)
            self.database.write(lambda connection, _: connection.execute(change))
        return found

    def projects(self) -> list[str]:
        """The names of all projects."""
        query = sa.select(projects.c.name).order_by(projects.c.name)
        return self.database.read(lambda connection: list(connection.execute(query).scalars()))

    def create_project(self, name: str) -> None:
        """Raises UserError for a name that can't be one or is one already."""
        if not is_name(name):
            raise UserError(f"{name!r} can't be a project's name: letters, digits, '.', '_' and '-', at most 64")
        if name in self.projects():
            raise UserError(f"there is a project {name} already")
        insert = sa.insert(projects).values(name=name, created=time.time())
        self.database.write(lambda connection, _: connection.execute(insert))

    def check_project(self, name: str) -> None:
        """Raises NotFoundError for a project that there is not."""
        if name not in self.projects():
            raise NotFoundError(f"there is no project {name!r}; `firstbad project create {name}` makes it")

    def repositories(self) -> list[Repository]:
        """All that jobs may name."""
        query = sa.select(repositories).order_by(repositories.c.name)
        return self.database.read(
            lambda connection: [Repository(r.name, r.place, bool(r.commands)) for r in connection.execute(query)]
        )

    def repository(self, name: str) -> Repository:
        """One by name. Raises NotFoundError that names those that there are."""
        known = self.repositories()
        for one in known:
            if one.name == name:
                return one
        names = ", ".join(one.name for one in known) or "none yet: `firstbad repository add` adds one"
        raise NotFoundError(f"the service knows no repository {name[:100]!r}; it knows {names}")

    def add_repository(self, name: str, place: str, commands: bool) -> None:
        """Make a repository known, or known by another place."""
        row = {"place": place, "commands": int(commands), "created": time.time()}

        def write(connection: sa.Connection, _: bool) -> None:
            same = repositories.c.name == name
            if not connection.execute(sa.update(repositories).where(same).values(row)).rowcount:
                connection.execute(sa.insert(repositories).values(name=name, **row))

        self.database.write(write)

    def remove_repository(self, name: str) -> None:
        """New jobs can't name it any more. Raises NotFoundError."""
        self.repository(name)
        change = sa.delete(repositories).where(repositories.c.name == name)
        self.database.write(lambda connection, _: connection.execute(change))


def digest(text: str) -> str:
    """SHA-256, hex. Tokens are 256 random bits: there is nothing that a slow hash would make harder to guess."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _token(row: Any) -> Token:
    return Token(**{column.name: getattr(row, column.name) for column in _TOKEN})
