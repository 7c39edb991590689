"""The tables: jobs and their append-only events; the queue's columns, workers, results to be reused, bugs, budgets."""

from sqlalchemy import JSON, Column, Float, ForeignKey, Index, Integer, MetaData, String, Table, UniqueConstraint, text

metadata = MetaData()

OPEN = "state IN ('new', 'interrupted', 'reopened')"
"""There is something left to do; SQL. The same words in an index and in a query, or the index is not used."""
WAITING = f"queued = 1 AND paused = 0 AND cancelled = 0 AND {OPEN}"
"""A worker may take the job, or has it; SQL."""


def _number(name: str, default: int | float = 0) -> Column[float]:
    return Column(name, Float, nullable=False, server_default=str(default))


def _count(name: str, default: int = 0) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default=str(default))


def _text(name: str, default: str = "") -> Column[str]:
    return Column(name, String, nullable=False, server_default=default)


jobs = Table(
    "jobs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("created", Float, nullable=False),  # seconds since the epoch
    Column("job", JSON, nullable=False),  # firstbad.job.Job
    _count("cancelled"),
    # Whose it is and how it is asked for; `key` is the client's name for this one request, unique in its project.
    _text("project", "default"),
    _text("submitted_by"),
    _count("private"),
    Column("key", String),
    _text("crash_key"),
    # The queue. The lower `priority` goes first. `attempts` are claims since the job last got further; `worked` seconds
    # of work, `most_seconds` after which it ends with the best answer so far (0: no limit); times since the epoch.
    _count("queued"),
    _count("priority"),
    _count("attempts"),
    _number("not_before"),
    _count("paused"),
    _number("worked"),
    _number("most_seconds"),
    _text("owner"),
    _text("token"),
    _number("leased_until"),
    # What lists show, kept by store/summary.py in the transaction of each event. Seconds; `seq` is the last event's
    # number, -1: none.
    _text("kind"),
    _text("name"),
    _text("state", "new"),
    _text("title"),
    _text("status"),
    _text("culprit"),
    _text("culprit_title"),
    _number("confidence"),
    _number("started"),
    _number("finished"),
    _count("builds"),
    _count("runs"),
    _number("cost"),
    _count("opinions"),
    _count("seq", -1),
    Index("jobs_key", "project", "key", unique=True),
    Index("jobs_crash", "crash_key", "project"),
    Index("jobs_project", "project", "id"),
    Index(
        "jobs_waiting",
        "priority",
        "attempts",
        "id",
        sqlite_where=text(WAITING),
        postgresql_where=text(WAITING),
    ),
    Index("jobs_leased", "project", sqlite_where=text("token <> ''"), postgresql_where=text("token <> ''")),
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_id", Integer, ForeignKey("jobs.id"), nullable=False),
    Column("seq", Integer, nullable=False),  # 0, 1, 2, ... within the job
    Column("time", Float, nullable=False),  # seconds since the epoch
    Column("kind", String, nullable=False),
    Column("data", JSON, nullable=False),
    Column("uid", String),  # made by who appended it: by this an event is known whose commit was never answered
    UniqueConstraint("job_id", "seq"),
    Index("events_mail", "id", sqlite_where=text("kind = 'mail'"), postgresql_where=text("kind = 'mail'")),
)

# Runs and builds by what they are made from: whoever asks for the same gets these.
results = Table(
    "results",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String, nullable=False),  # run or build
    Column("key", String, nullable=False),
    Column("job_id", Integer, ForeignKey("jobs.id"), nullable=False),
    Column("seq", Integer, nullable=False),  # of the event that told it first
    Column("data", JSON, nullable=False),
    Index("results_key", "kind", "key", "id"),
)

workers = Table(
    "workers",
    metadata,
    Column("owner", String, primary_key=True),  # store/owner.py
    Column("host", String, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started", Float, nullable=False),
    Column("seen", Float, nullable=False),  # last sign of life
    Column("state", String, nullable=False),  # idle, working, waiting (for the database or disk), ending, gone
    Column("job_id", Integer),
    Column("data", JSON, nullable=False),  # version, data directory, free disk, machines at a time
)

# One crash in one tree, however often it was reported: which job looks for its cause, and when a fix was looked for.
bugs = Table(
    "bugs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project", String, nullable=False),
    Column("crash_key", String, nullable=False),
    Column("job_id", Integer, ForeignKey("jobs.id"), nullable=False),
    Column("first_seen", Float, nullable=False),
    Column("last_seen", Float, nullable=False),
    _count("seen", 1),
    _text("head"),  # full hash of the head that was tried last for a fix
    _number("looked"),  # when somebody last looked whether a fix can be searched for
    Column("fix_job", Integer),  # the last search for a fix
    Index("bugs_key", "project", "crash_key", unique=True),
)

budgets = Table(
    "budgets",
    metadata,
    Column("project", String, primary_key=True),
    _number("seconds"),  # of work on jobs of the last 30 days; 0: no limit
    _count("running"),  # jobs at once; 0: no limit
)
