"""What the API answers with; FastAPI makes the OpenAPI document from these. Times are seconds since the epoch."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from firstbad.store import StoredJob

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


class Error(BaseModel):
    """Why a request was not done, in one line for people, with the way out."""

    error: str


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Error answers of a route, for the document."""
    return {status: {"model": Error} for status in statuses}


class Who(BaseModel):
    """Who asks."""

    name: str
    scope: str
    projects: list[str] | None = Field(description="null: all")


class JobSummary(BaseModel):
    """A job as lists show it."""

    model_config = ConfigDict(from_attributes=True)

    job: int = Field(validation_alias="id")
    kind: str
    name: str
    project: str
    private: bool
    submitted_by: str
    created: float
    standing: str = Field(
        description="running, waiting, paused, new, interrupted, reopened, finished, failed, cancelled, out of time"
    )
    priority: int
    title: str = Field(description="of the crash")
    status: str = Field(description="of the answer, as `firstbad show --json` has it; empty: none yet")
    culprit: str
    culprit_title: str
    confidence: float
    started: float
    finished: float
    builds: int
    runs: int
    cost: float = Field(description="seconds of builds and runs")
    seq: int = Field(description="number of the last event; -1: none")


class JobDetail(JobSummary):
    """A job with what was asked for and its result so far."""

    cancelled: bool
    paused: bool
    request: dict[str, Any] = Field(description="the job, as it was submitted")
    result: dict[str, Any] = Field(description="as `firstbad show --json` prints it")


class JobList(BaseModel):
    """A page of jobs, newest first."""

    jobs: list[JobSummary]
    older: int | None = Field(description="pass it as `before` for the next page; null: this was the last")


class Submitted(BaseModel):
    """A submitted job."""

    job: int
    new: bool
    why: str = Field(description="where it is not new: 'key' (asked for before) or 'crash' (the same crash is known)")


class EventOut(BaseModel):
    """One fact about a job."""

    seq: int
    time: float
    kind: str
    data: dict[str, Any]


class EventList(BaseModel):
    """Events in order."""

    events: list[EventOut]
    standing: str


class Candidate(BaseModel):
    """A commit of the answer."""

    commit: str
    title: str
    probability: float


class Candidates(BaseModel):
    """The answer, or the most probable commit while there is none."""

    status: str
    confidence: float
    candidates: list[Candidate]


class RevisionOut(BaseModel):
    """What is known of one tested revision; numbers are runs."""

    commit: str
    title: str
    role: str = Field(description="start, culprit, parent, or empty")
    verdict: str
    crashes: int
    other: int = Field(description="ended in another crash")
    clean: int
    unreached: int = Field(description="of the clean ones: did not come near the code of the crash")
    failed: int = Field(description="did not boot, or the machine failed")
    reach: str
    build: str
    told: str = Field(description="runs that were made elsewhere")


class Evidence(BaseModel):
    """What the answer rests on."""

    crash_title: str
    crash_report: str
    rate: float | None = Field(description="how often the crash shows where the bug is")
    revisions: list[RevisionOut]
    proof: str
    proof_why: str
    opinions: list[str]


class ArtifactOut(BaseModel):
    """A file that a job made or was made from, on this server."""

    name: str
    kind: str = Field(description="console, image, config, build log, sources, symbols, reproducer")
    commit: str
    size: int


class ArtifactList(BaseModel):
    """All of a job's that this server has."""

    artifacts: list[ArtifactOut]


class Overruling(BaseModel):
    """What somebody says of a revision, or of the culprit."""

    model_config = ConfigDict(extra="forbid")

    says: str = Field(pattern="^(good|bad|ignore|wrong)$", description="wrong: of the culprit that the job names")
    revision: str = Field(default="", max_length=300, description="not for 'wrong'")
    why: str = Field(default="", max_length=2000, description="others have to be able to judge it")
    undo: bool = Field(default=False, description="take it back")


class OpinionOut(BaseModel):
    """An opinion that was recorded."""

    commit: str
    words: str


class Uploaded(BaseModel):
    """A file that was uploaded. ``file`` goes into a job's field."""

    file: str
    size: int


class RepositoryOut(BaseModel):
    """A repository that jobs may name."""

    name: str
    commands: bool = Field(description="its jobs may run commands, patches and user-mode kernels on the workers")


class WebhookIn(BaseModel):
    """Who is to be told."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(max_length=2000)
    project: str = Field(default="", pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,63})?$", description="empty: yours")


class WebhookOut(BaseModel):
    """A webhook; its secret is told once, when it is made."""

    id: int
    project: str
    url: str
    created: float
    created_by: str
    secret: str | None = None


class DeliveryOut(BaseModel):
    """What was or is to be told to a webhook."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    job_id: int
    seq: int
    kind: str
    created: float
    next: float = Field(description="when it is tried next; 0: no more")
    attempts: int
    delivered: float
    error: str


def summary(stored: StoredJob) -> JobSummary:
    """A job for a list."""
    return JobSummary.model_validate(stored)
