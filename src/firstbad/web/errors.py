"""Errors as answers: JSON for the API, a page for people; what went wrong and the way out, never a traceback."""

from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from firstbad.errors import BusyError, FirstbadError, NotFoundError, UserError
from firstbad.web.site import site_of

_STATUS = ((NotFoundError, 404), (BusyError, 409), (UserError, 400), (FirstbadError, 503))
_NAMES = {401: "Not logged in", 403: "Not allowed", 404: "Not found", 422: "Not understood", 503: "Not working"}


def tell_errors(app: FastAPI) -> None:
    """Have the application answer errors so."""

    @app.exception_handler(FirstbadError)
    def ours(request: Request, error: FirstbadError) -> Response:
        return answer(request, next(status for kind, status in _STATUS if isinstance(error, kind)), str(error))

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> Response:
        if error.status_code == 401 and _is_page(request):
            return RedirectResponse(f"/login?to={quote(request.url.path)}", 303)
        made = answer(request, error.status_code, str(error.detail))
        made.headers.update(error.headers or {})
        return made

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return answer(request, 422, f"{where}: {first['msg']}")


def _is_page(request: Request) -> bool:
    return request.method == "GET" and "text/html" in request.headers.get("accept", "")


def answer(request: Request, status: int, text: str) -> Response:
    """One error for this request."""
    if request.url.path.startswith("/api/"):
        return JSONResponse({"error": text}, status)
    page = site_of(request).render("error.html", name=_NAMES.get(status, f"Error {status}"), text=text, viewer=None)
    return HTMLResponse(page, status)
