"""The logs that sessions write have the line kinds that bisection logs of the kernel have."""

from pathlib import Path

import pytest
from tests.support.lab import Lab
from tests.unit.test_session import bisect, contains, history, job_for, place  # noqa: F401 - fixtures

from firstbad.report import read_log, write
from firstbad.session import bisection_log

# `parent commit ... wasn't tested`: we always test it.
NOT_OURS = {"parent"}
SYZKALLER = "e59537be40a9ad863e953e187c14dbde57caf1b1"


@pytest.fixture
def logs(history, place, tmp_path):  # noqa: F811
    """One bisection of a sure crash, one of a flaky crash with another bug around."""
    texts = []
    for rate, stranger in ((1.0, 0.0), (0.4, 0.1)):
        lab = Lab(tmp_path, contains(history, "c22"), crash_rate=rate, stranger_rate=stranger)
        job = job_for(history, reproducer={"syzkaller_commit": SYZKALLER})  # as `settle` leaves it for a syz program
        _, store, number = bisect(place, job, lab)
        texts.append(bisection_log(store.job(number).job, store.events(number)))
    return texts


@pytest.mark.parametrize("seed", [0, 1])
def test_line_kinds_of_the_example_logs_are_written(logs, seed):
    files = sorted((Path(__file__).parents[3] / "shared" / "seeds").glob("*.txt"))
    if len(files) <= seed:
        pytest.skip("no example logs in shared/ beside the checkout")
    wanted = {line.kind for line in read_log(files[seed].read_text()).lines} - NOT_OURS
    ours = {line.kind for text in logs for line in read_log(text).lines}
    assert wanted <= ours


def test_our_logs_are_read_whole(logs, history):  # noqa: F811
    for text in logs:
        log = read_log(text)
        assert write(log) == text
        assert log.status == "found"
        assert log.commits == (history.commits["c22"],)
        assert not [line for line in log.lines if line.kind == "unknown"]
        assert log.crash_title == "BUG: unable to handle kernel NULL pointer dereference in demo_read"
        assert log.notes
        assert text.splitlines()[1] == f"building syzkaller on {SYZKALLER}"
    assert read_log(logs[1]).flaky
