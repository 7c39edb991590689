"""A service with two projects, tokens of each scope, and jobs that came to their end, in one process."""

import dataclasses
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from firstbad.store import Store
from firstbad.store.access import Access
from firstbad.store.tables import jobs
from firstbad.web import Settings, make_app
from tests.support.stories import Done, finished_job

SCOPES = ("read", "submit", "admin")
OURS, THEIRS, SECRET = 1, 2, 3
"""Jobs: of the project net; of mm; private, of mm."""


@dataclasses.dataclass
class Service:
    app: FastAPI
    done: Done
    tokens: dict[str, str]
    """By ``project/scope``; ``*`` is all projects."""

    @property
    def store(self) -> Store:
        return self.done.store

    def client(self, who: str = "", **more: Any) -> TestClient:
        """As whoever has that token; redirects are not followed."""
        headers = {"Authorization": f"Bearer {self.tokens[who]}"} if who else {}
        return TestClient(self.app, base_url="http://localhost", headers=headers, follow_redirects=False, **more)

    def browser(self, who: str) -> tuple[TestClient, str]:
        """A browser that logged in; and what its forms carry."""
        client = self.client()
        client.cookies.clear()
        page = client.get("/login").text
        csrf = re.search(r'name="csrf" value="([^"]+)"', page)
        assert csrf
        answer = client.post("/login", data={"token": self.tokens[who], "csrf": csrf[1], "to": "/"})
        assert answer.status_code == 303, answer.text
        from firstbad.web.auth import csrf_of

        return client, csrf_of(str(client.cookies["firstbad"]))


def make_service(directory: Path, change: Callable[[str, Any], Any] | None = None) -> Service:
    """``change`` makes something else of the text fields of all events (key, text)."""
    done = finished_job(directory)
    done.store = store = Store(done.place.database, root=done.place.root)
    events, first = store.events(1), store.job(1)
    if change is not None:
        _rewrite(store, 1, change)
    access = Access(store.database)
    for project in ("net", "mm"):
        access.create_project(project)
    for number in (THEIRS, SECRET):
        made = store.submit(first.job)
        assert made == number
        for event in events:
            store.append(number, event.kind, event.data)
    _set(store, OURS, project="net")
    _set(store, THEIRS, project="mm")
    _set(store, SECRET, project="mm", private=1)
    tokens = {
        f"{project}/{scope}": access.create_token(f"{project} {scope}", scope, project, None)[0]
        for project in ("net", "mm", "*")
        for scope in SCOPES
    }
    access.add_repository("linux", str(done.history.path), commands=False)
    access.add_repository("trusted", str(done.history.path), commands=True)
    return Service(make_app(done.place, store, Settings(upload=1 << 20)), done, tokens)


def _set(store: Store, number: int, **values: Any) -> None:
    change = sa.update(jobs).where(jobs.c.id == number).values(**values)
    store.database.write(lambda connection, _: connection.execute(change))


def _rewrite(store: Store, number: int, change: Callable[[str, Any], Any]) -> None:
    from firstbad.store.tables import events

    def write(connection: sa.Connection, _: bool) -> None:
        for row in connection.execute(sa.select(events).where(events.c.job_id == number)).all():
            data = changed(row.data, change)
            connection.execute(sa.update(events).where(events.c.id == row.id).values(data=data))

    store.database.write(write)


def changed(data: Any, change: Callable[[str, Any], Any], key: str = "") -> Any:
    """Every text within JSON, changed."""
    if isinstance(data, dict):
        return {name: changed(value, change, name) for name, value in data.items()}
    if isinstance(data, list):
        return [changed(value, change, key) for value in data]
    return change(key, data) if isinstance(data, str) else data


def routes_of(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Method and path of all that the application answers, from its own routes."""
    yield from _routes(app.routes, "")


def _routes(routes: Any, prefix: str) -> Iterator[tuple[str, str]]:
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from _routes(inner.routes, prefix + route.include_context.prefix)
        elif getattr(route, "methods", None):
            for method in sorted(route.methods - {"HEAD"}):
                yield method, prefix + route.path
        else:
            yield "MOUNT", prefix + route.path


class Page(HTMLParser):
    """What a page has that could act: elements with their attributes, links to follow."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    handle_startendtag = handle_starttag

    def links(self, base: str) -> set[str]:
        names = ("href", "src", "hx-get", "sse-connect")
        found = {urljoin(base, a[n]) for tag, a in self.elements for n in names if n in a}
        forms = {urljoin(base, a.get("action", base)) for t, a in self.elements if t == "form" and "post" not in str(a)}
        return {link.split("#")[0] for link in found | forms if urlsplit(link).netloc == urlsplit(base).netloc}
