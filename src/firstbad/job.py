"""What is asked for: one schema for the job file (TOML), the command line's options and, later, an API body."""

import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from firstbad.errors import NotFoundError, UserError

Kind = Literal["cause", "fix"]


class Machine(BaseModel):
    """The virtual machine that a run gets. Times are seconds, memory is MiB."""

    model_config = ConfigDict(extra="forbid")

    cpus: int = Field(default=2, ge=1, le=64)
    memory_mb: int = Field(default=512, ge=64)
    boot_seconds: float = Field(default=60, gt=0)
    run_seconds: float = Field(default=30, gt=0)
    append: str = Field(default="", description="extra kernel parameters")
    parallel: int = Field(
        default=0, ge=0, le=256, description="machines at a time; 0: one per two host CPUs, at least 2"
    )


class Build(BaseModel):
    """How kernels are built."""

    model_config = ConfigDict(extra="forbid")

    config_base: Literal["none", "tinyconfig", "allnoconfig", "defconfig"] = "none"
    toolchain: str = Field(default="", description="a name of kernel/toolchains.toml; empty: chosen by release")
    jobs: int = Field(default=0, ge=0, description="make -j; 0: one per CPU")


class Job(BaseModel):
    """One bisection: what crashes where, and how sure the answer has to be.

    ``repo``, ``config`` and ``repro`` are absolute paths once the job is loaded; ``commit``, ``head`` and
    ``good`` are whatever revision names git understands.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Kind = "cause"
    name: str = ""
    repo: Path
    config: Path
    repro: Path
    commit: str = Field(default="HEAD", description="where the crash was seen")
    head: str = Field(default="", description="fix only: tip of the branch where the crash is gone; empty: HEAD")
    title: str = Field(default="", description="crash title; empty: learned at the start commit")
    good: list[str] = Field(default_factory=list, description="cause: revisions known to be good; they are tested")
    path: list[str] = Field(default_factory=list, description="paths that the culprit probably touches")
    target: float = Field(default=0.99, gt=0.5, lt=1)
    priors: bool = Field(default=True, description="use what history knows (files), never to decide")
    machine: Machine = Machine()
    build: Build = Build()

    @field_validator("commit", "head")
    @classmethod
    def _no_option(cls, value: str) -> str:
        if value.startswith("-"):
            raise ValueError(f"a revision can't begin with '-': {value!r}")
        return value

    @field_validator("good")
    @classmethod
    def _no_options(cls, value: list[str]) -> list[str]:
        return [cls._no_option(item) for item in value]

    @model_validator(mode="after")
    def _kinds(self) -> "Job":
        if self.kind == "cause" and self.head:
            raise ValueError("'head' is for fix bisections only; a cause bisection starts at 'commit'")
        if self.kind == "fix" and self.good:
            raise ValueError("'good' is for cause bisections only; a fix bisection ends at 'head'")
        return self


def load_job(path: Path, overrides: dict[str, Any] | None = None) -> Job:
    """Read a job file; relative paths in it are relative to the file. ``overrides`` come from the command line.

    Raises NotFoundError and UserError that name the file, the field and the reason.
    """
    try:
        data = tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise NotFoundError(f"{path}: no such job file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a TOML job file: {error}") from None
    for key in ("repo", "config", "repro"):
        if isinstance(data.get(key), str):
            data[key] = str(path.parent / data[key])
    for key, value in (overrides or {}).items():
        data[key] = {**data.get(key, {}), **value} if isinstance(value, dict) else value
    return make_job(data, str(path))


def make_job(data: dict[str, Any], origin: str = "options") -> Job:
    """Validate ``data`` and the files it names. Raises NotFoundError, UserError."""
    try:
        job = Job.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "job"
        reason = "missing" if first["type"] == "missing" else first["msg"].removeprefix("Value error, ")
        raise UserError(f"{origin}: {field}: {reason}") from None
    for key, kind in (("repo", "directory"), ("config", "file"), ("repro", "file")):
        value: Path = getattr(job, key).absolute()
        if not (value.is_dir() if kind == "directory" else value.is_file()):
            raise NotFoundError(f"{origin}: {key}: no such {kind}: {value}")
        setattr(job, key, value)
    return job
