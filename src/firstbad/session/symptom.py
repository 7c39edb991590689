"""What one run says, by the class of the bug: a crash is only one way for a revision to be bad."""

import math
import re
from collections.abc import Callable
from dataclasses import replace

from firstbad.crash import Bug, Report, parse
from firstbad.job import Symptom
from firstbad.session.outcome import Run, judge, judge_report
from firstbad.vm import MachineRun

FAILED = "test failure"
NO_BOOT = "boot failed without a report"
HUNG = "hang"
_NO_VERDICT = {125: "the test says skip", 126: "the test can't be executed", 127: "the test was not found"}
_NUMBER = rb"(?:[ \t]*[=:][ \t]*|[ \t]+)([-+]?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)"
LEAK_SECONDS = 40.0
"""What looking for leaks may add to a run: kmemleak reports nothing younger than 5 s, and reads all memory thrice."""


def judge_as(run: MachineRun, bug: Bug | None, symptom: Symptom) -> Run:
    """Read a run as the bug's class asks; ``bug`` is what is known of it, None before it has a name.

    A run that ended in another way than the class asks about is lost (``other``), never clean: a test that a crash
    cut short has neither passed nor failed.
    """
    if run.ended == "infrastructure":
        return judge(run, bug)
    return _JUDGES[symptom.kind](run, bug, symptom)


def may_be_cut(symptom: Symptom) -> bool:
    """Whether a clean run may be ended before its full length: only crashes come with the time that passes."""
    return symptom.kind == "crash"


def guest_parameters(symptom: Symptom, run_seconds: float) -> str:
    """Kernel parameters by which our init is told what the class needs of it."""
    return f"firstbad.leak={max(1, math.ceil(run_seconds))}" if symptom.kind == "leak" else ""


def _crash(run: MachineRun, bug: Bug | None, _: Symptom) -> Run:
    return judge(run, bug)


def _of_kind(run: MachineRun, bug: Bug | None, kind: str) -> Run | Report | None:
    """The report of a run if it is of that kind; as a lost run if it is of another; None without one."""
    if not run.booted:
        return judge(run, bug)
    report = parse(run.console)
    if report is None or report.type == kind:
        return report
    return Run("other", report.title, 0.0, f"not of the kind {kind}", report)


def _hang(run: MachineRun, bug: Bug | None, _: Symptom) -> Run:
    found = _of_kind(run, bug, "HANG")
    if isinstance(found, Run):
        return found
    if found is not None:
        # Who is found hanging, and by whom, is a matter of chance: all are one title.
        return Run("crash", HUNG, 1.0, f"the kernel reports: {found.title}", found)
    if run.ended == "hang":
        return Run("crash", HUNG, 1.0, "the machine stopped answering")
    return _calm(run, bug)


def _leak(run: MachineRun, bug: Bug | None, _: Symptom) -> Run:
    found = _of_kind(run, bug, "LEAK")
    if isinstance(found, Run):
        return found
    return judge_report(found, bug) if found is not None else _calm(run, bug)


def _boot(run: MachineRun, bug: Bug | None, _: Symptom) -> Run:
    if run.booted:
        return Run("ok")
    if run.ended == "lost":
        return Run("infra", run.detail)
    report = parse(run.console)
    if report is not None:
        return judge_report(report, bug)
    known = bug is None or NO_BOOT in bug.titles
    return Run("crash" if known else "other", NO_BOOT, 0.9 if known else 0.2, run.detail)


def _test(run: MachineRun, bug: Bug | None, _: Symptom) -> Run:
    lost = _cut_short(run, bug)
    if lost is not None:
        return lost
    if run.ended == "timeout":
        return Run("crash", FAILED, 1.0, "did not end in time")
    status = run.exit_status
    if status is None or status in _NO_VERDICT:
        return Run("other", "test without a verdict", 0.0, _NO_VERDICT.get(status or 0, "no exit status"))
    return Run("crash", FAILED, 1.0, f"exit status {status}") if status else Run("ok")


def _metric(run: MachineRun, bug: Bug | None, symptom: Symptom) -> Run:
    lost = _cut_short(run, bug)
    if lost is not None:
        return lost
    assert symptom.threshold is not None  # noqa: S101 - the schema asks for it
    value = last_number(run.output, symptom.metric)
    if value is None:
        return Run("other", f"no number after {symptom.metric!r}", 0.0, "the reproducer printed none")
    why = f"{symptom.metric} {value:g}"
    if (value > symptom.threshold) if symptom.worse == "above" else (value < symptom.threshold):
        return Run("crash", f"{symptom.metric} {symptom.worse} {symptom.threshold:g}", 1.0, why)
    return Run("ok", why=why)


def last_number(output: bytes, name: str) -> float | None:
    """The last decimal number that stands at the begin of a line or after a blank behind ``name`` and ``=``, ``:`` or
    a blank; None without one."""
    found = re.findall(rb"(?<![^\s])" + re.escape(name.strip().encode()) + _NUMBER, output)
    value = float(found[-1]) if found else math.nan
    return value if math.isfinite(value) else None


def _cut_short(run: MachineRun, bug: Bug | None) -> Run | None:
    """The run as lost, if it did not come to an end of the reproducer's own or of its time."""
    seen = judge(run, bug)
    return None if seen.outcome == "ok" else _lost(seen)


def _calm(run: MachineRun, bug: Bug | None) -> Run:
    """A run without a report, where a silent death is not what is asked about."""
    return _lost(judge(run, bug))


def _lost(seen: Run) -> Run:
    return replace(seen, outcome="other", same=0.0) if seen.outcome == "crash" else seen


_JUDGES: dict[str, Callable[[MachineRun, Bug | None, Symptom], Run]] = {
    "crash": _crash,
    "hang": _hang,
    "leak": _leak,
    "boot": _boot,
    "test": _test,
    "metric": _metric,
}
