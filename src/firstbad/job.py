"""What is asked for: one schema for the job file (TOML), the command line's options and, later, an API body."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from firstbad.errors import NotFoundError, UserError
from firstbad.job_text import LARGEST, parse_toml
from firstbad.references import NOTHING, is_reference

Kind = Literal["cause", "fix", "test"]
_VERSION = r"^(v?\d{1,9}\.\d{1,9}(\.\d{1,9})?)?$"
BugClass = Literal["crash", "hang", "leak", "boot", "test", "metric"]


def _no_option(revision: str) -> str:
    if revision.startswith("-"):
        raise ValueError(f"a revision can't begin with '-': {revision!r}")
    return revision


Revision = Annotated[str, AfterValidator(_no_option)]
"""Whatever git understands as one, and no option of git's."""


class Symptom(BaseModel):
    """What counts as the bug; the ``[bug]`` table of a job file. ``session/symptom.py`` judges by it.

    ``crash``: a report that is like the start commit's. ``hang``: the machine stops answering, or the kernel reports a
    hang. ``leak``: kmemleak reports one after the reproducer (needs CONFIG_DEBUG_KMEMLEAK). ``boot``: the machine does
    not come up. ``test``: the reproducer fails, by its exit status as ``git bisect run`` reads it, or does not end in
    time. ``metric``: the number that the reproducer prints after the name ``metric`` is on the worse side of
    ``threshold``.
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    kind: BugClass = Field(default="crash", alias="class")
    metric: str = Field(default="", max_length=100, description="metric only: the number's name, as it is printed")
    threshold: float | None = Field(default=None, allow_inf_nan=False, description="metric only")
    worse: Literal["above", "below"] = Field(default="above", description="metric only: which side of it is bad")

    @model_validator(mode="after")
    def _complete(self) -> "Symptom":
        if self.kind == "metric" and (not self.metric.strip() or self.threshold is None):
            raise ValueError("class 'metric' needs the number's name ('metric') and a 'threshold'")
        if self.kind != "metric" and (self.metric or self.threshold is not None):
            raise ValueError(f"'metric' and 'threshold' are for class 'metric' only, this is {self.kind!r}")
        return self


class Machine(BaseModel):
    """The virtual machine that a run gets. Times are seconds, memory is MiB."""

    model_config = ConfigDict(extra="forbid")

    cpus: int = Field(default=2, ge=1, le=64, description="races may need two")
    memory_mb: int = Field(default=512, ge=64, description="MiB")
    boot_seconds: float = Field(default=60, gt=0, description="limit")
    run_seconds: float = Field(default=30, gt=0, description="limit; a run that shows nothing by then is clean")
    append: str = Field(default="", description="extra kernel parameters")
    backend: Literal["qemu", "uml"] = Field(default="qemu", description="uml: user-mode Linux, for build.arch 'um'")
    image: Path | None = Field(
        default=None, description="disk image with sshd, in place of our initramfs; raw or qcow2"
    )
    ssh_key: Path | None = Field(default=None, description="key for root of the image; without: no password")
    root: str = Field(default="", description="root device of the image; empty: /dev/vda or its first partition")
    snapshot: int = Field(
        default=0, ge=0, le=1000, description="runs that share one boot; 0: every run boots (docs/lab.md: when it pays)"
    )
    keep: bool = Field(default=False, description="leave the first machine that shows the bug, for gdb")
    parallel: int = Field(
        default=0, ge=0, le=256, description="machines at a time; 0: as many as the host's cores and memory allow"
    )


class OwnFix(BaseModel):
    """A commit to cherry-pick, or a patch, that some revisions need to build or boot; ``[[build.fixes]]``.

    It is left out of revisions that have it already, by its title too, and of those without the ``guilty`` commit.
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    commit: str = Field(default="", description="a commit of the repository")
    patch: Path | None = Field(default=None, description="a file; relative to the job file")
    guilty: str = Field(default="", description="the commit that it fixes")
    since: str = Field(default="", alias="from", pattern=_VERSION, description="first release that needs it: v5.4")
    until: str = Field(default="", pattern=_VERSION, description="last release that needs it")

    @model_validator(mode="after")
    def _one(self) -> "OwnFix":
        if bool(self.commit) == (self.patch is not None):
            raise ValueError("either 'commit' or 'patch' must be given")
        for name in (self.commit, self.guilty):
            _no_option(name)
        return self


class Build(BaseModel):
    """How kernels are built."""

    model_config = ConfigDict(extra="forbid")

    config_base: Literal["none", "tinyconfig", "allnoconfig", "defconfig"] = "none"
    toolchain: str = Field(
        default="", description="a name of kernel/toolchains.toml, or 'gcc' or 'clang': by release; empty: gcc"
    )
    toolchain_dirs: list[Path] = Field(default_factory=list, description="where compilers are that are not on PATH")
    arch: str = Field(default="x86_64", description="a name of kernel/architectures.toml")
    jobs: int = Field(default=0, ge=0, description="make -j; 0: one per CPU")
    builtin_fixes: bool = Field(default=True, description="apply what old trees need, kernel/fixes.toml")
    fixes: list[OwnFix] = Field(default_factory=list)
    sanitizers: Literal["keep", "needed"] = Field(
        default="keep",
        description="needed: those that the type of the crash does not need are switched off, if it stays",
    )
    minimize_steps: int = Field(default=12, ge=1, description="kernels that minimization against a baseline may build")
    minimize_hours: float = Field(default=3.0, gt=0, description="time after which minimization ends with what it has")
    verify: Literal["clean", "full", "off"] = Field(
        default="clean",
        description="build culprit and parents again in fresh directories and compare; full: without any compile cache",
    )


class Retest(BaseModel):
    """What only a job of the kind ``test`` has: one revision, ``commit``, is asked whether the bug is there."""

    model_config = ConfigDict(extra="forbid")

    patch: str = Field(default="", description="applied to the revision; bytes as latin-1 text")
    reference: int = Field(default=0, ge=0, description="job that saw the bug and learned its crash rate; 0: none")
    measure: bool = Field(default=False, description="the bug is there: how often it shows is what is asked")
    rate: float | None = Field(default=None, gt=0, le=1, description="crash rate to assume without a reference")
    runs: int = Field(default=500, ge=1, le=100_000, description="clean runs after which no more are made")


class Reproduction(BaseModel):
    """How the reproducer is made and run; the ``[reproducer]`` table of a job file.

    What is None is as the reproducer says itself, in the options that syzkaller writes at its head.
    """

    model_config = ConfigDict(extra="forbid")

    arch: str = Field(default="", description="userspace, a name of repro/targets.toml; empty: the kernel's")
    syzkaller: Path | None = Field(
        default=None, description="a git clone of syzkaller, for syz programs; else $FIRSTBAD_SYZKALLER"
    )
    syzkaller_commit: Revision = Field(default="", description="its revision that found the crash; empty: HEAD")
    busybox: Path | None = Field(default=None, description="static, for scripts on other architectures")
    sandbox: Literal["none", "setuid", "namespace", "android"] | None = None
    threaded: bool | None = None
    collide: bool | None = None
    procs: int | None = Field(default=None, ge=1, le=64)
    repeat_times: int | None = Field(default=None, ge=0, description="0: until the time is up")
    slowdown: int | None = Field(default=None, ge=1, le=100)

    def options(self) -> dict[str, Any]:
        """What the job says instead of the reproducer."""
        names = ("sandbox", "threaded", "collide", "procs", "repeat_times", "slowdown")
        said = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return said | ({"repeat": True} if "repeat_times" in said else {})


class Reporting(BaseModel):
    """How the answer is reported by mail; the ``[report]`` table of a job file. Nothing is sent unasked."""

    model_config = ConfigDict(extra="forbid")

    confidence: float = Field(default=0.99, ge=0.5, lt=1, description="an answer less probable is reported to nobody")
    message_id: str = Field(default="", description="of the mail that reported the crash: the report replies to it")
    references: list[str] = Field(default_factory=list, description="what that mail refers to, oldest first")
    subject: str = Field(default="", description="of that mail")
    link: str = Field(default="", description="where the crash is reported; else made from 'message_id'")
    reported_by: str = Field(
        default="", description="'Name <address>' who reported the crash; empty: who sends the mail"
    )
    to: list[str] = Field(default_factory=list, description="who else is told")
    cc: list[str] = Field(default_factory=list)
    regzbot: bool = Field(default=True, description="have the regression tracker told; for a cause only")


class Project(BaseModel):
    """How any project is built and tested, in place of a kernel; the ``[project]`` table. Seconds; 0: no limit.

    ``command`` ends with 0 (good), 125 (this revision can't be tested), 1 to 127 (bad), or 128 and above, which ends
    the job, as `git bisect run` has it.
    """

    model_config = ConfigDict(extra="forbid")

    command: list[str] = Field(min_length=1, description="the test, without a shell")
    build: str = Field(default="", description="for sh -c, once in each revision's own directory; failing: skip")
    jobs: int = Field(default=1, ge=1, le=256, description="builds and runs at a time")
    runs_max: int = Field(
        default=0,
        ge=0,
        description="runs after which the job ends with what is known, as many more when it is resumed; 0: no limit",
    )
    timeout: float = Field(default=3600, ge=0, description="of one run of the test")
    timeout_is_bad: bool = Field(default=False, description="a run over the limit fails; else it says nothing")
    build_timeout: float = Field(default=0, ge=0)
    match: str = Field(default="", description="regular expression: a failing run counts if its output matches")
    metric: str = Field(default="", description="for sh -c, after a test that ended with 0: prints a number")
    crash_is_bad: bool = Field(default=False, description="death by a signal, and 128 and above, are bad")
    confirm: bool = Field(default=True, description="run culprit and parents until each of them is proved")
    directory: str = Field(default="", description="where the command line was given; relative names are from there")

    @field_validator("match")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return value


class Job(BaseModel):
    """One bisection (or test): what crashes where, and how sure the answer has to be.

    ``repo``, ``config``, ``baseline`` and ``repro`` are absolute paths once the job is loaded; ``commit``, ``head`` and
    ``good`` are whatever revision names git understands.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Kind = Field(default="cause", description="which commit broke it, which one fixed it, or one revision's test")
    name: str = Field(default="", description="for people")
    repo: Path = Field(description="a git clone; over the API the name of a repository")
    config: Path = Field(description="the kernel's .config; brought up to date for each revision")
    baseline: Path | None = Field(
        default=None, description="a smaller configuration; what the crash does not need goes"
    )
    repro: Path = Field(description="C source, a static program, a script, or a syz program")
    commit: Revision = Field(default="HEAD", description="where the crash was seen")
    commit_title: str = Field(
        default="", description="title of 'commit': finds it again on the branch (HEAD; fix: head) after a rebase"
    )
    release_tags: list[str] = Field(
        default_factory=list, description="what release tags look like, as in 'Ubuntu-{major}.{minor}.{patch}-{abi}'"
    )
    head: Revision = Field(default="", description="fix only: tip of the branch where the crash is gone; empty: HEAD")
    title: str = Field(default="", description="crash title; empty: learned at the start commit")
    good: list[str] = Field(default_factory=list, description="cause: revisions known to be good; they are tested")
    path: list[str] = Field(default_factory=list, description="paths that the culprit probably touches")
    target: float = Field(default=0.99, gt=0.5, lt=1, description="how probable the answer has to be")
    prove: bool = Field(default=True, description="revert the culprit on the start commit: the crash must go")
    priors: bool = Field(default=True, description="use what history knows (files), never to decide")
    reproducer: Reproduction = Reproduction()
    private: bool = Field(default=False, description="embargoed: nothing about it leaves this machine")
    report: Reporting = Reporting()
    reach: bool = Field(default=True, description="have clean runs tell whether they came to the crash's code")
    bug: Symptom = Symptom()
    test: Retest = Retest()
    project: Project | None = Field(default=None, description="any project: no kernel is built, see `firstbad run`")
    machine: Machine = Machine()
    build: Build = Build()

    @model_validator(mode="before")
    @classmethod
    def _nothing_to_run(cls, data: Any) -> Any:
        """Whether a kernel boots is seen without a reproducer; other projects have neither that nor a configuration."""
        bug = data.get("bug") if isinstance(data, dict) else None
        if isinstance(data, dict) and data.get("project"):
            return {"config": str(NOTHING), "repro": str(NOTHING), "reach": False, "prove": False, **data}
        if isinstance(bug, dict) and "boot" in (bug.get("class"), bug.get("kind")):
            return {"repro": str(NOTHING), **data}
        return data

    @field_validator("good")
    @classmethod
    def _no_options(cls, value: list[str]) -> list[str]:
        return [_no_option(item) for item in value]

    @model_validator(mode="after")
    def _user_mode(self) -> "Job":
        """User-mode Linux is a machine and an architecture: naming one names the other."""
        if self.machine.backend == "uml" and "arch" not in self.build.model_fields_set:
            self.build.arch = "um"
        if self.build.arch == "um" and "backend" not in self.machine.model_fields_set:
            self.machine.backend = "uml"
        if (self.machine.backend == "uml") != (self.build.arch == "um"):
            raise ValueError(f"machine.backend {self.machine.backend!r} can't run build.arch {self.build.arch!r}")
        if self.machine.image and self.machine.backend == "uml":
            raise ValueError("machine.image is for machines of QEMU")
        if self.machine.keep and self.machine.backend == "uml":
            raise ValueError("machine.keep is for machines of QEMU")
        if self.machine.image and self.bug.kind == "leak":
            raise ValueError("class 'leak' needs our own initramfs: it can't be had with machine.image")
        return self

    @model_validator(mode="after")
    def _kinds(self) -> "Job":
        if self.kind == "cause" and self.head:
            raise ValueError("'head' is for fix bisections only; a cause bisection starts at 'commit'")
        if self.kind == "test" and (self.head or self.good):
            raise ValueError("'head' and 'good' are for bisections; a test is of 'commit'")
        if self.kind != "test" and self.test != Retest():
            raise ValueError("[test] is for jobs of the kind 'test' only, see `firstbad test`")
        if self.kind == "fix" and self.good and self.project is None:
            raise ValueError("'good' is for cause bisections only; a fix bisection ends at 'head'")
        return self


def load_job(path: Path, overrides: dict[str, Any] | None = None) -> Job:
    """Read a job file; relative paths in it are relative to the file. ``overrides`` come from the command line.

    Raises NotFoundError and UserError that name the file, the field and the reason.
    """
    return make_job(merged(read_job(path), overrides or {}), str(path))


def read_job(path: Path, elsewhere: bool = False) -> dict[str, Any]:
    """What a job file says, with paths from here. ``elsewhere``: its repositories are names that a server knows.

    Raises NotFoundError and UserError.
    """
    try:
        with path.open("rb") as file:
            data = parse_toml(file.read(LARGEST + 1).decode(), str(path))
    except FileNotFoundError:
        raise NotFoundError(f"{path}: no such job file") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a TOML job file: {error}") from None
    except OSError as error:
        raise UserError(f"{path}: can't be read: {error.strerror}") from None
    for key in ("repo", "config", "baseline", "repro"):
        if isinstance(data.get(key), str) and not is_reference(data[key]) and not (elsewhere and key == "repo"):
            data[key] = str(path.parent / data[key])
    machine = data.get("machine")
    for key in ("image", "ssh_key"):
        if isinstance(machine, dict) and isinstance(machine.get(key), str):
            machine[key] = str(path.parent / machine[key])
    reproducer = data.get("reproducer")
    for key in ("busybox",) if elsewhere else ("syzkaller", "busybox"):
        if isinstance(reproducer, dict) and isinstance(reproducer.get(key), str):
            reproducer[key] = str(path.parent / reproducer[key])
    build = data.get("build")
    for fix in build.get("fixes", []) if isinstance(build, dict) and isinstance(build.get("fixes"), list) else []:
        if isinstance(fix, dict) and isinstance(fix.get("patch"), str):
            fix["patch"] = str(path.parent / fix["patch"])
    if isinstance(build, dict) and isinstance(build.get("toolchain_dirs"), list):
        build["toolchain_dirs"] = [str(path.parent.absolute() / str(name)) for name in build["toolchain_dirs"]]
    return data


def merged(data: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """The fields of a job with others over them; tables field by field."""
    tables = {key: {**data.get(key, {}), **value} for key, value in over.items() if isinstance(value, dict)}
    return {**data, **over, **tables}


def validated(data: dict[str, Any], origin: str = "options") -> Job:
    """A job whose fields are what they should be; the files that it names are not looked at. Raises UserError."""
    try:
        return Job.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "job"
        reason = "missing" if first["type"] == "missing" else first["msg"].removeprefix("Value error, ")
        raise UserError(f"{origin}: {field}: {reason}") from None


def make_job(data: dict[str, Any], origin: str = "options") -> Job:
    """Validate ``data`` and the files it names. Raises NotFoundError, UserError."""
    job = validated(data, origin)
    for key, kind in (("repo", "directory"), ("config", "file"), ("baseline", "file"), ("repro", "file")):
        if getattr(job, key) is None or is_reference(str(getattr(job, key))):
            continue
        value: Path = getattr(job, key).absolute()
        if not (value.is_dir() if kind == "directory" else value.is_file()):
            raise NotFoundError(f"{origin}: {key}: no such {kind}: {value}")
        setattr(job, key, value)
    for key in ("image", "ssh_key"):
        file: Path | None = getattr(job.machine, key)
        if file is not None and not file.is_file():
            raise NotFoundError(f"{origin}: machine.{key}: no such file: {file.absolute()}")
        setattr(job.machine, key, file and file.absolute())
    for key, kind in (("syzkaller", "directory"), ("busybox", "file")):
        named: Path | None = getattr(job.reproducer, key)
        if named is not None and not is_reference(str(named)):
            setattr(job.reproducer, key, named.absolute())
            if not (named.is_dir() if kind == "directory" else named.is_file()):
                raise NotFoundError(f"{origin}: reproducer.{key}: no such {kind}: {named.absolute()}")
    for index, fix in enumerate(job.build.fixes, 1):
        if fix.patch is not None and not is_reference(str(fix.patch)):
            fix.patch = fix.patch.absolute()
            if not fix.patch.is_file():
                raise NotFoundError(f"{origin}: build.fixes.{index}.patch: no such file: {fix.patch}")
    return job
