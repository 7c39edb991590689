"""`--deadline` and exit status: how jobs end, and that they go on; kernels are played by an engine."""

import functools
import json
import re
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from tests.cmd.test_test import files, history, invoke, lab, place  # noqa: F401 - fixtures
from tests.support.lab import Lab

from firstbad.cli.deadline import parse_deadline
from firstbad.cli.status import exit_of, exit_of_job, table
from firstbad.errors import BisectionError, InfrastructureError
from firstbad.home import Home
from firstbad.report import read_log
from firstbad.session import Bisection, fold
from firstbad.store import Queue, Store
from firstbad.web import make_app

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90m", 5400), ("8h", 28_800), ("1d12h", 129_600), ("3600", 3600), ("45s", 45), ("1h30m", 5400), ("2min", 120)],
)
def test_durations(text, seconds):
    assert parse_deadline(text, NOW) == NOW + seconds


def test_times():
    assert parse_deadline("2027-01-15T08:00:01Z", NOW) == NOW + 1
    assert parse_deadline("2027-01-15T09:00:01+01:00", NOW) == NOW + 1
    local = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(NOW + 60))
    assert parse_deadline(local, NOW) == NOW + 60


@pytest.mark.parametrize("text", ["", "0", "0h", "soon", "8 h", "-5m", "1h90", "2020-01-01", "m", "9" * 40, "12h1d"])
def test_what_is_no_time(text):
    if text == "1h90":  # ninety seconds
        assert parse_deadline(text, NOW) == NOW + 3690
        return
    with pytest.raises(ValueError, match=r"over already|no time at all|neither a duration nor a time"):
        parse_deadline(text, NOW)


def test_an_unusable_deadline_is_told(place, history):  # noqa: F811
    result = invoke("cause", *files(place), "--deadline", "soon")
    assert (result.exit_code, "1d12h" in result.stderr) == (2, True)


@dataclass
class Clock:
    """Time that passes by runs: ``late`` says whether the deadline has passed."""

    most: int
    runs: int = 0

    def count(self):
        self.runs += 1

    def time(self):
        return NOW + self.runs if self.runs < self.most else NOW * 3


@pytest.fixture
def clock(history, place, monkeypatch):  # noqa: F811
    """Sessions whose deadline passes after so many runs; c2 brought the bug."""
    has = {history.commits[f"c{i}"] for i in (2, 3, 4)}
    found = Clock(10**9)

    def engine(home, job):
        holds = lambda commit: commit in has and not job.test.patch  # noqa: E731
        made.append(Lab(place / "artifact", holds, before_run=found.count, builds=builds))
        return made[-1]

    made: list[Lab] = []
    builds: list[str] = []  # kept from session to session
    monkeypatch.setattr("firstbad.cli.run.Bisection", functools.partial(Bisection, engine=engine))
    monkeypatch.setattr("firstbad.session.work.time.time", found.time)
    found.labs = made
    return found


def test_a_bisection_ends_at_its_deadline_and_goes_on(place, history, clock):  # noqa: F811
    clock.most = 6
    late = invoke("cause", *files(place), "--plain", "--deadline", "2100-01-01")
    assert late.exit_code == exit_of("budget") == 124
    answer = json.loads(invoke("show", "--json").stdout)
    assert answer["status"] == "budget"
    assert "no time left" in late.stdout
    assert history.commits["c2"] in answer["commits"]
    assert len(answer["commits"]) == len(answer["probabilities"])
    assert answer["confidence"] == pytest.approx(sum(answer["probabilities"]), abs=1e-4)
    assert answer["confidence"] + answer["older"] <= 1 + 1e-4
    assert ("none of these" in answer["why"]) == (answer["older"] > 0.01)
    assert hasattr(clock.labs[0], "closed"), "builds and machines are ended"
    assert "to the deadline" in late.stderr
    store = Store(place / "home" / "firstbad.db")
    events = store.events(1)
    assert [e.kind for e in events if e.kind in ("started", "deadline", "budget")] == ["started", "deadline", "budget"]
    shown = invoke("show", 1).stdout
    assert "no time left" in shown
    assert "firstbad resume 1" in shown
    log = read_log(invoke("log", 1).stdout)
    assert log.status == "candidates"
    assert set(log.commits) == set(answer["commits"])
    assert json.loads(invoke("status", "--json").stdout)["state"] == "out of time"
    page = TestClient(make_app(Home(place / "home", 1 << 30)), base_url="http://127.0.0.1").get("/jobs/1").text
    assert "out of time" in page
    assert answer["commits"][0][:12] in page
    before = sum(event.kind == "run" for event in events)
    over = invoke("resume", 1, "--deadline", "2100-01-01")
    assert (over.exit_code, "over already" in over.stderr) == (2, True)
    clock.most = 10**9
    done = invoke("resume", 1, "--json", "--deadline", "2900-01-01")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["commits"] == [history.commits["c2"]]
    events = store.events(1)
    assert fold(events).budget is None
    runs = [name for made in clock.labs for name in made.runs]
    recorded = sum(event.kind in ("run", "proof-run", "probe") for event in events)
    assert recorded >= before
    assert len(set(runs)) >= recorded - 1


def test_before_anything_is_known(place, history, clock):  # noqa: F811
    clock.most = 1
    late = invoke("cause", *files(place), "--deadline", "2100-01-01", "--json")
    answer = json.loads(late.stdout)
    assert (late.exit_code, answer["status"], answer["commits"]) == (124, "budget", [])
    assert "not known yet" in answer["why"]
    assert read_log(invoke("log").stdout).status == "unfinished"
    assert "not known yet" in invoke("show").stdout


def test_a_test_ends_at_its_deadline(place, history, clock):  # noqa: F811
    clock.most = 2
    late = invoke("test", *files(place), "--rev", "HEAD~4", "--json", "--deadline", "2100-01-01")
    assert (late.exit_code, json.loads(late.stdout)["status"]) == (125, "budget")
    assert "no time left after" in invoke("show").stdout
    clock.runs = 0
    measured = invoke("test", *files(place), "--start", "HEAD", "--json", "--deadline", "2100-01-01")
    assert (measured.exit_code, json.loads(measured.stdout)["status"]) == (125, "budget")


def test_a_build_is_ended_too(place, history, monkeypatch):  # noqa: F811
    from concurrent.futures import Future

    class Slow(Lab):
        def build(self, request):
            return Future()  # never done

    monkeypatch.setattr(
        "firstbad.cli.run.Bisection",
        functools.partial(Bisection, engine=lambda *_: Slow(place / "artifact", lambda _: True)),
    )
    late = invoke("cause", *files(place), "--json", "--deadline", "1s")
    assert (late.exit_code, json.loads(late.stdout)["status"]) == (124, "budget")


# ---------------------------------------------------------------- exit status


def test_the_table_and_its_page():
    page = (Path(__file__).parents[2] / "docs" / "ci.md").read_text()
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", page, re.MULTILINE)
    wanted = [(str(row.exit), row.result.replace("_", " "), " ".join(row.commands), row.means) for row in table()]
    assert [tuple(cell.strip() for cell in row) for row in rows] == wanted


@pytest.mark.parametrize("command", ["cause", "fix", "resume", "import", "test", "demo"])
def test_help_tells_the_statuses(command):
    words = invoke(command, "--help").stdout
    for row in table():
        assert (f"{row.exit}  {row.result.replace('_', ' ')}: " in words) == (command in row.commands), row


def test_no_command_has_two_meanings_for_one_status():
    for command in ("cause", "fix", "resume", "import", "test", "demo"):
        codes = [row.exit for row in table() if command in row.commands]
        assert len(codes) == len(set(codes)), command


def test_statuses_of_the_contracts_have_one():
    statuses = ("found", "candidates", "older_than_oldest", "not_fixed", "not_reproduced", "untestable", "environment",
                "infra_failure", "budget")  # fmt: skip
    codes = [exit_of_job("cause", status) for status in statuses]
    assert len(set(codes)) == len(codes)
    test = {"not_seen": 0, "crashes": 1, "unsure": 125, "untestable": 125, "budget": 125, "infra_failure": 128}
    assert {status: exit_of_job("test", status) for status in test} == test


def test_a_crash_that_does_not_show(place, history, lab):  # noqa: F811
    missing = invoke("cause", *files(place), "--commit", "HEAD~4", "--good", "HEAD~4", "--json")
    assert missing.exit_code == 2
    missing = invoke("cause", *files(place), "--commit", history.commits["c1"], "--json")
    assert missing.exit_code == exit_of("not_reproduced")
    answer = json.loads(missing.stdout)
    assert (answer["status"], "wasn't reproduced" in answer["why"]) == ("not_reproduced", True)
    assert json.loads(invoke("show", "--json").stdout)["status"] == "not_reproduced"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InfrastructureError("no disk"), 128),
        (BisectionError("broken"), 15),
        (KeyboardInterrupt(), 130),
        (RuntimeError("a defect"), 150),
    ],
)
def test_errors(place, history, lab, monkeypatch, error, code):  # noqa: F811
    def run(self):
        raise error

    monkeypatch.setattr(Bisection, "run", run)
    assert invoke("cause", *files(place), "--plain").exit_code == code


def test_a_cancelled_job(place, history, lab, monkeypatch):  # noqa: F811
    def cancelled(self):
        self.store.cancel(self.number)
        return begin(self)

    begin = Bisection._begin
    monkeypatch.setattr(Bisection, "_begin", cancelled)
    assert invoke("cause", *files(place), "--plain").exit_code == 143


def test_an_imported_log_has_a_deadline_too(place, history, clock):  # noqa: F811
    bad, good = history.commits["c4"], history.commits["c0"]
    (place / "bisect.log").write_text(f"git bisect start\ngit bisect bad {bad}\ngit bisect good {good}\n")
    clock.most = 3
    late = invoke(
        "import", place / "bisect.log", *files(place), "--plain", "--deadline", "2100-01-01", "--junit", place / "a.xml"
    )
    assert late.exit_code == 124, late.stderr
    assert 'name="status" value="budget"' in (place / "a.xml").read_text()
    clock.most = 10**9
    assert invoke("resume", "--plain").exit_code == 0
    assert json.loads(invoke("show", "--json").stdout)["commits"] == [history.commits["c2"]]


def test_a_second_process_leaves_nothing_in_the_record(place, lab, history):  # noqa: F811
    """It is told who works on the job; the job has not failed."""
    done = invoke("cause", *files(place), "--deadline", "1s")
    store = Store(place / "home" / "firstbad.db")
    before = len(store.events(1))
    assert before, done.stderr
    lease = Queue(store).take(1)
    result = invoke("resume", "1")
    Queue(store).release(lease)
    assert result.exit_code == 2
    assert "is running" in result.stderr
    assert len(store.events(1)) == before
