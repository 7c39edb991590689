"""Every line kind that bisection logs have had since 2018, one line of each, in words of our own."""

import re

import pytest

from firstbad.report.lines import FREE_KINDS, kinds, match_line, write_line
from firstbad.report.log import BisectionLog, read_log, write
from firstbad.report.writer import LogWriter

A, B, C = ("a1" * 20, "b2" * 20, "c3" * 20)
S = "5e" * 32

LINES = {
    "note": "# firstbad: a line of ours",
    "host": "ci9 starts bisection 2024-02-03 04:05:06.000000007 +0000 UTC m=+8.900000000",
    "begin": f"bisecting cause commit starting from {A}",
    "begin-fix": f"bisecting fixing commit since {A}",
    "begin-2018": f"searching for guilty commit starting from {A}",
    "begin-fix-2018": f"searching for fixing commit since {A}",
    "tool": f"building syzkaller on {B}",
    "fetch": "fetch other tags and check if the commit is present",
    "fetch-failed": "fetch failed with exit status 128",
    "rewritten": f"rewritten commit {A} reidentified by title 'widget: it's renamed'",
    "ensure": f"ensuring issue is reproducible on original commit {A}",
    "release": "testing release v6.7",
    "head": f"testing current HEAD {B}",
    "test-with": f"testing commit {A} with gcc (GCC) 9.1.0 20190503",
    "test": f"testing commit {A}",
    "test-family": f"testing commit {A} clang",
    "compiler": "compiler: gcc (Debian 12.2.0-14) 12.2.0, GNU ld (GNU Binutils for Debian) 2.40",
    "signature": f"kernel signature: {S}",
    "all-runs": "all runs: crashed: WARNING in widget_check",
    "run": "run #17: ignore: lost connection to test machine",
    "flaky": "reproducer seems to be flaky",
    "representative": "representative crash: INFO: task hung in widget_wait, types: [HANG UNKNOWN]",
    "false-negative": "false negative chance: 0.001",
    "undetermined": "unable to determine the verdict: 4 good runs (wanted 5), for bad wanted 2 in total, got 1",
    "too-many": "too many neither good nor bad results, skipping this commit",
    "test-failure": "repro testing failure: failed to copy the program",
    "contains": "determine whether the revision contains the guilty commit",
    "reachable": f"revision {A} crashed and is reachable",
    "merge-base": f"checking the merge base {B}",
    "no-result": "no existing result, test the revision",
    "not-yet": "the bug was not introduced yet; pretend that kernel crashed",
    "merge-base-between": f"determining the merge base between {A} and {B}",
    "merge-base-count": "expected 1 merge base, got 2",
    "merge-base-check": f"{B}/widget: begin is a merge base, check if it has the bug",
    "merge-base-clean": "reproducer does not crash the merge base, so there's no known bad commit",
    "config": "kconfig minimization: base=1200 full=3400 leaves diff=77",
    "config-chunks": "split chunks (needed=false): <77>",
    "config-chunk": "split chunk #0 of len 77 into 5 parts",
    "config-sub": "testing without sub-chunk 1/5",
    "config-drop": "the chunk can be dropped",
    "config-whole": "no way to further split the chunk",
    "config-needed": "no need to test this chunk, it's definitely needed",
    "config-limit": "we have reached the limit on predicate runs (12); pretend it returns false",
    "config-result": "minimized to 2 configs; suspects: [WIDGET WIDGET_DEBUG]",
    "git-warning": "warning: unable to access '/root/.config/git/attributes': Permission denied",
    "config-done": "# configuration already minimized",
    "config-drop-instrumentation": "check whether we can drop unnecessary instrumentation",
    "config-no-instrumentation": "the bug reproduces without the instrumentation",
    "config-nothing": "there was nothing we could disable; skip",
    "config-disable": "disabling configs for [UBSAN KASAN]",
    "config-base": "base config crashes",
    "config-full": "only full config crashes",
    "config-half": "trying half: [WIDGET]",
    "config-half-crashed": "half crashed",
    "config-halves": "both halves did not crash",
    "config-resulting": "resulting configs: [WIDGET]",
    "config-baseline": "crash reproduces with baseline config",
    "config-baseline-unable": "unable to test using baseline config, keep original config",
    "config-baseline-failed": "testing baseline config failed: no such file",
    "config-failed": "minimizing config failed: no options",
    "config-worse": "testing with generated minimized config doesn't reproduce the crash",
    "config-bad": "config minimization failed due to bad Kconfig syntax error",
    "config-original": "proceeding with the original config",
    "tags": "picked [v6.8 v6.7 v6.5] out of 9 release tags",
    "start": f"# git bisect start {A} {B}",
    "remaining": "Bisecting: 1 revision left to test after this (roughly 1 step)",
    "next": f"[{C}] widget: check less",
    "merge-base-test": "Bisecting: a merge base must be tested",
    "mark": f"# git bisect skip {C}",
    "only-skipped": "There are only 'skip'ped commits left to test.",
    "any-of": "The first bad commit could be any of:",
    "give-up": "We cannot bisect more!",
    "culprit": f"{C} is the first bad commit",
    "error-probability": "accumulated error probability: 0.02",
    "parent": f"parent commit {B} wasn't tested",
    "culprit-signature": f"culprit signature: {S}",
    "parent-signature": f"parent  signature: {S}",
    "culprit-signature-2019": f"kernel signature:   {S}",
    "parent-signature-2019": f"previous signature: {S}",
    "noop-unknown": "failed to detect noop change: no such commit",
    "release-unknown": "failed to detect release: exit status 1",
    "flagged-flaky": "Reproducer flagged being flaky",
    "flaky-chance": "reproducer is flaky (0.11 repro chance estimate)",
    "totals": "revisions tested: 12, total time: 5h48m23.622009038s (build: 2h0m1s, test: 3h48m22.6s)",
    "found": f"first bad commit: {C} widget: check less",
    "to": 'recipients (to): ["a@example.org" "b@example.org"]',
    "cc": "recipients (cc): []",
    "cc-2019": 'cc: ["a@example.org"]',
    "inconclusive": "bisection is inconclusive, the first good commit could be any of:",
    "candidate": C,
    "oldest": "oldest tested release already had the bug or it had kernel test errors",
    "oldest-2019": "the crash already happened on the oldest tested release",
    "still": "crash still not fixed/happens on the oldest tested release",
    "head-errors": "HEAD had kernel build, boot or test errors",
    "boundary": "commit msg: Linux 6.1",
    "not-fixed": "crash still not fixed or there were kernel test errors",
    "not-fixed-2020": "crash still not fixed on HEAD or HEAD had kernel test errors",
    "not-fixed-2019": "the crash still happens on HEAD",
    "not-fixed-2018": "the crash is still unfixed",
    "error": "error: no release tags before this commit",
    "too-long": "bisection is taking too long (>8h0m0s), aborting",
    "crash": "crash: WARNING in widget_check",
}


def test_every_kind_has_a_line_here() -> None:
    assert set(LINES) == set(kinds())
    assert not set(LINES) & FREE_KINDS


@pytest.mark.parametrize("kind", LINES)
def test_a_line_is_of_its_kind_and_written_back(kind: str) -> None:
    line = match_line(LINES[kind])
    assert line is not None
    assert line.kind == kind
    assert write_line(line) == LINES[kind]
    assert read_log(LINES[kind] + "\n").lines[0].kind == kind


@pytest.mark.parametrize(
    "outcome",
    [
        "OK",
        "crashed: WARNING in widget_check",
        "boot failed: no output from test machine",
        "basic kernel testing failed: BUG: widget",
        "failed: failed to copy test binary to VM",
        "infra problem: lost machine",
        "ignore: SYZFAIL: out of pipes",
    ],
)
def test_outcomes_of_runs(outcome: str) -> None:
    log = read_log(f"testing commit {A}\nrun #0: {outcome}\nrun #1: OK\n")
    assert log.tests[0].outcomes == (outcome, "OK")


NEW = f"""\
{LINES["host"]}
bisecting cause commit starting from {A}
{LINES["tool"]}
{LINES["rewritten"]}

{LINES["ensure"]}

testing commit {A} gcc
{LINES["compiler"]}
{LINES["signature"]}
run #0: crashed: INFO: task hung in widget_wait
run #1: failed: failed to copy test binary to VM: exit status 1
scp: ./program: Read-only file system
lost connection
run #2: infra problem: lost machine
run #3: ignore: SYZFAIL: out of pipes
{LINES["representative"]}
{LINES["config-drop-instrumentation"]}
{LINES["config-no-instrumentation"]}
{LINES["config"]}
{LINES["config-result"]}
{LINES["tags"]}
{LINES["merge-base-between"]}
{LINES["merge-base-check"]}
testing commit {B} gcc
{LINES["undetermined"]}
testing release v6.7
testing commit {B} gcc
all runs: OK
{LINES["false-negative"]}
{LINES["start"]}
{LINES["remaining"]}
{LINES["next"]}

testing commit {C} gcc
widget.c:1:1: error: no widget
widget.c:2:1: error: nor here
{LINES["mark"]}
{LINES["error-probability"]}
{LINES["noop-unknown"]}
{LINES["release-unknown"]}
{LINES["flaky-chance"]}
{LINES["totals"]}
{LINES["found"]}
{LINES["to"]}
{LINES["cc"]}
crash: WARNING in widget_check
WARNING: CPU: 0
"""


def test_what_the_model_keeps() -> None:
    log = read_log(NEW)
    assert write(log) == NEW
    assert "unknown" not in [line.kind for line in log.lines]
    first, base, release, broken = log.tests
    assert first.messages == ("scp: ./program: Read-only file system", "lost connection")
    assert first.outcomes[2:] == ("infra problem: lost machine", "ignore: SYZFAIL: out of pipes")
    assert (first.family, first.representative) == ("gcc", "INFO: task hung in widget_wait")
    assert (first.types, first.merge_base, first.mark) == (("HANG", "UNKNOWN"), False, "")
    assert (base.merge_base, release.merge_base) == (True, False)
    assert base.undetermined.startswith("4 good runs (wanted 5)")
    assert (release.release, release.false_negative) == ("v6.7", 0.001)
    assert broken.build_error == "widget.c:1:1: error: no widget\nwidget.c:2:1: error: nor here"
    assert broken.mark == "skip"
    assert log.config == tuple(
        LINES[f"config{kind}"] for kind in ("-drop-instrumentation", "-no-instrumentation", "", "-result")
    )
    assert log.decisions == (LINES["merge-base-between"], LINES["merge-base-check"])
    assert log.undetected == (LINES["noop-unknown"], LINES["release-unknown"])
    assert (log.error_probability, log.repro_chance, log.flaky) == (0.02, 0.11, True)
    assert (log.host, log.tool, log.rewritten) == ("ci9", B, "widget: it's renamed")
    assert log.began.startswith("2024-02-03")
    assert log.bounds == (A, B)
    assert (log.revisions, log.build_seconds) == (12, 7201.0)
    assert log.total_seconds == pytest.approx(5 * 3600 + 48 * 60 + 23.622009038)
    assert log.total_seconds == pytest.approx(log.build_seconds + log.test_seconds, abs=0.1)
    assert (log.to, log.cc) == (("a@example.org", "b@example.org"), ())


def test_ends_without_a_commit() -> None:
    older = read_log(f"{LINES['begin']}\n{LINES['still']}\n{LINES['totals']}\n{LINES['oldest']}\n{LINES['boundary']}\n")
    assert (older.status, older.boundary) == ("older_than_oldest", "Linux 6.1")
    slow = read_log(f"{LINES['begin']}\n{LINES['totals']}\nerror: {LINES['too-long']}\n")
    assert (slow.status, slow.too_long, read_log(LINES["begin"]).too_long) == ("error", True, False)
    assert read_log(LINES["too-long"]).too_long
    failed = read_log(f"{LINES['test']}\n{LINES['test-failure']}\n")
    assert failed.tests[0].failure == "failed to copy the program"
    skipped = read_log(f"{LINES['test']}\nall runs: OK\n{LINES['too-many']}\n")
    assert skipped.tests[0].undetermined == LINES["too-many"]


@pytest.mark.parametrize("outcome", ["OK", "crashed: WARNING in widget_check"])
def test_words_that_nobody_knows_are_not_taken_for_a_run_s(outcome: str) -> None:
    log = read_log(f"testing commit {A}\nall runs: {outcome}\nsomething new\n")
    assert log.lines[2].kind == "unknown"
    assert log.tests[0].messages == ()


def _old_reader(text: str) -> list[tuple[str, ...]]:
    """What a reader collects that searches the text for the wordings of 2019, wherever they are."""
    patterns = [
        r"^bisecting cause commit starting from ([0-9a-f]{40})$",
        r"^testing commit ([0-9a-f]{40})(?: with (.*))?$",
        r"^testing release (\S+)$",
        r"^kernel signature: +([0-9a-f]+)$",
        r"^all runs: (.*)$",
        r"^run #(\d+): (.*)$",
        r"^# git bisect (?:start|good|bad|skip) (.*)$",
        r"^culprit signature: (.*)$",
        r"^parent  signature: (.*)$",
        r"^revisions tested: (\d+), total time: (\S+) \(build: (\S+), test: (\S+)\)$",
        r"^first (bad|good) commit: ([0-9a-f]{40}) (.*)$",
        r"^crash: (.*)$",
    ]
    return [found.groups() for pattern in patterns for found in re.finditer(pattern, text, re.MULTILINE)]


def _noted() -> LogWriter:
    """A log with a hostile note after every step."""
    note = f"after: kernel signature: {S}\nall runs: OK\ntesting commit {A}\nfirst bad commit: {A} no\ncrash: no"
    log = LogWriter().begin("cause", A).note(note)
    log.test(A, "gcc 12", S, ["crashed: WARNING in widget_check", "OK"]).note(note)
    log.testing_release("v6.7").test(B, "gcc 12", S, ["OK"] * 3).note(note).bisect_start(A, B).note(note)
    log.remaining(0, 0, C, "widget: check less").note(note).test(C, "gcc 12", None, [], "x.c:1: error: no").note(note)
    log.mark("skip", C).note(note).signatures(S, S).totals(3, 1, 2).note(note).found(C, "widget: check less")
    return log.recipients([], []).note(note).crash("WARNING in widget_check", "WARNING: CPU: 0")


def test_readers_of_the_old_kinds_pass_over_ours() -> None:
    text = _noted().text()
    bare = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("# firstbad:"))
    assert bare != text
    assert _old_reader(text) == _old_reader(bare) != []
    assert _facts(read_log(text)) == _facts(read_log(bare))


def _facts(log: BisectionLog) -> dict[str, object]:
    return {name: value for name, value in vars(log).items() if name not in ("lines", "notes")}
