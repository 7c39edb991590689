"""The OpenAPI document."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.openapi.utils import get_openapi

from firstbad import __version__
from firstbad.job import Job

router = APIRouter(include_in_schema=False)
_ABOUT = """Bisections of kernels and other projects: submit them, watch them, read what they found.

A token (`firstbad token create`) goes into the header `Authorization: Bearer TOKEN`. Scopes: `read`, `submit` (jobs,
opinions), `admin` (webhooks); each has those before it. Errors are `{"error": "one line for people"}`."""


@router.get("/openapi.json")
def openapi(request: Request) -> dict[str, Any]:
    """What the API takes and gives."""
    return document(request.app.routes)


def document(routes: Any) -> dict[str, Any]:
    """The OpenAPI document of the routes under ``/api/v1``."""
    made = get_openapi(title="firstbad", version=__version__, description=_ABOUT, routes=routes)
    made["paths"] = {path: item for path, item in made["paths"].items() if path.startswith("/api/v1/")}
    for item in made["paths"].values():
        for operation in item.values():
            _errors_are_json(operation["responses"])
    schema = Job.model_json_schema(by_alias=True, ref_template="#/components/schemas/{model}")
    parts = made["components"]["schemas"]
    parts |= {**schema.pop("$defs"), "Job": schema}
    for name in ("HTTPValidationError", "ValidationError"):
        parts.pop(name, None)
    made["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    made["security"] = [{"token": []}]
    return made


def _errors_are_json(responses: dict[str, Any]) -> None:
    """Whatever a route answers with, its errors are what errors are."""
    for status, told in responses.items():
        if status[0] in "45":
            told["content"] = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
