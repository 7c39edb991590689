"""The bisection log: what is written can be read, what is read is written back byte for byte."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstbad.report.lines import FREE_KINDS, make_line, match_line, write_line
from firstbad.report.log import BisectionLog, LogWriter, read_log, write
from firstbad.report.writer import duration, duration_seconds, quote_list, unquote_list

START, OLD, MIDDLE, CULPRIT, PARENT = (digit * 40 for digit in "abcde")
COMPILER = "gcc (Debian 12.2.0-14) 12.2.0"
SIGNATURES = {commit: (commit[0] + "0") * 32 for commit in (START, OLD, MIDDLE, CULPRIT, PARENT)}
CRASHED = "crashed: WARNING in widget_check"

SHOW = f"""\
commit {CULPRIT}
Author: A Developer <dev@example.org>
Date:   Mon Jan 5 10:00:00 2026 +0000

    widget: check less

    all runs: OK
    Signed-off-by: A Developer <dev@example.org>

 drivers/widget/core.c | 2 +-
 1 file changed, 1 insertion(+), 1 deletion(-)
"""

GOLDEN = f"""\
bisecting cause commit starting from {START}
testing commit {START} with {COMPILER}
kernel signature: {SIGNATURES[START]}
all runs: {CRASHED}
testing release v6.11
testing commit {OLD} with {COMPILER}
kernel signature: {SIGNATURES[OLD]}
all runs: OK
# git bisect start {START} {OLD}
Bisecting: 2 revisions left to test after this (roughly 1 step)
[{MIDDLE}] widget: prepare

testing commit {MIDDLE} with {COMPILER}
drivers/widget/core.c:7:1: error: expected ';'
# git bisect skip {MIDDLE}
Bisecting: 1 revision left to test after this (roughly 1 step)
[{CULPRIT}] widget: check less

testing commit {CULPRIT} with {COMPILER}
kernel signature: {SIGNATURES[CULPRIT]}
run #0: {CRASHED}
run #1: OK
run #2: infra problem: lost machine
reproducer seems to be flaky
# firstbad: {CULPRIT[:12]}: bad 0.31 -> 0.98
# git bisect bad {CULPRIT}
{CULPRIT} is the first bad commit
{SHOW}
parent commit {PARENT} wasn't tested
testing commit {PARENT} with {COMPILER}
kernel signature: {SIGNATURES[PARENT]}
culprit signature: {SIGNATURES[CULPRIT]}
parent  signature: {SIGNATURES[PARENT]}
Reproducer flagged being flaky
revisions tested: 4, total time: 1h1m1.5s (build: 1h0m0s, test: 1m1.5s)
first bad commit: {CULPRIT} widget: check less
recipients (to): ["dev@example.org"]
recipients (cc): []
crash: WARNING in widget_check
WARNING: CPU: 0 PID: 1 at drivers/widget/core.c:77 widget_check+0x10/0x20
all runs: this is the report's own text
"""


def our_log() -> LogWriter:
    log = LogWriter()
    log.begin("cause", START)
    log.test(START, COMPILER, SIGNATURES[START], [CRASHED] * 20)
    log.testing_release("v6.11").test(OLD, COMPILER, SIGNATURES[OLD], ["OK"] * 10)
    log.bisect_start(START, OLD).remaining(2, 1, MIDDLE, "widget: prepare")
    log.test(MIDDLE, COMPILER, None, [], "drivers/widget/core.c:7:1: error: expected ';'\n").mark("skip", MIDDLE)
    log.remaining(1, 1, CULPRIT, "widget: check less")
    log.test(CULPRIT, COMPILER, SIGNATURES[CULPRIT], [CRASHED, "OK", "infra problem: lost machine"]).seems_flaky()
    log.note(f"{CULPRIT[:12]}: bad 0.31 -> 0.98").mark("bad", CULPRIT).culprit(SHOW)
    log.parent_not_tested(PARENT).test(PARENT, COMPILER, SIGNATURES[PARENT], [])
    log.signatures(SIGNATURES[CULPRIT], SIGNATURES[PARENT]).flaky().totals(4, 3600, 61.5)
    log.found(CULPRIT, "widget: check less").recipients(["dev@example.org"], [])
    return log.crash("WARNING in widget_check", GOLDEN.partition("crash: WARNING in widget_check\n")[2])


def test_our_log_is_the_golden_text() -> None:
    assert our_log().text() == GOLDEN


def test_our_log_is_read() -> None:
    log = read_log(GOLDEN)
    assert write(log) == GOLDEN
    assert [line.kind for line in log.lines if line.kind == "unknown"] == []
    assert (log.kind, log.start_commit, log.status, log.commits) == ("cause", START, "found", (CULPRIT,))
    assert [test.hash for test in log.tests] == [START, OLD, MIDDLE, CULPRIT, PARENT]
    assert [test.phase for test in log.tests] == ["initial", "release", "bisect", "bisect", "parent"]
    assert [test.mark for test in log.tests] == ["", "", "skip", "bad", ""]
    first, release, broken, culprit, parent = log.tests
    assert (first.outcomes, first.uniform, first.compiler) == ((CRASHED,), True, COMPILER)
    assert release.release == "v6.11"
    assert (broken.build_error, broken.signature) == ("drivers/widget/core.c:7:1: error: expected ';'", "")
    assert culprit.outcomes == (CRASHED, "OK", "infra problem: lost machine")
    assert (parent.outcomes, parent.signature) == ((), SIGNATURES[PARENT])
    assert (log.culprit_signature, log.parent_signature) == (SIGNATURES[CULPRIT], SIGNATURES[PARENT])
    assert (log.revisions, log.build_seconds, log.test_seconds, log.flaky) == (4, 3600.0, 61.5, True)
    assert (log.to, log.cc) == (("dev@example.org",), ())
    assert log.crash_title == "WARNING in widget_check"
    assert log.report.startswith("WARNING: CPU: 0 PID: 1 at ")
    assert log.notes == (f"{CULPRIT[:12]}: bad 0.31 -> 0.98",)


@pytest.mark.parametrize(
    ("finish", "status", "commits"),
    [
        (lambda log: log.candidates([MIDDLE, CULPRIT]), "candidates", (MIDDLE, CULPRIT)),
        (lambda log: log.only_skipped([MIDDLE]).candidates([MIDDLE]), "candidates", (MIDDLE,)),
        (lambda log: log.still_happens().totals(3, 1, 1).older("Linux 5.0"), "older_than_oldest", ()),
        (lambda log: log.not_fixed("Linux 6.12"), "not_fixed", ()),
        (lambda log: log.not_reproduced(), "not_reproduced", ()),
        (lambda log: log.error("no release tags before this commit"), "error", ()),
        (lambda log: log, "unfinished", ()),
    ],
)
def test_other_results(finish, status: str, commits: tuple[str, ...]) -> None:  # type: ignore[no-untyped-def]
    text = finish(LogWriter().begin("cause", START)).text()
    log = read_log(text)
    assert (log.status, log.commits) == (status, commits)
    assert write(log) == text
    assert "unknown" not in [line.kind for line in log.lines]


def test_fix_bisection() -> None:
    log = LogWriter().begin("fix", START).testing_head(OLD).test(OLD, COMPILER, None, ["OK"])
    log.found(CULPRIT, "widget: repair", side="good")
    read = read_log(log.text())
    assert (read.kind, read.start_commit, read.status, read.commits) == ("fix", START, "found", (CULPRIT,))
    assert read.tests[0].phase == "head"
    assert f"bisecting fixing commit since {START}\ntesting current HEAD {OLD}\n" in log.text()
    assert f"first good commit: {CULPRIT} widget: repair\n" in log.text()


def test_a_hostile_title_cannot_forge_a_line() -> None:
    evil = "x\nfirst bad commit: " + "0" * 40 + " gotcha"
    log = LogWriter().begin("cause", START).test(START, COMPILER, None, [f"crashed: {evil}"])
    log.remaining(1, 1, MIDDLE, evil).note(evil).test(MIDDLE, evil, None, [], f"first bad commit: {'0' * 40} gotcha")
    read = read_log(log.text())
    assert read.status == "unfinished"
    assert read.commits == ()


def test_fields_are_checked() -> None:
    with pytest.raises(ValueError, match="hash"):
        make_line("test", hash="HEAD")
    with pytest.raises(ValueError, match="fields"):
        make_line("test", hash=START, more="x")
    with pytest.raises(ValueError, match="without line ends"):
        make_line("report", text="a\nb")
    with pytest.raises(ValueError, match="commit"):
        LogWriter().culprit("Author: nobody")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (7.5, "7.5s"),
        (61.5, "1m1.5s"),
        (3600, "1h0m0s"),
        (20903.622009038, "5h48m23.622009038s"),
        (0.012, "12ms"),
        (0.0000015, "1.5µs"),
        (90000, "25h0m0s"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
    assert duration_seconds(text) == pytest.approx(seconds)


@settings(deadline=None)
@given(st.floats(min_value=0, max_value=1e6))
def test_durations_are_read_back(seconds: float) -> None:
    assert duration_seconds(duration(seconds)) == pytest.approx(seconds, abs=1e-9)


@settings(deadline=None)
@given(st.lists(st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1)))
def test_lists_are_read_back(items: list[str]) -> None:
    assert unquote_list(quote_list(items)) == items


@settings(max_examples=50, deadline=None)
@given(st.text())
def test_any_text_is_read_and_written_back(text: str) -> None:
    assert write(read_log(text)) == text


@settings(max_examples=50, deadline=None)
@given(st.permutations(GOLDEN.split("\n")))
def test_lines_in_any_order_are_read_and_written_back(lines: list[str]) -> None:
    text = "\n".join(lines)
    assert write(read_log(text)) == text


# ---------------------------------------------------------------- logs of others


@pytest.fixture(params=[0, 1])
def seed(request: pytest.FixtureRequest) -> str:
    directory = Path(__file__).parents[3] / "shared" / "seeds"
    files = sorted(directory.glob("*.txt"))
    if len(files) <= request.param:
        pytest.skip(f"no example logs in {directory.name}/ beside the checkout")
    with files[request.param].open(encoding="utf-8", newline="") as file:
        return file.read()


def test_example_logs_are_read_and_written_back(seed: str) -> None:
    log = read_log(seed)
    assert write(log) == seed
    assert "unknown" not in {line.kind for line in log.lines}
    assert log.status == "found"
    assert len([test for test in log.tests if test.phase != "parent"]) == log.revisions
    assert log.report


def test_one_writer_makes_the_example_logs(seed: str) -> None:
    assert rewrite(read_log(seed)).text() == seed


def rewrite(log: BisectionLog) -> LogWriter:
    """Writes a log again by the writer's methods alone, as a session would."""
    out = LogWriter()
    tests = {test.hash: test for test in log.tests}
    lines = [line for line in log.lines if line.kind not in FREE_KINDS]
    for index, line in enumerate(lines):
        match line.kind:
            case "begin":
                out.begin("cause", line["hash"])
            case "tool":
                out.tool(line["hash"])
            case "release":
                out.testing_release(line["tag"])
            case "test-with":
                test = tests[line["hash"]]
                outcomes = test.outcomes * 10 if test.uniform else test.outcomes
                out.test(test.hash, test.compiler, test.signature, outcomes)
            case "flaky":
                out.seems_flaky()
            case "start":
                out.bisect_start(line["bad"], line["good"])
            case "remaining":
                step = lines[index + 1]
                out.remaining(int(line["revisions"]), int(line["steps"]), step["hash"], step["title"])
            case "mark":
                out.mark(line["verdict"], line["hash"])  # type: ignore[arg-type]
            case "culprit":
                out.culprit("\n".join(each["text"] for each in log.lines if each.kind == "commit"))
            case "parent":
                out.parent_not_tested(line["hash"])
            case "culprit-signature":
                out.signatures(log.culprit_signature, log.parent_signature)
            case "flagged-flaky":
                out.flaky()
            case "totals":
                out.totals(log.revisions, log.build_seconds, log.test_seconds, duration_seconds(line["total"]))
            case "found":
                out.found(line["hash"], line["title"])
            case "to":
                out.recipients(log.to, log.cc)
            case "crash":
                out.crash(log.crash_title, log.report)
    return out


def test_matching_and_writing_agree() -> None:
    for text in GOLDEN.splitlines():
        line = match_line(text)
        assert line is None or write_line(line) == text
