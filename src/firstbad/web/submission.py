"""A job that comes from elsewhere: what it may name, and whose it is."""

import copy
import json
from dataclasses import dataclass
from typing import Any

from firstbad.errors import InfrastructureError, NotFoundError, UserError
from firstbad.history.git import Repo
from firstbad.job import Job, make_job, validated
from firstbad.references import (
    REPOSITORIES,
    fields,
    is_reference,
    placed,
    to_repository,
    to_upload,
)
from firstbad.session import find_question, history_of, project_question
from firstbad.session.materials import provide_repository
from firstbad.store.access import ALL, Repository
from firstbad.store.queue import Submitted
from firstbad.web.auth import Viewer
from firstbad.web.site import Site

MOST_LETTERS = 2 << 20  # of a job as JSON; a patch to be tested is in it
# Paths that only who sits at this machine may name: qcow2 images name files of the host, a compiler is run as it is.
_LOCAL = ("machine.image", "machine.ssh_key")


@dataclass(frozen=True)
class Wishes:
    """How a job is queued; see :meth:`firstbad.store.queue.Queue.submit`. ``project`` empty: the viewer's."""

    project: str = ""
    key: str = ""
    priority: int = 0
    not_before: float = 0.0
    most_seconds: float = 0.0
    deduplicate: bool = False


def project_for(site: Site, viewer: Viewer, wanted: str) -> str:
    """The project that a viewer means. Raises UserError, NotFoundError."""
    own = sorted(viewer.projects) if viewer.projects is not None else ["default"]
    project = wanted or (own[0] if len(own) == 1 else "")
    if not project or not viewer.of(project):
        raise UserError(f"name one of your projects: {', '.join(own)}")
    if project == ALL:
        raise UserError("a job is of one project")
    site.access.check_project(project)
    return project


def accept(site: Site, viewer: Viewer, data: dict[str, Any], wishes: Wishes) -> Submitted:
    """Check a job (as JSON) and put it into the queue. Raises UserError, NotFoundError."""
    project = project_for(site, viewer, wishes.project)
    job, digests = checked(site, viewer, project, data)
    made = site.queue.submit(
        job,
        project=project,
        submitted_by=viewer.name,
        key=wishes.key,
        priority=wishes.priority,
        not_before=wishes.not_before,
        most_seconds=wishes.most_seconds,
        deduplicate=wishes.deduplicate,
    )
    if made.new:
        site.files.use(made.number, project, digests)
    return made


def checked(site: Site, viewer: Viewer, project: str, data: dict[str, Any]) -> tuple[Job, list[str]]:
    """A job as it may be stored, with this machine's paths, and the uploads that it needs. Raises UserError."""
    _check_letters(data)
    data = copy.deepcopy(data)
    known, digests = _named(site, viewer, project, data)
    if not viewer.local:
        _check_remote(data, known)
    placed(data, site.home.root)
    job = make_job(data, "job") if viewer.local and not digests and known is None else validated(data, "job")
    if job.test.reference:
        learned_from = site.store.job(job.test.reference)
        if not viewer.sees(learned_from.project, learned_from.private):
            raise NotFoundError(f"there is no job {job.test.reference}")
    _check_revisions(site, job, known)
    return job, digests


def _check_letters(data: dict[str, Any]) -> None:
    try:
        letters = json.dumps(data, ensure_ascii=False).encode()
    except (UnicodeEncodeError, ValueError, RecursionError):
        raise UserError("job: a text holds half of a character, or a number is none") from None
    if len(letters) > MOST_LETTERS:
        raise UserError(f"job: more than {MOST_LETTERS >> 20} MiB; upload files instead")
    if b"\\u0000" in letters:
        raise UserError("job: a text holds a NUL")


def _named(site: Site, viewer: Viewer, project: str, data: dict[str, Any]) -> tuple[Repository | None, list[str]]:
    """Turn what the fields name into references; the repository (None: a path of this machine), uploads' digests."""
    repository, digests = None, []
    for field, value, put, is_directory in fields(data):
        if is_directory:
            found = _repository(site, viewer, field, value)
            if found is not None:
                put(to_repository(found.name))
            repository = found if field == "repo" else repository
        elif value.startswith("sha256:"):
            digest, _, name = value.removeprefix("sha256:").partition("/")
            reference = to_upload(digest, name or field.split(".")[-1])
            if not is_reference(reference) or site.files.size(project, digest) is None:
                raise NotFoundError(f"job: {field}: {value[:100]!r} was not uploaded; POST /api/v1/files does")
            put(reference)
            digests.append(digest)
        elif not viewer.local and not is_reference(value):
            raise UserError(f"job: {field}: a path says nothing here; upload the file and write sha256:DIGEST/NAME")
    return repository, digests


def _repository(site: Site, viewer: Viewer, field: str, value: str) -> Repository | None:
    if viewer.local and value.startswith(("/", ".")):
        return None
    try:
        return site.access.repository(value.removeprefix("repository:"))
    except NotFoundError as error:
        raise NotFoundError(f"job: {field}: {error}") from None


def _check_remote(data: dict[str, Any], repository: Repository | None) -> None:
    """What only who sits at this machine may ask of it, or who may run commands on it. Raises UserError."""
    for field, *_ in fields(data):
        if field in _LOCAL:
            raise UserError(f"job: {field}: only for jobs that are submitted at the machine itself")
    tables = [data.get(name) for name in ("build", "project", "test", "machine")]
    build, project, test, machine = (table if isinstance(table, dict) else {} for table in tables)
    if build.get("toolchain_dirs"):
        raise UserError("job: build.toolchain_dirs: only for jobs that are submitted at the machine itself")
    if project.get("directory"):
        raise UserError("job: project.directory: only for jobs that are submitted at the machine itself")
    patched = any(field.startswith("build.fixes.") for field, *_ in fields(data))
    # A user-mode kernel and its guest are processes of the host, and its parameters can name programs to start.
    user_mode = build.get("arch") == "um" or machine.get("backend") == "uml"
    if (project or test.get("patch") or patched or user_mode) and not (repository and repository.commands):
        raise UserError(
            "job: commands, patches and user-mode kernels run on the workers as they are; the administrator allows "
            "that for a repository by `firstbad repository add --commands`"
        )


def _check_revisions(site: Site, job: Job, known: Repository | None) -> None:
    """What is wrong with the revisions, as far as this machine has the repository. Raises UserError, NotFoundError."""
    if known is not None:
        if "://" in known.place and not (site.home.root / REPOSITORIES / known.name / "HEAD").exists():
            return  # a mirror is made by whoever works on the job
        try:
            provide_repository(site.home, known)
        except (NotFoundError, InfrastructureError):
            return
    try:
        if job.project is not None:
            project_question(Repo(job.repo), job)
        else:
            find_question(history_of(job), job)
    except UserError as error:
        # Where this machine keeps the repository is nobody's business.
        raise UserError(str(error).replace(str(job.repo), known.name if known else job.repo.name)) from None
