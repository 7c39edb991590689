"""Logging in with a token, and out."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from firstbad.web.auth import SESSION_SECONDS, Viewer, check_csrf, check_form, check_origin, csrf_of, viewer_of
from firstbad.web.guard import cookie
from firstbad.web.site import Site, TheSite

router = APIRouter()


@router.get("/login", response_class=HTMLResponse)
def login_page(request: Request, site: TheSite, to: Annotated[str, Query(max_length=2000)] = "/") -> str:
    """Asks for a token."""
    return _page(request, site, _own(to))


@router.post("/login", response_class=HTMLResponse)
def log_in(
    request: Request,
    site: TheSite,
    token: Annotated[str, Form(max_length=200)] = "",
    to: Annotated[str, Form(max_length=2000)] = "/",
    csrf: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Begins a session: the browser gets another cookie, which stands for the token."""
    check_origin(request)
    check_csrf(csrf_of(request.state.visit), csrf)
    found = site.access.token(token.strip())
    if found is None:
        return HTMLResponse(_page(request, site, _own(to), "This token is not valid (any more)."), 403)
    answer = RedirectResponse(_own(to), 303)
    session = site.access.begin_session(found, SESSION_SECONDS)
    answer.headers["set-cookie"] = cookie(session, site.settings.secure, SESSION_SECONDS)
    return answer


@router.post("/logout", dependencies=[Depends(check_form)])
def log_out(request: Request, site: TheSite, viewer: Annotated[Viewer, Depends(viewer_of)]) -> Response:
    """Ends the session."""
    site.access.end_session(request.state.visit)
    answer = RedirectResponse("/login", 303)
    answer.headers["set-cookie"] = cookie("", site.settings.secure, 0)
    return answer


def _page(request: Request, site: Site, to: str, wrong: str = "") -> str:
    return site.render("login.html", viewer=None, csrf=csrf_of(request.state.visit), to=to, wrong=wrong)


def _own(place: str) -> str:
    """A place of this site; what could be read as another site's is the first page."""
    fine = place.startswith("/") and place[1:2] not in ("/", "\\") and place.isprintable() and place.isascii()
    return place if fine else "/"
