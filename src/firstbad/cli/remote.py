"""A server elsewhere, asked by its API: ``firstbad --server URL ...``."""

import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import httpx
import httpx_sse

from firstbad import __version__
from firstbad.cli.output import say_error
from firstbad.errors import BusyError, FirstbadError, InfrastructureError, NotFoundError, UserError
from firstbad.job import Job
from firstbad.network import url_parts
from firstbad.store import Event, StoredJob

_PAGE = 5000  # events that are asked for at once
_TRIES, _PAUSE = 5, 2.0  # of a request that finds nobody, seconds between them
_OPEN = {"running": "interrupted", "waiting": "interrupted", "paused": "interrupted"}


def chosen() -> "Server | None":
    """The server that was named on the command line or by ``FIRSTBAD_SERVER``; None for this machine."""
    params = click.get_current_context().find_root().params
    url = params.get("server")
    return Server(url, _token(params.get("token_file"))) if url else None


def _token(file: Path | None) -> str:
    """``FIRSTBAD_TOKEN``, else what is in the file. Raises UserError for a file that others may read."""
    said = os.environ.get("FIRSTBAD_TOKEN", "")
    path = file or Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "firstbad" / "token"
    if said or (file is None and not path.exists()):
        return said.strip()
    try:
        if path.stat().st_mode & 0o077:
            raise UserError(f"{path}: others can read this token; chmod 600 it, and better have it replaced")
        return path.read_text().strip()
    except OSError as error:
        raise UserError(f"{path}: the token can't be read: {error.strerror}") from None


class Server:
    """A server's jobs: what reads jobs from a store reads them from here as well."""

    def __init__(self, url: str, token: str = "", transport: httpx.BaseTransport | None = None) -> None:
        """Raises UserError for what is no URL."""
        parts = url_parts(url, ("https", "http"))
        self.url = url.rstrip("/")
        if token and parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
            say_error(f"{self.url}: the token is sent unencrypted; use https")
        headers = {"User-Agent": f"firstbad/{__version__}"}
        if token:
            if not token.isascii() or not token.isprintable():
                raise UserError("this is no token: it holds more than letters, digits and signs")
            headers["Authorization"] = f"Bearer {token}"
        self._client = httpx.Client(base_url=f"{self.url}/api/v1", headers=headers, timeout=60, transport=transport)

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One request. Raises UserError, NotFoundError, BusyError, InfrastructureError, as the same on this machine."""
        for attempt in range(_TRIES):
            try:
                answer = self._client.request(method, path, **more)
            except (httpx.ConnectError, httpx.RemoteProtocolError, httpx.ReadError) as error:
                # Nobody heard it, or the same is asked again: GET, or a request with a key.
                again = method == "GET" or isinstance(error, httpx.ConnectError) or "Idempotency-Key" in str(more)
                if attempt == _TRIES - 1 or not again:
                    raise self._away(error) from None
                time.sleep(_PAUSE)
                continue
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise self._away(error) from None
            if answer.is_success:
                return answer
            raise self._told(answer.status_code, answer.text)
        raise AssertionError

    def _away(self, error: Exception) -> InfrastructureError:
        return InfrastructureError(f"{self.url}: {str(error) or type(error).__name__}")

    def _told(self, status: int, body: str) -> FirstbadError:
        try:
            words = str(httpx.Response(status, text=body).json()["error"])
        except (ValueError, KeyError, TypeError):
            words = f"{self.url} answered {status}; is firstbad there?"
        if status == 401:
            return UserError(f"{words}; set FIRSTBAD_TOKEN, or name a file with --token-file")
        if status >= 500:
            return InfrastructureError(f"{self.url}: {words}")
        return {404: NotFoundError, 409: BusyError}.get(status, UserError)(words)

    def job(self, number: int | None = None) -> StoredJob:
        """A job by number, the last one by default. Raises NotFoundError."""
        if number is None:
            found = self.newest(limit=1)
            if not found:
                raise NotFoundError("there is no job yet")
            number = int(found[0]["job"])
        return _stored(self.ask("GET", f"/jobs/{number}").json())

    def jobs(self) -> list[StoredJob]:
        """The newest jobs, with all that is known of them."""
        return [self.job(int(one["job"])) for one in self.newest()]

    def newest(self, limit: int = 200) -> list[dict[str, Any]]:
        """The newest jobs as lists show them."""
        found: list[dict[str, Any]] = self.ask("GET", "/jobs", params={"limit": limit}).json()["jobs"]
        return found

    def events(self, job_id: int, after: int = -1) -> list[Event]:
        """A job's events in order, from ``after`` (excluded) on."""
        found: list[Event] = []
        while True:
            params = {"after": after, "limit": _PAGE}
            new = self.ask("GET", f"/jobs/{job_id}/events", params=params).json()["events"]
            found += [Event(**one) for one in new]
            if len(new) < _PAGE:
                return found
            after = found[-1].seq

    def stream(self, job_id: int) -> Iterator[tuple[str, Any]]:
        """What comes, as it comes: ``fact`` with an Event, ``now`` and ``end`` with what the server says. The
        connection is made again where it is lost."""
        after, tries = -1, 0
        while True:
            try:
                params = {"after": after}
                path = f"/jobs/{job_id}/stream"
                with httpx_sse.connect_sse(self._client, "GET", path, params=params) as source:
                    if not source.response.is_success:
                        source.response.read()
                        raise self._told(source.response.status_code, source.response.text)
                    for one in source.iter_sse():
                        tries, data = 0, one.json()
                        if one.event == "fact":
                            after = int(data["seq"])
                            yield "fact", Event(**data)
                        else:
                            yield one.event, data
                            if one.event == "end":
                                return
            except (httpx.HTTPError, httpx_sse.SSEError, ValueError) as error:
                tries += 1
                if tries > 60:
                    raise self._away(error) from None
            time.sleep(min(tries, 5))

    def submit(self, data: dict[str, Any], seconds: float) -> int:
        """Put a job into the queue, as a person who waits; ``seconds`` of work, 0: no limit. Returns its number."""
        key = {"Idempotency-Key": uuid.uuid4().hex}
        params = {"priority": 0, "most_seconds": seconds}
        return int(self.ask("POST", "/jobs", json=data, params=params, headers=key).json()["job"])

    def upload(self, digest: str, name: str, data: bytes) -> str:
        """Have the server know a file; returns what a job names it by."""
        try:
            self.ask("GET", f"/files/{digest}")
        except NotFoundError:
            return str(self.ask("POST", "/files", params={"name": name}, content=data).json()["file"])
        return f"sha256:{digest}/{name}"


def _stored(data: dict[str, Any]) -> StoredJob:
    standing = str(data["standing"])
    names = "project submitted_by private priority kind name title status culprit culprit_title confidence"
    more = "started finished builds runs cost seq cancelled paused created"
    return StoredJob(
        id=int(data["job"]),
        job=Job.model_validate(data["request"]),
        queued=standing in ("waiting", "running"),
        state=_OPEN.get(standing, standing),
        running=standing == "running",
        **{name: data[name] for name in f"{names} {more}".split()},
    )
