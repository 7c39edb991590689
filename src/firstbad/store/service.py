"""The tables of a service: projects, tokens, browsers' sessions, repositories, uploaded files, webhooks."""

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, LargeBinary, String, Table, text

from firstbad.store.tables import metadata

projects = Table(
    "projects",
    metadata,
    Column("name", String, primary_key=True),
    Column("created", Float, nullable=False),  # seconds since the epoch, as all times here
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String, nullable=False),
    Column("hash", String, nullable=False, unique=True),  # SHA-256 of the token, hex; itself it is kept nowhere
    Column("scope", String, nullable=False),  # read, submit, admin
    Column("project", String, nullable=False),  # *: all
    Column("created", Float, nullable=False),
    Column("expires", Float, nullable=False),  # 0: never
    Column("revoked", Float, nullable=False, server_default="0"),
    Column("used", Float, nullable=False, server_default="0"),  # last seen, to the hour
)

sessions = Table(
    "sessions",
    metadata,
    Column("hash", String, primary_key=True),  # SHA-256 of the browser's cookie, hex
    Column("token_id", Integer, ForeignKey("tokens.id"), nullable=False),
    Column("expires", Float, nullable=False),
)

repositories = Table(
    "repositories",
    metadata,
    Column("name", String, primary_key=True),
    Column("place", String, nullable=False),  # a path of every machine, or an URL
    Column("commands", Integer, nullable=False, server_default="0"),  # jobs may run commands on the workers
    Column("created", Float, nullable=False),
)

files = Table(
    "files",
    metadata,
    Column("project", String, primary_key=True),
    Column("digest", String, primary_key=True),  # SHA-256, hex
    Column("size", Integer, nullable=False),
    Column("created", Float, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

# Which job needs which file; a file that none needs goes after a day.
file_uses = Table(
    "file_uses",
    metadata,
    Column("job_id", Integer, ForeignKey("jobs.id"), primary_key=True),
    Column("digest", String, primary_key=True),
    Column("project", String, nullable=False),
    Index("file_uses_file", "project", "digest"),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project", String, nullable=False),
    Column("url", String, nullable=False),
    Column("secret", String, nullable=False),  # signs what is sent: no hash would do
    Column("created", Float, nullable=False),
    Column("created_by", String, nullable=False),
    Index("webhooks_project", "project"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("webhook_id", Integer, ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False),
    Column("job_id", Integer, ForeignKey("jobs.id"), nullable=False),
    Column("seq", Integer, nullable=False),  # of the event that it tells
    Column("kind", String, nullable=False),
    Column("created", Float, nullable=False),
    Column("next", Float, nullable=False),  # when it is tried (again); 0: not any more
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("delivered", Float, nullable=False, server_default="0"),
    Column("error", String, nullable=False, server_default=""),
    Index("deliveries_next", "next", sqlite_where=text("next > 0"), postgresql_where=text("next > 0")),
    Index("deliveries_webhook", "webhook_id", "id"),
)
