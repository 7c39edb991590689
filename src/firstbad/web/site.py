"""What every request is answered from: the data directory, the store, the templates."""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

from fastapi import Depends, Request
from jinja2 import ChoiceLoader, Environment, PackageLoader
from markupsafe import Markup

from firstbad.crash.likeness import face_of_title
from firstbad.home import Home
from firstbad.report.drawing import PARTS, equip
from firstbad.session.telling import belief_line, time_left
from firstbad.store import Queue, Store, StoredJob
from firstbad.store.access import Access
from firstbad.store.files import Files
from firstbad.store.hooks import Hooks
from firstbad.store.watch import Glance, glances
from firstbad.web.desk import Desk, Known
from firstbad.web.hub import Hub
from firstbad.web.live import Bodies
from firstbad.web.numbers import Numbers
from firstbad.web.tryout import Tryout
from firstbad.web.words import HELPERS

_MOST_KEPT = 200  # things of that kind
_LATELY = 1.0  # seconds
Made = TypeVar("Made")
STATIC = Path(__file__).parent / "static"


@dataclass(frozen=True)
class Settings:
    """How this server may be used.

    ``loopback``: it listens where only users of this machine reach it; until a token is made, they may do everything.
    ``url``: where people find it, for links in what it sends; https there means cookies for https alone. ``upload``:
    bytes of the largest request.
    """

    loopback: bool = True
    url: str = ""
    upload: int = 64 << 20

    @property
    def secure(self) -> bool:
        """Whether browsers come by https."""
        return self.url.startswith("https://")


def _templates() -> Environment:
    loader = ChoiceLoader([PackageLoader("firstbad.web"), PARTS])
    pages = equip(Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, auto_reload=False))
    pages.globals.update(HELPERS)
    return pages


@dataclass(frozen=True)
class Site:
    """One server's data directory, store and templates; ``request.app.state.site``."""

    home: Home
    store: Store
    settings: Settings
    templates: Environment = field(default_factory=_templates)

    @cached_property
    def desk(self) -> Desk:
        """The jobs that were looked at lately."""
        return Desk(self.home, self.store)

    @cached_property
    def hub(self) -> Hub:
        """Tells viewers what changed."""
        return Hub(lambda numbers: glances(self.store, numbers))

    def warm(self) -> None:
        """Read and compile what the first viewer would wait for: rules of crashes (1.5 s), templates."""
        face_of_title("")
        for name in self.templates.list_templates(["html"]):
            self.templates.get_template(name)

    def glance(self, number: int) -> Glance:
        """What is to be told of a job at once."""
        return glances(self.store, [number]).get(number, Glance())

    @cached_property
    def access(self) -> Access:
        """Tokens, projects, repositories."""
        return Access(self.store.database)

    @cached_property
    def files(self) -> Files:
        """Uploads."""
        return Files(self.store.database)

    @cached_property
    def hooks(self) -> Hooks:
        """Webhooks."""
        return Hooks(self.store.database)

    @cached_property
    def queue(self) -> Queue:
        """Jobs for workers."""
        return Queue(self.store)

    @cached_property
    def bodies(self) -> Bodies:
        """What live pages are sent."""
        return Bodies(lambda number: self.body(self.store.job(number)))

    def body(self, stored: StoredJob) -> Markup:
        """The part of a job's page that is the same for whoever may see it; made once until something happens."""
        with self.desk.open(stored) as known:
            return known.once(("body", stored.standing), lambda: self._body(known))

    def _body(self, known: Known) -> Markup:
        story = known.story()
        text = self.render(
            "body.html",
            story=story,
            at=f"/jobs/{known.stored.id}",
            old=known.old,
            belief=belief_line(known.state) if story.open else "",
            left=time_left(known.state) if known.stored.running else None,
        )
        return Markup(text)  # noqa: S704 - our own template

    def lately(self, name: object, make: Callable[[], Made]) -> Made:
        """What ``make`` gave within the last second, made once however many ask at the same time."""
        with self._making:
            when, found = self._lately.get(name, (-math.inf, None))
            if time.monotonic() - when > _LATELY:
                found = make()
                while len(self._lately) > _MOST_KEPT:
                    del self._lately[next(iter(self._lately))]
                self._lately[name] = time.monotonic(), found
        return cast(Made, found)

    @cached_property
    def _making(self) -> threading.Lock:
        return threading.Lock()

    @cached_property
    def _lately(self) -> dict[object, tuple[float, Any]]:
        return {}

    @cached_property
    def tryout(self) -> Tryout:
        """The demo at one click."""
        return Tryout(self.home, self.queue)

    @cached_property
    def numbers(self) -> Numbers:
        """What Prometheus is told."""
        return Numbers(self.store)

    def render(self, template: str, **values: Any) -> str:
        """A page as text; every value is escaped."""
        return self.templates.get_template(template).render(**values)


def site_of(request: Request) -> Site:
    """The site that a request is for."""
    site: Site = request.app.state.site
    return site


TheSite = Annotated[Site, Depends(site_of)]
