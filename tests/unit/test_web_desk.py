"""Jobs kept in memory: nothing is folded twice, and what is kept has a bound."""

from tests.support.stories import finished_job

from firstbad.session import fold
from firstbad.web import desk as module
from firstbad.web.desk import Desk


def test_only_what_is_new_is_read(tmp_path):
    done = finished_job(tmp_path)
    desk, asked = Desk(done.place, done.store), []
    events = done.store.events

    def counting(number, after=-1, most=None):
        asked.append(after)
        return events(number, after, most)

    done.store.events = counting
    with desk.open(done.store.job(1)) as known:
        first = known.story()
        assert known.story() is first
        last = known.seq
    with desk.open(done.store.job(1)) as known:
        assert known.story() is first
    assert asked == [-1], "nothing new, nothing read"
    done.store.append(1, "opinion", {"commit": done.history.commits["c12"], "says": "bad", "who": "Jo", "why": "x",
                                     "undo": False, "parents": []})  # fmt: skip
    with desk.open(done.store.job(1)) as known:
        assert known.story() is not first
        assert known.story().status == "unfinished"
        assert known.state.opinions.said == fold(events(1)).opinions.said
    assert asked == [-1, last]


def test_what_is_kept_has_a_bound(tmp_path, monkeypatch):
    done = finished_job(tmp_path)
    job = done.store.job(1).job
    numbers = [1]
    for _ in range(4):
        numbers.append(done.store.submit(job))
        for event in done.store.events(1):
            done.store.append(numbers[-1], event.kind, event.data)
    desk = Desk(done.place, done.store)
    with desk.open(done.store.job(1)) as known:
        size = known.size
    assert size > 20_000
    monkeypatch.setattr(module, "MOST_BYTES", 2.5 * size)
    for number in numbers:
        with desk.open(done.store.job(number)) as known:
            assert known.story().found
    assert len(desk._known) == 2
    monkeypatch.setattr(module, "MOST_BYTES", 1)
    with desk.open(done.store.job(1)) as known:
        assert known.story().found
    assert list(desk._known) == [1], "the one that was just looked at stays"
