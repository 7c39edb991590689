"""Tests of one revision: how many runs, what follows, whose bug it is; kernels are played by tests/support/lab.py."""

import math

import pytest
from tests.support.histories import History
from tests.support.lab import Lab

from firstbad.errors import BisectionError, UserError
from firstbad.home import Home
from firstbad.inference import Evidence
from firstbad.inference.unseen import (
    assumed_law,
    chance_unseen,
    learned_laws,
    rate_interval,
    runs_until,
    usual_rate,
)
from firstbad.job import Job, make_job
from firstbad.session import Bisection, bisection_log, learned
from firstbad.session.aim import Aim, Aims
from firstbad.session.rate import percent
from firstbad.session.view import MODEL
from firstbad.store import Store
from firstbad.vm import Watched


class Quiet:
    def event(self, event, state) -> None: ...
    def activity(self, text) -> None: ...


class Stop(Exception):
    pass


@pytest.fixture
def history(tmp_path):
    made = History(tmp_path / "repo")
    for number in range(4):
        made.commit(f"c{number}")
    made.tag("v6.1", "c0")
    return made


@pytest.fixture
def store(tmp_path):
    return Store(Home(tmp_path / "home", 1 << 30).database)


def job_for(history: History, **fields) -> Job:
    config, repro = history.path.parent / "config", history.path.parent / "repro.c"
    config.write_text("CONFIG_64BIT=y\n")
    repro.write_text("int main(void) { return 0; }\n")
    files = {"repo": str(history.path), "config": str(config), "repro": str(repro)}
    return make_job({**files, "kind": "test", **fields})


def run(store: Store, number: int, lab: Lab):
    place = Home(store.path.parent, 1 << 30)
    return Bisection(store, number, place, Quiet(), engine=lambda home, job: lab).run()


def measured(history: History, store: Store, tmp_path, **lab) -> int:
    """A job that saw the bug at the newest commit."""
    number = store.submit(job_for(history, test={"measure": True}))
    found = run(store, number, Lab(tmp_path, lambda _: True, **lab))
    assert found["status"] == "crashes"
    return number


def test_a_bug_that_always_crashes_is_gone_after_few_clean_runs(history, store, tmp_path):
    reference = measured(history, store, tmp_path)
    number = store.submit(job_for(history, test={"reference": reference, "patch": "--- a/x\n"}))
    lab = Lab(tmp_path, lambda _: False)
    found = run(store, number, lab)
    assert found["status"] == "not_seen"
    assert found["chance"] <= 0.01
    assert found["clean"] == len(lab.runs)
    assert 1 <= found["clean"] <= 12
    assert f"not seen in {found['clean']} runs; if the bug were there, the chance of that is" in found["why"]
    assert found["patched"] is True
    assert f"of 4 runs crashed at {history.commits['c3'][:12]} in job {reference}" in found["rate_from"]
    log = bisection_log(store.job(number).job, store.events(number))
    assert f"# firstbad: test of {history.commits['c3']} with a patch\n" in log
    assert f"# firstbad: {found['why']}\n" in log


def test_a_bug_that_is_still_there(history, store, tmp_path):
    reference = measured(history, store, tmp_path)
    number = store.submit(job_for(history, test={"reference": reference}))
    found = run(store, number, Lab(tmp_path, lambda _: True, machines=1))
    assert found["status"] == "crashes"
    assert found["crashes"] == 1
    assert found["why"].startswith("still crashes: BUG: unable to handle kernel NULL pointer dereference in demo_read")
    assert "chance" not in found


@pytest.mark.parametrize("rate", [0.5, 0.2])
def test_a_rare_crash_takes_more_runs(history, store, tmp_path, rate):
    reference = measured(history, store, tmp_path, crash_rate=rate, seed=3)
    known = learned(store, reference)
    number = store.submit(job_for(history, test={"reference": reference}))
    found = run(store, number, Lab(tmp_path, lambda _: False))
    assert found["status"] == "not_seen"
    runs = known["crashes"] + known["clean"]
    assert found["rate"][1] <= known["crashes"] / runs <= found["rate"][2]
    # No fewer than the measured rate itself asks for, and more, since it is not known well.
    assert found["clean"] >= math.log(0.01) / math.log1p(-known["crashes"] / runs)
    laws = learned_laws(MODEL.laws, Evidence(known["crashes"], known["clean"]))
    assert found["chance"] == pytest.approx(chance_unseen(laws, Evidence(clean=found["clean"])), rel=0.01)
    assert chance_unseen(laws, Evidence(clean=found["clean"] - 1)) > 0.01


def test_another_bug_is_told_apart(history, store, tmp_path):
    reference = measured(history, store, tmp_path)
    number = store.submit(job_for(history, test={"reference": reference}))
    found = run(store, number, Lab(tmp_path, lambda _: False, stranger_rate=0.5, seed=1))
    assert found["status"] == "not_seen"
    assert found["other"] > 0
    also = store.submit(job_for(history, test={"reference": reference}))
    lab = Lab(tmp_path, lambda _: True, function="another_function")
    with pytest.raises(BisectionError, match="crashes with other bugs only"):
        run(store, also, lab)


def test_what_can_not_be_tested(history, store, tmp_path):
    reference = measured(history, store, tmp_path)
    commit = history.commits["c3"]
    for lab, words in (
        (Lab(tmp_path, lambda _: True, broken=frozenset([commit])), "does not build: a.c:1: error"),
        (Lab(tmp_path, lambda _: True, unbootable=frozenset([commit])), "does not boot"),
    ):
        with pytest.raises(BisectionError, match=words):
            run(store, store.submit(job_for(history, test={"reference": reference})), lab)


def test_too_few_runs_say_nothing(history, store, tmp_path):
    reference = measured(history, store, tmp_path, crash_rate=0.2, seed=3)
    number = store.submit(job_for(history, test={"reference": reference, "runs": 3}))
    found = run(store, number, Lab(tmp_path, lambda _: False))
    assert found["status"] == "unsure"
    assert found["chance"] > 0.01
    assert "no more than 3 runs were allowed" in found["why"]


def test_a_rate_that_is_said_or_assumed(history, store, tmp_path):
    number = store.submit(job_for(history, title="", test={"rate": 0.5}))
    found = run(store, number, Lab(tmp_path, lambda _: False))
    assert found["clean"] == 7
    assert found["chance"] == pytest.approx(0.5**7, rel=0.01)
    assert found["rate_from"] == "said by you"
    found = run(store, store.submit(job_for(history)), Lab(tmp_path, lambda _: False))
    assert found["rate_from"].startswith("assumed")
    assert found["rate"] == [pytest.approx(usual_rate(MODEL))] * 3
    crashed = run(store, store.submit(job_for(history)), Lab(tmp_path, lambda _: True))
    assert crashed["status"] == "crashes", "without a known bug every crash is one"


def test_a_start_without_the_bug_is_no_reference(history, store, tmp_path):
    number = store.submit(job_for(history, test={"measure": True}))
    with pytest.raises(BisectionError, match="wasn't reproduced"):
        run(store, number, Lab(tmp_path, lambda _: False))
    with pytest.raises(UserError, match=f"job {number} did not see the bug"):
        learned(store, number)


def test_a_bisection_is_a_reference(history, store, tmp_path):
    bad = {history.commits["c2"], history.commits["c3"]}
    number = store.submit(job_for(history, kind="cause"))
    found = run(store, number, Lab(tmp_path, bad.__contains__))
    assert found["commits"] == [history.commits["c2"]]
    test = store.submit(job_for(history, commit=history.commits["c1"], test={"reference": number}))
    assert run(store, test, Lab(tmp_path, bad.__contains__))["status"] == "not_seen"
    test = store.submit(job_for(history, commit=history.commits["c2"], test={"reference": number}))
    assert run(store, test, Lab(tmp_path, bad.__contains__))["status"] == "crashes"


def test_runs_that_did_not_come_near_the_code(history, store, tmp_path, monkeypatch):
    """They are no evidence, but for a patch: keeping everybody away is one way to fix it."""
    reference = measured(history, store, tmp_path)
    assert learned(store, reference)["crash"]["title"].endswith("in demo_read")
    watched = Aim(("demo_read",), watched=Watched({"demo_read": (4096,)}, 0))
    monkeypatch.setattr(Aims, "at", lambda *_: watched)
    monkeypatch.setattr(Aim, "reached", lambda self, run: False)
    number = store.submit(job_for(history, test={"reference": reference}))
    with pytest.raises(BisectionError, match="does not come near the code of the crash"):
        run(store, number, Lab(tmp_path, lambda _: False))
    number = store.submit(job_for(history, test={"reference": reference, "patch": "--- a/x\n"}))
    lab = Lab(tmp_path, lambda _: False)
    found = run(store, number, lab)
    runs = [name for name in lab.runs if "-probe" not in name]
    assert (found["status"], found["clean"], found["unreached"]) == ("not_seen", 0, len(runs))
    assert f"not seen in {len(runs)} runs" in found["why"]


def test_resume_repeats_nothing(history, store, tmp_path):
    reference = measured(history, store, tmp_path, crash_rate=0.2, seed=3)
    number = store.submit(job_for(history, test={"reference": reference}))
    whole = store.submit(job_for(history, test={"reference": reference}))
    expected = run(store, whole, Lab(tmp_path, lambda _: False))
    done, left = [], 5

    def fuse():
        nonlocal left
        left -= 1
        if left < 0:
            raise Stop

    found = None
    while found is None:
        left = 5
        lab = Lab(tmp_path, lambda _: False, before_run=fuse, machines=1)
        try:
            found = run(store, number, lab)
        except Stop:
            pass
        done += lab.runs
        # What the reference learns later changes nothing.
        store.append(reference, "run", store.events(reference)[-3].data | {"commit": history.commits["c3"]})
    assert len(done) == len(set(done)) == expected["clean"]
    assert found == expected
    assert [event.kind for event in store.events(number)].count("learned") == 1


def test_chances():
    sure = assumed_law(1.0)
    assert runs_until(sure, Evidence(), 0.01) == 1
    assert chance_unseen(sure, Evidence(clean=1)) == 0
    half = assumed_law(0.5)
    assert runs_until(half, Evidence(clean=3), 0.01) == 4
    assert runs_until(half, Evidence(), 0.01, share=0.9) == math.ceil(math.log(0.01) / math.log1p(-0.45))
    assert chance_unseen(half, Evidence(clean=2, cut=((0.5, 3),))) == pytest.approx(0.25 * 0.75**3)
    assert rate_interval(half) == (0.5, 0.5, 0.5)
    rare = learned_laws(MODEL.laws, Evidence(crashes=1, clean=300))
    assert runs_until(rare, Evidence(), 0.01) > 300
    for rate in (0.0, 1.5, float("nan")):
        with pytest.raises(ValueError, match="crash rate"):
            assumed_law(rate)


def test_the_chance_is_a_frequency():
    """Rates drawn from the prior, a start and a tested revision that both have the bug: of the tests that end in
    "not seen" with chance x, a share of x is wrong."""
    import numpy as np

    random = np.random.default_rng(20261121)
    laws, trials, hits, told = MODEL.laws, 4000, 0, 0.0
    picked = random.choice(len(laws.rate), size=trials, p=laws.weight / laws.weight.sum())
    for law in picked:

        def draw(law=law):
            spread, rate = laws.spread[law], laws.rate[law]
            return rate if np.isinf(spread) else random.beta(rate * spread, (1 - rate) * spread)

        start, here = draw(), draw()
        if np.isinf(laws.spread[law]):
            here = start
        crashes = int(random.binomial(6, start))
        after = learned_laws(laws, Evidence(crashes, 6 - crashes))
        told += chance_unseen(after, Evidence(clean=4))
        hits += random.random() < (1 - here) ** 4
    assert hits / trials == pytest.approx(told / trials, abs=4 * math.sqrt(0.25 / trials))


def test_percent():
    assert [percent(x) for x in (0.003, 0.12, 0.000004, 1.0, 0.0, 0.999, 0.0316)] == [
        "0.3%", "12%", "0.0004%", "100%", "0%", "100%", "3.2%",
    ]  # fmt: skip


def test_the_table_is_for_tests_only(history):
    with pytest.raises(UserError, match=r"\[test\] is for jobs of the kind 'test' only"):
        job_for(history, kind="cause", test={"rate": 0.5})
    with pytest.raises(UserError, match="a test is of 'commit'"):
        job_for(history, head="HEAD")
