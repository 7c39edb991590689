"""Jobs that came to their end over a small history, with kernels played by an engine: for tests of reports."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firstbad.history.git import Repo
from firstbad.home import Home
from firstbad.job import make_job
from firstbad.report.story import Story
from firstbad.session import Bisection
from firstbad.session.story import tell
from firstbad.store import Store
from tests.support.histories import History
from tests.support.lab import Lab


class Quiet:
    def event(self, event, state):
        pass

    def activity(self, text):
        pass


@dataclass
class Done:
    """A finished job and where it lies."""

    place: Home
    store: Store
    number: int
    history: History

    def story(self) -> Story:
        return tell(self.place, self.store.job(self.number), self.store.events(self.number))

    def finish_again(self, **changes: Any) -> None:
        """Another answer, as after somebody overruled the first."""
        last = next(e.data for e in reversed(self.store.events(self.number)) if e.kind == "finished")
        self.store.append(self.number, "finished", last | changes)


def line(path: Path, commits: int = 24, culprit_title: str = "c13") -> History:
    """A straight history; the culprit is ``culprit_title``, the 14th commit."""
    made = History(path)
    for number in range(commits):
        made.commit(culprit_title if number == 13 else f"c{number}")
        if number % 8 == 0:
            made.tag(f"v6.{number // 8}", f"c{number}")
    return made


def finished_job(directory: Path, culprit_title: str = "c13", lab: dict[str, Any] | None = None, **fields: Any) -> Done:
    """A cause bisection over :func:`line` that has named its culprit."""
    directory.mkdir(parents=True, exist_ok=True)
    history = line(directory / "linux", culprit_title=culprit_title)
    (directory / "config").write_text("CONFIG_64BIT=y\n")
    (directory / "repro.c").write_text("int main(void) { return 0; }\n")
    files = {"repo": history.path, "config": directory / "config", "repro": directory / "repro.c"}
    job = make_job({**{key: str(value) for key, value in files.items()}, **fields})
    place = Home(directory / "home", 1 << 30)
    store = Store(place.database)
    number = store.submit(job)
    repo, culprit = Repo(history.path), history.commits[culprit_title]
    made = Lab(directory, lambda commit: repo.is_ancestor(culprit, commit), **(lab or {}))
    Bisection(store, number, place, Quiet(), engine=lambda home, job: made).run()
    return Done(place, store, number, history)
