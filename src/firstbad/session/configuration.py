"""Which configuration a bisection uses: a smaller one than the job's where the crash stays with it.

Tried at the start commit, in turn: the job's baseline; the job's configuration without the instrumentation that this
kind of crash does not need; then what lies between baseline and job, by slices. Each try is in the event log before
it counts, and known by its digest: a session that goes on asks the same questions and finds their answers there.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from firstbad.crash.formats import is_kind, type_of
from firstbad.engine import BuildRequest
from firstbad.errors import UserError
from firstbad.history.git import Repo
from firstbad.kernel.architecture import architecture
from firstbad.kernel.artifacts import Built
from firstbad.kernel.config import identity
from firstbad.kernel.dotconfig import read_config, switched_on
from firstbad.kernel.instrumentation import drop_unneeded, needed_options
from firstbad.kernel.kconfig_expr import KconfigError
from firstbad.kernel.minimize import Candidate, Plan
from firstbad.kernel.slices import Enough
from firstbad.kernel.tree_options import options_of_files, read_kconfig
from firstbad.session.outcome import Run, run_event
from firstbad.session.pool import Batch, make_runs
from firstbad.session.state import Trial, build_event
from firstbad.session.tally import Tally
from firstbad.vm import MachineRun

if TYPE_CHECKING:
    from firstbad.session.bisection import Bisection

RATIO = 1 / 3  # share of crashing runs with which a configuration is as good as the job's own
LEAST_CRASHES = 3  # with two, one try in 70 would be taken though only one run in 20 crashes with it
LEAST_RUNS = 4  # behind a share of crashing runs
MISSED = 0.025  # chance to take a configuration that crashes as often as the job's for one that does not
MOST_RUNS = 80
_CLASSES = {"hang": "Hang", "leak": "MemoryLeak"}


class Minimizer(Protocol):
    """Makes the full configuration smaller, between it and a baseline; both as the tree's Kconfig made them.

    ``holds`` builds and runs a candidate; it may raise ``slices.Enough``. Raises UserError if it can't be done.
    """

    def __call__(self, full: str, base: str, holds: Callable[[Candidate], bool], max_steps: int) -> Candidate:
        """The smallest candidate that holds; one with the text of ``full`` if none does."""


@dataclass(frozen=True)
class TreeMinimizer:
    """By the Kconfig files and makefiles of one revision; see :class:`firstbad.kernel.minimize.Plan`."""

    repo: Repo
    commit: str
    arch: str
    files: tuple[str, ...]
    """Source files of the crash's stack: options that build them are likely to be needed."""
    needed: frozenset[str]
    """Options without which such a crash does not show."""

    def __call__(self, full: str, base: str, holds: Callable[[Candidate], bool], max_steps: int) -> Candidate:
        """See :class:`Minimizer`."""
        try:
            tree = read_kconfig(self.repo, self.commit, architecture(self.arch).srcarch)
        except KconfigError as error:
            raise UserError(f"the configuration can't be minimized at {self.commit[:12]}: {error}") from None
        likely = self.needed | options_of_files(self.repo, self.commit, self.files)
        return Plan(tree, read_config(full), read_config(base), likely).minimize(holds, max_steps)


def runs_wanted(tally: Tally, original: Tally) -> int:
    """How many more runs a try needs before :func:`verdict` may be asked; 0: none."""
    hopeless = tally.boots is False or tally.drowned or tally.total >= 2 * MOST_RUNS
    if hopeless or holds(tally, original):
        return 0
    rate = min((original.crashes + 0.5) / (original.useful + 1), 0.999)
    clean = min(MOST_RUNS, max(1, math.ceil(math.log(MISSED) / math.log1p(-rate))))
    # One that crashed, but too seldom so far, gets twice the runs to make up for bad luck.
    wanted = max(LEAST_RUNS, 2 * clean) if tally.crashes else clean
    return max(0, wanted - tally.useful)


def holds(tally: Tally, original: Tally) -> bool:
    """Whether the crash reproduces well enough: in a third of the runs, or as often as with the job's configuration."""
    if tally.crashes < LEAST_CRASHES or tally.useful < LEAST_RUNS or tally.crashes + tally.clean <= tally.lost:
        return False
    ratio = tally.crashes / tally.useful
    return ratio >= min(RATIO, original.crashes / max(original.useful, 1))


def verdict(tally: Tally, original: Tally) -> str:
    """``bad`` (the crash stays), ``good`` (it does not, or hardly) or ``skip`` (can't be told)."""
    if holds(tally, original):
        return "bad"
    return "good" if tally.useful and tally.boots is not False else "skip"


class ConfigSearch:
    """Chooses a job's configuration; what was tried already is in the session's state."""

    def __init__(self, session: "Bisection", minimizer: Minimizer | None) -> None:
        self.session, self.state, self.job = session, session.state, session.job
        self.start = session.question.start
        self.minimizer = minimizer
        self.original = session.state.tally(self.start)

    def choose(self) -> None:
        """Try what there is to try, and record the ``config`` event, by which the state changes over to the chosen one.

        Raises UserError when the minimizer can't do its work, and what the session raises.
        """
        job = self.job
        full = self._made(BuildRequest(job.repo, self.start)).config() or self._own()[0]
        base, chosen = "", _Chosen("original")
        if job.baseline is not None:
            text = job.baseline.read_text(errors="replace")
            trial = self._try("baseline", text, job.build.config_base)
            if self._stays(trial):
                return self._choose(_Chosen("baseline", text, job.build.config_base))
            if trial.mark and trial.mark["verdict"] == "good":  # else nothing can be built on it
                base = self._made(BuildRequest(job.repo, self.start, text, job.build.config_base)).config() or text
        if job.build.sanitizers == "needed":
            smaller, dropped = drop_unneeded(full, self._needed)
            if dropped and self._stays(self._try("instrumentation", smaller, dropped=dropped)):
                full, chosen = smaller, _Chosen("instrumentation", smaller)
        if base:
            found = self._minimized(full, base).text
            if found != full and self._stays(self._try("minimized", found)):
                chosen = _Chosen("minimized", found)
        return self._choose(chosen, full if base else "", base)

    def _minimized(self, full: str, base: str) -> Candidate:
        minimizer = self.minimizer or TreeMinimizer(
            self.session.repo,
            self.start,
            self.job.build.arch,
            tuple((self.state.crash or {}).get("files", ())),
            needed_options(self._needed),
        )

        def stays(candidate: Candidate) -> bool:
            if self._known(candidate.text, "none") is None and self._hours() > self.job.build.minimize_hours:
                raise Enough
            return self._stays(self._try("minimized", candidate.text, options=list(candidate.options)))

        return minimizer(full, base, stays, self.job.build.minimize_steps)

    def _hours(self) -> float:
        """Spent on tries so far, by the event log."""
        builds = sum(trial.build.seconds for trial in self.state.trials if trial.build and not trial.build.cached)
        return (builds + sum(trial.seconds for trial in self.state.trials)) / 3600

    def _needed(self, kind: str) -> bool:
        """Whether the bug shows as a crash of that kind."""
        bug = self.state.bug
        return kind == _CLASSES.get(self.job.bug.kind) or any(
            is_kind(type_of(title), kind) for title in (bug.titles if bug else ())
        )

    def _stays(self, trial: Trial) -> bool:
        return trial.mark is not None and trial.mark["verdict"] == "bad"

    def _known(self, text: str, base: str) -> Trial | None:
        digest = identity(text, base)
        return next((trial for trial in self.state.trials if trial.digest == digest and trial.mark), None)

    def _try(self, what: str, text: str, base: str = "none", **more: Any) -> Trial:
        """Build the start commit with a configuration and run it until it is known whether the crash stays."""
        known = self._known(text, base)
        if known is not None:
            return known
        digest = identity(text, base)
        if not self.state.trials or self.state.trials[-1].digest != digest:
            number = sum(trial.data["what"] == what for trial in self.state.trials) + 1
            self.session.record(
                "trial", {"commit": self.start, "what": what, "number": number, "digest": digest, "base": base, **more}
            )
        trial = self.state.trials[-1]
        built = self._made(BuildRequest(self.job.repo, self.start, text, base))
        if trial.build is None:
            self.session.record("trial-build", build_event(built))
        if not built.error:
            self._run(trial, built)
        tally = trial.tally
        self.session.record(
            "trial-mark", {"verdict": verdict(tally, self.original), "crashes": tally.crashes, "useful": tally.useful}
        )
        return trial

    def _run(self, trial: Trial, built: Built) -> None:
        def judged(done: MachineRun, wall: float, _: Path) -> Run:
            run = self.session.read(done)
            self.session.record("trial-run", run_event(run, done, wall))
            return run

        def enough(_: Run) -> bool:
            return trial.tally.boots is False or trial.tally.drowned or holds(trial.tally, self.original)

        batch = Batch(built, f"{self.start[:12]}-{trial.digest[:8]}", self.session.machine(), judged)
        while wanted := runs_wanted(trial.tally, self.original):
            make_runs(self.session, batch, trial.tally.total, wanted, enough)

    def _made(self, request: BuildRequest) -> Built:
        return self.session.make(request)

    def _choose(self, chosen: "_Chosen", full: str = "", least: str = "") -> None:
        text, base = (chosen.text, chosen.base) if chosen.text else self._own()
        data: dict[str, Any] = {"what": chosen.what, "text": chosen.text, "base": chosen.base}
        data["digest"] = identity(text, base)
        if full and least:
            beyond = switched_on(read_config(full)) - switched_on(read_config(least))
            left = self._on(data["digest"]) & beyond if chosen.what == "minimized" else beyond
            data |= {"added": len(beyond), "left": len(left)}
        self.session.record("config", data)
        if chosen.text:  # for people; what counts is the event
            (self.session.home.job(self.session.number) / "config").write_text(chosen.text)

    def _on(self, digest: str) -> frozenset[str]:
        """Options that are on in the kernel of a try."""
        key = next(trial.build.key for trial in self.state.trials if trial.digest == digest and trial.build)
        built = self.session.artifacts.get(key)
        return switched_on(read_config(built.config() if built else ""))

    def _own(self) -> tuple[str, str]:
        return self.job.config.read_text(errors="replace"), self.job.build.config_base


@dataclass(frozen=True)
class _Chosen:
    """``text`` is empty for the job's own configuration, which stays what it is merged over."""

    what: str
    text: str = ""
    base: str = "none"
