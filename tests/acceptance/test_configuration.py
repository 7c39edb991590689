"""A configuration made smaller with real builds and boots; benchmarks/minimize.py has more to leave out."""

import pytest

from firstbad.demo import demo_job, make_demo
from firstbad.job import make_job
from firstbad.kernel.dotconfig import read_config, switched_on, unset
from firstbad.session import Bisection
from firstbad.store import Store

pytestmark = [pytest.mark.kernel, pytest.mark.optional]  # a quarter of an hour
CALLED = {"EPOLL", "EVENTFD", "SIGNALFD", "TIMERFD", "POSIX_TIMERS", "SYSVIPC"}


class Chosen(Exception):
    pass


class UntilChosen:
    def event(self, event, state):
        if event.kind == "config":
            raise Chosen

    def activity(self, text):
        pass


def test_of_what_the_reproducers_call_one_needs_timers_only(place, tmp_path):
    """The demo's configuration against the same without what its reproducers call."""
    made = make_demo(place.root / "demo", 1)
    case = made.cases["a"]
    baseline = tmp_path / "baseline.config"
    baseline.write_text(unset(case.config.read_text(), CALLED))
    job = demo_job(made, case, 0.99).model_dump(mode="json", by_alias=True)
    store = Store(place.database)
    number = store.submit(make_job(job | {"baseline": str(baseline)}))
    with pytest.raises(Chosen):
        Bisection(store, number, place, UntilChosen()).run()
    events = store.events(number)
    config = next(event.data for event in events if event.kind == "config")
    assert config["what"] == "minimized"
    on = switched_on(read_config(config["text"]))
    assert on & CALLED == {"POSIX_TIMERS"}
    assert 0 < config["left"] < 0.4 * config["added"]
    assert [event.data["what"] for event in events if event.kind == "trial"] == ["baseline", "minimized"]
    assert [event.data["verdict"] for event in events if event.kind == "trial-mark"] == ["good", "bad"]
    runs = [event.data for event in events if event.kind == "trial-run"]
    assert all(run["title"] == case.title for run in runs if run["outcome"] == "crash")
