"""Who asks, and what they may: ``read`` < ``submit`` < ``admin``, in one project or all."""

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Form, HTTPException, Request

from firstbad.store.access import ALL, SCOPES, Scope, Token
from firstbad.web.site import Site, site_of

COOKIE = "firstbad"
SESSION_SECONDS = 14 * 86_400
"""After this a browser has to log in again."""


@dataclass(frozen=True)
class Viewer:
    """Who asks. ``projects``: None for all. ``csrf`` goes into every form, as ``csrf``; empty: they come with a token
    in a header, which no other page's form can send."""

    name: str
    scope: Scope
    projects: frozenset[str] | None = None
    csrf: str = ""
    local: bool = False
    """They sit at this machine, and no token was made: they may name its paths."""

    def may(self, scope: Scope) -> bool:
        """Whether they have this scope or more."""
        return SCOPES.index(self.scope) >= SCOPES.index(scope)

    def may_all(self, scope: Scope) -> bool:
        """Whether they have this scope in all projects."""
        return self.projects is None and self.may(scope)

    def of(self, project: str) -> bool:
        """Whether the project is theirs: its private jobs are theirs to see, its jobs theirs to change."""
        return self.projects is None or project in self.projects

    def sees(self, project: str, private: bool) -> bool:
        """Whether a job of this project is theirs to see."""
        return not private or self.of(project)


def projects_of(site: Site, viewer: Viewer) -> list[str]:
    """The names of the viewer's projects."""
    return site.access.projects() if viewer.projects is None else sorted(viewer.projects)


def viewer_of(request: Request) -> Viewer:
    """Who asks. Raises HTTPException 401 where that is not known, 403 where they come from a page of somebody else."""
    found = _viewer(request)
    request.state.who = found.name
    return found


def _viewer(request: Request) -> Viewer:
    site = site_of(request)
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme:
        token = site.access.token(text.strip()) if scheme.lower() == "bearer" else None
        if token is None:
            raise _who("this token is not valid (any more)")
        return as_viewer(token)
    check_origin(request)
    token = site.access.session(request.state.visit)
    if token is not None:
        return as_viewer(token, csrf_of(request.state.visit))
    if not site.settings.loopback or not site.access.is_open():
        raise _who("a token is needed: `Authorization: Bearer TOKEN`, or log in at /login")
    return _local(request)


def _who(text: str) -> HTTPException:
    return HTTPException(401, text, {"WWW-Authenticate": "Bearer"})


def as_viewer(token: Token, csrf: str = "") -> Viewer:
    """Who has this token."""
    return Viewer(token.name, token.scope, None if token.project == ALL else frozenset({token.project}), csrf)


def _local(request: Request) -> Viewer:
    """Everybody on this machine, as long as no token was made."""
    if not is_loopback(request.url.hostname or ""):
        # Another name for this address may be a page's that reads what it should not (DNS rebinding).
        raise HTTPException(403, "without tokens this server answers to localhost only; see `firstbad token create`")
    return Viewer("local user", "admin", None, csrf_of(request.state.visit), local=True)


def is_loopback(host: str) -> bool:
    """Whether a host name, without its port, is this machine for itself."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_origin(request: Request) -> None:
    """No page of another site makes a request that changes something. Raises HTTPException 403."""
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site", "none")
    own = f"{request.url.scheme}://{request.headers.get('host', '')}"
    if site not in ("none", "same-origin") or (origin is not None and _bare(origin) != _bare(own)):
        raise HTTPException(403, "this request comes from a page of another site")


def _bare(origin: str) -> str:
    """Without the scheme: a proxy that speaks https hands requests on as http."""
    return origin.split("://", 1)[-1].lower()


def new_visit() -> str:
    """A cookie for a browser that has none."""
    return secrets.token_urlsafe(32)


def csrf_of(visit: str) -> str:
    """What a form of this browser's pages carries: known to who holds the cookie, which it does not tell."""
    return hmac.new(visit.encode(), b"csrf", hashlib.sha256).hexdigest()


def needs(scope: Scope) -> Callable[[Viewer], Viewer]:
    """A dependency: who asks, if they have this scope. Raises HTTPException 401, 403."""

    def check(viewer: Annotated[Viewer, Depends(viewer_of)]) -> Viewer:
        if not viewer.may(scope):
            raise HTTPException(403, f"this needs a token with the scope '{scope}', yours is '{viewer.scope}'")
        return viewer

    return check


Reader = Annotated[Viewer, Depends(needs("read"))]
Submitter = Annotated[Viewer, Depends(needs("submit"))]
Admin = Annotated[Viewer, Depends(needs("admin"))]


def check_form(viewer: Annotated[Viewer, Depends(viewer_of)], csrf: Annotated[str, Form()] = "") -> None:
    """A dependency of every route that a form posts to. Raises HTTPException 403."""
    check_token(viewer, csrf)


def check_token(viewer: Viewer, csrf: str) -> None:
    """For routes that read their forms themselves. Raises HTTPException 403."""
    if viewer.csrf:
        check_csrf(viewer.csrf, csrf)


def check_csrf(expected: str, shown: str) -> None:
    """A form is one of the browser's own pages of this site. Raises HTTPException 403."""
    if not hmac.compare_digest(expected.encode(), shown.encode("utf-8", "replace")):
        raise HTTPException(403, "this form is out of date: load the page again")
