"""The tables: jobs and their append-only events."""

from sqlalchemy import JSON, Column, Float, ForeignKey, Integer, MetaData, String, Table, UniqueConstraint

metadata = MetaData()

jobs = Table(
    "jobs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("created", Float, nullable=False),  # seconds since the epoch
    Column("job", JSON, nullable=False),  # firstbad.job.Job
    Column("cancelled", Integer, nullable=False, server_default="0"),
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
    UniqueConstraint("job_id", "seq"),
)
