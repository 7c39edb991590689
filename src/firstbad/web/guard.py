"""What goes with every answer: headers that keep a browser from running what others wrote, and the browser's cookie."""

import logging
import re
import time
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from firstbad.web.auth import COOKIE, new_visit
from firstbad.web.site import Site

_log = logging.getLogger("firstbad.web")
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?")
_COOKIE = re.compile(r"[A-Za-z0-9_-]{43}")
_FIXED = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: with that browsers send no origin with our own forms either.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def policy(host: str) -> str:
    """Scripts and styles come from /static/ alone: a console or a patch that is served as a file is none."""
    # An address in brackets can't be said in a policy.
    own = f"{host}/static/" if _HOST.fullmatch(host) else "'self'"
    return (
        f"default-src 'none'; script-src {own}; style-src {own}; img-src {own} data:; font-src {own}; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


class Guard:
    """Middleware; a route that sets one of these headers itself keeps its own."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        known = _visit(headers.get("cookie", ""))
        visit = known or new_visit()
        scope.setdefault("state", {})["visit"] = visit
        site, began = scope["app"].state.site, time.monotonic()
        secure = site.settings.secure

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                _count(site, scope, message["status"], time.monotonic() - began)
                made = MutableHeaders(scope=message)
                for name, value in _FIXED.items():
                    made.setdefault(name, value)
                made.setdefault("Content-Security-Policy", policy(headers.get("host", "")))
                if not scope["path"].startswith("/static/"):
                    made.setdefault("Cache-Control", "no-store")
                if not known and made.get("content-type", "").startswith("text/html") and "set-cookie" not in made:
                    made.append("set-cookie", cookie(visit, secure))
            await send(message)

        await self.app(scope, receive, answer)


def _count(site: Site, scope: Scope, status: int, seconds: float) -> None:
    """Once an answer begins: a stream may go on for days."""
    route = getattr(scope.get("route"), "path", "none")
    if scope["path"].startswith("/api/v1/") and route != "none" and not route.startswith("/api/"):
        route = f"/api/v1{route}"
    site.numbers.requests.labels(scope["method"], route, str(status)).inc()
    site.numbers.seconds.labels(route).observe(seconds)
    facts = {"method": scope["method"], "path": scope["path"][:500], "status": status, "seconds": round(seconds, 4)}
    _log.info("request", extra=facts | {"who": scope["state"].get("who", "")})


def _visit(header: str) -> str:
    try:
        morsel = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel is not None and _COOKIE.fullmatch(morsel.value) else ""


def cookie(visit: str, secure: bool, seconds: int | None = None) -> str:
    """The header that gives a browser its cookie; without ``seconds`` it lasts until the browser ends."""
    age = f"; Max-Age={seconds}" if seconds is not None else ""
    return f"{COOKIE}={visit}; Path=/; HttpOnly; SameSite=Strict{age}{'; Secure' if secure else ''}"
