"""A job for a server elsewhere: its files are uploaded, its repository is one that the server knows."""

import hashlib
import time
from pathlib import Path
from typing import Any

from firstbad.cli.export import Outputs
from firstbad.cli.remote import Server
from firstbad.cli.watch import await_job
from firstbad.errors import NotFoundError, UserError
from firstbad.references import fields, is_reference, to_upload


def send_job(server: Server, data: dict[str, Any], deadline: float | None = None) -> int:
    """Submit a job (as JSON, files by their paths here); returns its number. Raises UserError, NotFoundError."""
    _name_repository(server, data)
    for field, value, put, is_directory in fields(data):
        if is_directory:
            put(_repository(value))
        elif not is_reference(value):
            put(_upload(server, field, Path(value)))
    return server.submit(data, max(1.0, deadline - time.time()) if deadline is not None else 0.0)


def send_and_await(
    server: Server, data: dict[str, Any], as_json: bool, plain: bool, deadline: float | None, outputs: Outputs
) -> None:
    """Submit a job and watch it to its end; the exit status is that of the same command on this machine."""
    await_job(server, send_job(server, data, deadline), as_json, plain, outputs)


def _name_repository(server: Server, data: dict[str, Any]) -> None:
    if data.get("repo"):
        return
    known = [one["name"] for one in server.ask("GET", "/repositories").json()]
    if len(known) != 1:
        raise UserError(f"--repo: name one of the server's repositories: {', '.join(known) or 'it knows none'}")
    data["repo"] = known[0]


def _repository(value: str) -> str:
    """A name is a name; a path is one of the server's, which may refuse it."""
    return str(Path(value).absolute()) if "/" in value or value.startswith(".") else value


def _upload(server: Server, field: str, path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise NotFoundError(f"{field}: no such file: {path}") from None
    except OSError as error:
        raise UserError(f"{field}: {path} can't be read: {error.strerror}") from None
    digest = hashlib.sha256(data).hexdigest()
    name = to_upload(digest, path.name).partition("/")[2]
    return server.upload(digest, name, data)
