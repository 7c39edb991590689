"""Real bisection logs of other systems: no line of an unknown kind, each written back byte for byte."""

import pytest
from benchmarks.log_lines import measure, texts
from tests.support.peer import shared

from firstbad.report.log import read_log


@pytest.fixture(scope="module")
def logs():
    archive = shared() / "bisections" / "logs.tar.xz"
    if not archive.is_file():
        pytest.skip("the public bisection logs are not here; FIRSTBAD_SHARED names their directory")
    return list(texts([archive]))


@pytest.fixture(scope="module")
def seeds():
    found = list(texts([shared() / "seeds"]))
    if not found:
        pytest.skip("the two example logs are not here; FIRSTBAD_SHARED names their directory")
    return found


def test_all_logs_are_read_whole_and_written_back(logs):
    found = measure(logs)
    assert found.total == 512
    assert found.unknown == []
    assert found.changed == []
    # What is known by its place only is what others said: a compiler, ssh, a commit's author, the kernel.
    by_place = {"blank", "commit", "message", "build-error", "report"}
    assert sum(n for kind, n in found.lines.items() if kind not in by_place) > 85_000


def test_both_examples_are_read_whole_and_written_back(seeds):
    found = measure(seeds)
    assert (found.total, found.unknown, found.changed) == (2, [], [])


def test_messages_belong_to_runs_that_failed(logs):
    """A line that nobody knows must not hide as one of a run's: what ssh and scp said follows a run that failed."""
    for name, text in logs:
        log = read_log(text)
        failed = [t for t in log.tests if any(not o.startswith(("OK", "crashed: ")) for o in t.outcomes)]
        assert all(test in failed for test in log.tests if test.messages), name


def test_what_logs_say_adds_up(logs):
    """Counts, ends, times and recipients. Some logs don't count tests that were given up or did not build."""
    alike = 0
    for name, text in logs:
        log = read_log(text)
        tested = [test for test in log.tests if test.phase != "parent"]
        alike += len(tested) == log.revisions
        assert len(tested) >= log.revisions, name
        assert log.revisions == 0 or log.start_commit == tested[0].hash, name
        assert log.total_seconds >= 0.99 * (log.build_seconds + log.test_seconds) - 1, name
        if log.status == "found":
            assert len(log.commits) == 1, name
            assert all(log.bounds), name
            assert log.to or log.cc, name
            assert all(test.mark for test in tested if test.phase == "bisect"), name
    assert alike >= 0.95 * len(logs)
