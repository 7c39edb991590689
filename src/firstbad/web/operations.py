"""For who runs the service: is it alive, is it ready, what does it do."""

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from firstbad.errors import FirstbadError
from firstbad.web.auth import is_loopback, viewer_of
from firstbad.web.site import TheSite, site_of

router = APIRouter(include_in_schema=False)
_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/healthz")
def healthz() -> PlainTextResponse:
    """This process answers."""
    return PlainTextResponse("ok\n")


@router.get("/readyz")
def readyz(site: TheSite) -> Response:
    """It can work: the database answers, and it is not about to end."""
    if site.hub.stopping:
        return JSONResponse({"error": "about to end"}, 503)
    try:
        site.store.database.read(lambda connection: connection.execute(sa.text("select 1")))
    except FirstbadError as error:
        return JSONResponse({"error": str(error)}, 503)
    return PlainTextResponse("ready\n")


@router.get("/metrics")
def metrics(request: Request) -> Response:
    """Numbers for Prometheus: to who comes from this machine itself, else to administrators."""
    peer = request.client.host if request.client else ""
    # Behind a proxy on this machine everybody comes from here: what was forwarded is not from here.
    forwarded = any(name in request.headers for name in ("forwarded", "x-forwarded-for"))
    here = is_loopback(peer) and is_loopback(request.url.hostname or "") and not forwarded
    if not here and not viewer_of(request).may_all("admin"):
        return PlainTextResponse("a token with the scope 'admin' for all projects is needed\n", 403)
    return Response(site_of(request).numbers.text(), media_type=_TYPE)
