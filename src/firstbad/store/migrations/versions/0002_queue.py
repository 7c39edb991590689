"""The queue, what lists show, workers, results, bugs, budgets."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_OPEN = "state IN ('new', 'interrupted', 'reopened')"
_WAITING = f"queued = 1 AND paused = 0 AND cancelled = 0 AND {_OPEN}"


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def upgrade() -> None:
    """Add columns and tables. Jobs of before get -2 as their last event's number: the store then sums them up."""
    for kind, columns in (
        (
            sa.Integer,
            "private queued priority attempts paused builds runs opinions",
        ),
        (sa.Float, "not_before worked most_seconds leased_until confidence started finished cost"),
        (sa.String, "submitted_by crash_key owner token kind name title status culprit culprit_title"),
    ):
        default = "" if kind is sa.String else "0"
        for name in columns.split():
            op.add_column("jobs", sa.Column(name, kind, nullable=False, server_default=default))
    op.add_column("jobs", sa.Column("project", sa.String, nullable=False, server_default="default"))
    op.add_column("jobs", sa.Column("key", sa.String))
    op.add_column("jobs", sa.Column("state", sa.String, nullable=False, server_default="new"))
    op.add_column("jobs", sa.Column("seq", sa.Integer, nullable=False, server_default="-1"))
    op.execute("UPDATE jobs SET seq = -2")
    op.create_index("jobs_key", "jobs", ["project", "key"], unique=True)
    op.create_index("jobs_crash", "jobs", ["crash_key", "project"])
    op.create_index("jobs_project", "jobs", ["project", "id"])
    op.create_index("jobs_waiting", "jobs", ["priority", "attempts", "id"], **_where(_WAITING))
    op.create_index("jobs_leased", "jobs", ["project"], **_where("token <> ''"))
    op.add_column("events", sa.Column("uid", sa.String))
    op.create_index("events_mail", "events", ["id"], **_where("kind = 'mail'"))
    _tables()


def _tables() -> None:
    op.create_table(
        "results",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("job_id", sa.Integer, sa.ForeignKey("jobs.id"), nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sa.Index("results_key", "kind", "key", "id"),
    )
    op.create_table(
        "workers",
        sa.Column("owner", sa.String, primary_key=True),
        sa.Column("host", sa.String, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("started", sa.Float, nullable=False),
        sa.Column("seen", sa.Float, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("job_id", sa.Integer),
        sa.Column("data", sa.JSON, nullable=False),
    )
    op.create_table(
        "bugs",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("project", sa.String, nullable=False),
        sa.Column("crash_key", sa.String, nullable=False),
        sa.Column("job_id", sa.Integer, sa.ForeignKey("jobs.id"), nullable=False),
        sa.Column("first_seen", sa.Float, nullable=False),
        sa.Column("last_seen", sa.Float, nullable=False),
        sa.Column("seen", sa.Integer, nullable=False, server_default="1"),
        sa.Column("head", sa.String, nullable=False, server_default=""),
        sa.Column("looked", sa.Float, nullable=False, server_default="0"),
        sa.Column("fix_job", sa.Integer),
        sa.Index("bugs_key", "project", "crash_key", unique=True),
    )
    op.create_table(
        "budgets",
        sa.Column("project", sa.String, primary_key=True),
        sa.Column("seconds", sa.Float, nullable=False, server_default="0"),
        sa.Column("running", sa.Integer, nullable=False, server_default="0"),
    )
