"""Telling webhooks: signed, to the address that was looked at, again and again until it is taken."""

import hashlib
import hmac
import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx

from firstbad import __version__
from firstbad.errors import FirstbadError
from firstbad.network import port_of, resolve, url_parts
from firstbad.store import Store
from firstbad.store.hooks import Delivery, Hooks, Webhook

SECONDS = 10.0  # for one try
_PAUSE = 2.0  # between two looks for something to do
_SCHEMES = ("https", "http")
_log = logging.getLogger("firstbad.webhooks")


def check_url(url: str) -> None:
    """Whether a webhook may be there now; it is looked at again before each try. Raises UserError."""
    parts = url_parts(url, _SCHEMES)
    resolve(parts.hostname or "", port_of(parts))


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """What the receiver computes too: HMAC-SHA256 over timestamp, a point, and the body."""
    return "v1=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


class Courier:
    """A thread that delivers what is due. Several servers may have one each."""

    def __init__(self, store: Store, url: str = "") -> None:
        """``url``: where people find this server; it is put before links."""
        self.store, self.hooks, self.url = store, Hooks(store.database), url.rstrip("/")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after what is under way."""
        self._stop.set()
        self._thread.join(SECONDS + 5)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                if self.deliver_one():
                    continue
            except FirstbadError as error:
                _log.warning("webhooks wait: %s", error)
            self._stop.wait(_PAUSE)

    def deliver_one(self) -> bool:
        """Try what is due first; whether anything was."""
        due = self.hooks.claim()
        if due is None:
            return False
        try:
            hook = self.hooks.get(due.webhook_id)
            error = send(hook, due, self._body(due))
        except FirstbadError as problem:
            error = str(problem)
        self.hooks.done(due, error)
        level = logging.INFO if not error else logging.WARNING
        _log.log(level, "delivery %d of job %d to webhook %d: %s", due.id, due.job_id, due.webhook_id, error or "taken")
        return True

    def _body(self, due: Delivery) -> bytes:
        stored = self.store.job(due.job_id)
        names = ("project", "kind", "name", "title", "status", "culprit", "culprit_title", "confidence", "submitted_by")
        facts: dict[str, Any] = {"job": stored.id, **{name: getattr(stored, name) for name in names}}
        facts["standing"] = stored.standing
        if self.url:
            facts["url"] = f"{self.url}/jobs/{stored.id}"
        told = {"delivery": due.id, "event": due.kind, "seq": due.seq, "time": due.created}
        return json.dumps(told | {"job": facts}).encode()


def send(hook: Webhook, due: Delivery, body: bytes, now: Callable[[], float] = time.time) -> str:
    """One try; returns what went wrong, empty where it was taken. Raises UserError for a forbidden address."""
    parts = url_parts(hook.url, _SCHEMES)
    port = port_of(parts)
    address = resolve(parts.hostname or "", port)
    stamp = str(int(now()))
    headers = {
        "Host": parts.netloc,
        "Content-Type": "application/json",
        "User-Agent": f"firstbad/{__version__}",
        "Firstbad-Event": due.kind,
        "Firstbad-Delivery": str(due.id),
        "Firstbad-Timestamp": stamp,
        "Firstbad-Signature": signature(hook.secret, stamp, body),
    }
    # The address in place of the name: it can't be another one than was looked at. The certificate is the name's.
    place = f"[{address}]" if ":" in address else address
    url = httpx.URL(hook.url).copy_with(host=place.strip("[]"), port=port)
    try:
        with (
            httpx.Client(timeout=SECONDS, follow_redirects=False, trust_env=False) as client,
            client.stream(
                "POST", url, content=body, headers=headers, extensions={"sni_hostname": parts.hostname}
            ) as answer,
        ):
            status = answer.status_code  # what else it says is not read
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        return f"{type(error).__name__}: {error}"
    if 200 <= status < 300:
        return ""
    return f"answered {status}" + ("; redirects are not followed" if 300 <= status < 400 else "")
