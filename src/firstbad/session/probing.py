"""How a session asks what its clean runs reached: by runs of the same kernel that count for nothing."""

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from firstbad.engine import RunRequest
from firstbad.kernel.artifacts import Built
from firstbad.session.aim import Aim, Aims
from firstbad.session.calls import PROBE_SECONDS, PROBES, TRACE, Calls, turned_away
from firstbad.session.calls import from_event as calls_from
from firstbad.session.calls import to_event as calls_event
from firstbad.session.outcome import Reached
from firstbad.session.reach import from_event, probed

if TYPE_CHECKING:
    from firstbad.session.bisection import Bisection


class Prober:
    """Probes the revisions of one session; what was found out already is in the session's state."""

    def __init__(self, session: "Bisection") -> None:
        self.session, self.state = session, session.state
        self.start = session.question.start

    @cached_property
    def _aims(self) -> Aims:
        return Aims(self.session.repo, (self.state.learned or {}).get("start", self.start))

    def reached(self, aim: Aim, commit: str, built: Built) -> Reached:
        """What a clean run of a revision reached, by the probes of that revision: a run that counts is not watched."""
        if self.state.misled or aim.verdict is not None:
            return None if self.state.misled else aim.verdict
        start = self._at_start()
        if start is None or not aim.functions or not (aim.watched or start["calls"]):
            return None
        return probed(self.state.probes.get(commit) or self._probe(commit, aim, built))

    def _at_start(self) -> dict[str, Any] | None:
        """What was seen where the bug was: a test's revision is not that, another job's start commit was."""
        learned = self.state.learned
        return learned.get("probe") if learned else self.state.probes.get(self.start)

    def _probe(self, commit: str, aim: Aim, built: Built) -> dict[str, Any]:
        """Runs that count for nothing: which functions run in them, and what the system calls return."""
        seconds = max([PROBE_SECONDS, *(3 * one for one in self.state.crash_seconds)])
        machine = self.session.machine(min(seconds, self.session.job.machine.run_seconds))
        append = f"{machine.append} {TRACE}".strip()
        machine = replace(machine, append=append, watched=aim.watched, keep=False, snapshot=0)
        calls: Calls = frozenset()
        heard: list[Reached] = []
        while len(heard) < PROBES and not any(said is not False for said in heard):
            path = self.session.consoles / f"{self.session.console(commit)}-probe{len(heard)}.txt"
            self.session.observer.activity(f"probing {commit[:12]}")
            done = self.session.wait(self.session.engine.run(RunRequest(built.kernel, path, machine)))
            calls |= done.calls
            heard.append(aim.reached(done))
        start = self._at_start()
        away = turned_away(calls_from(start["calls"]), calls) if start else []
        crashed = self.session.read(done).outcome == "crash"
        data = {"commit": commit, "heard": heard, "crashed": crashed, "calls": calls_event(calls), "away": away[:20]}
        self.session.record("probe", data)
        return data

    def aim(self, commit: str, built: Built) -> Aim:
        """How runs of this revision tell whether they reached the crash's code, once its stack is known."""
        if not self.session.job.reach or self.state.crash is None or self.state.misled:
            return Aim()
        compiled = self.session.compiled(self.start)
        aim = self._aims.at(commit, built, from_event(self.state.crash), compiled)
        if commit not in self.state.aims and aim.functions:
            self.session.record("aim", {"commit": commit, **aim.to_event()})
        return aim

    def probe_start(self, built: Built | None = None) -> None:
        """What is reached at the start commit, and what system calls return there, where that will be asked."""
        start, crash, job = self.start, self.state.crash, self.session.job
        # In a disk's machine init isn't ours; where no crash is looked for a run takes its own time.
        plain = job.bug.kind == "crash" and not job.machine.image
        if job.reach and plain and crash and crash.get("functions") and start not in self.state.probes:
            built = built or self.session.make(self.session.request(start))
            self._probe(start, self.aim(start, built), built)
