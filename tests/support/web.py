"""A test's way to the pages: a client of this machine, and forms as a browser posts them."""

import re
from typing import Any

from fastapi.testclient import TestClient

from firstbad.home import Home
from firstbad.web import make_app


def local_client(place: Home) -> TestClient:
    """Somebody at this machine."""
    return TestClient(make_app(place), base_url="http://localhost", follow_redirects=False)


def csrf(client: TestClient, page: str) -> str:
    """What the page's forms carry."""
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', client.get(page).text)
    assert found, f"no form on {page}"
    return found[1]


def post(client: TestClient, page: str, fields: dict[str, Any], to: str = "", **more: Any):
    """Post a form of ``page`` to ``to`` (where it is itself)."""
    return client.post(to or page, data={"csrf": csrf(client, page), **fields}, **more)
