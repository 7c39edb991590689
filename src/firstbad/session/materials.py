"""What a stored job names, brought to this machine before the job is worked on: uploaded files, repositories."""

import hashlib
import os
import subprocess
from contextlib import suppress
from pathlib import Path

from firstbad.errors import InfrastructureError, NotFoundError, UserError
from firstbad.history.git import Repo, complaint
from firstbad.home import Home
from firstbad.locks import locked
from firstbad.network import port_of, resolve, url_parts
from firstbad.references import FILES, REPOSITORIES, fields
from firstbad.store import Store, StoredJob
from firstbad.store.access import Access, Repository
from firstbad.store.files import Files

SCHEMES = ("https", "ssh", "http")
# Not what else a host keeps there: of anybody's pull requests, say, nothing shall be built.
_BRANCHES_AND_TAGS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_CLONE_SECONDS = 4 * 3600.0


def provide(store: Store, home: Home, stored: StoredJob) -> None:
    """Put files and repositories of a job where this machine's paths say that they are. Raises UserError,
    InfrastructureError."""
    for _, value, _, is_directory in fields(stored.job.model_dump(mode="json")):
        path = Path(value)
        with suppress(ValueError):
            if is_directory:
                (name,) = path.relative_to(home.root / REPOSITORIES).parts
                known = Access(store.database).repository(name)
                provide_repository(home, known)
                if "://" in known.place and not _has(path, stored.job.commit if path == stored.job.repo else "HEAD"):
                    provide_repository(home, known, refresh=True)
            else:
                digest, name = path.relative_to(home.root / FILES).parts
                _provide_file(store, stored, digest, path)


def refresh(store: Store, home: Home, stored: StoredJob) -> None:
    """Fetch what is new in a job's repository, where it is a mirror of the service's. Raises InfrastructureError."""
    with suppress(ValueError):
        (name,) = stored.job.repo.relative_to(home.root / REPOSITORIES).parts
        known = Access(store.database).repository(name)
        if "://" in known.place:
            provide_repository(home, known, refresh=True)


def _has(path: Path, revision: str) -> bool:
    try:
        Repo(path).resolve(revision)
    except NotFoundError:
        return False
    return True


def _provide_file(store: Store, stored: StoredJob, digest: str, path: Path) -> None:
    if path.exists():
        return
    files = Files(store.database)
    data = files.get(files.project_of(stored.id, digest) or stored.project, digest)
    if hashlib.sha256(data).hexdigest() != digest:
        raise InfrastructureError(f"the upload sha256:{digest} is not what it was: the database is damaged")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{os.getpid()}.part")
    part.write_bytes(data)
    # A key or a program: for nobody else, and to be run.
    part.chmod(0o700 if data.startswith((b"\x7fELF", b"#!")) else 0o600)
    part.rename(path)


def provide_repository(home: Home, known: Repository, refresh: bool = False) -> Path:
    """A repository of the service on this machine: a link to where it lies, or a mirror that is made here.

    ``refresh``: fetch what is new, too. Raises UserError, InfrastructureError.
    """
    path = home.root / REPOSITORIES / known.name
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.parent / f".{known.name}.lock"):
        if "://" not in known.place:
            _link(path, Path(known.place), known.name)
        elif not (path / "HEAD").exists():
            made = path.with_name(f".{known.name}.{os.getpid()}")
            _remote(known, "clone", "--bare", "--quiet", "--end-of-options", known.place, str(made))
            made.rename(path)
        elif refresh:
            _remote(known, "-C", str(path), "fetch", "--quiet", "--prune", "origin", *_BRANCHES_AND_TAGS)
    return path


def _link(path: Path, place: Path, name: str) -> None:
    if not place.is_dir():
        raise NotFoundError(f"the repository {name} is to be at {place}, and is not on this machine")
    if path.is_symlink() and path.readlink() == place:
        return
    if path.exists() and not path.is_symlink():
        raise UserError(f"{path} is a mirror of another place; remove it, it is made again when it is needed")
    part = path.with_name(f".{name}.{os.getpid()}")
    part.symlink_to(place)
    part.rename(path)


def check_place(place: str) -> str:
    """Where a repository lies, as it is kept: an absolute path, or a URL of a host that may be connected to.

    Raises UserError, NotFoundError.
    """
    if "://" not in place:
        path = Path(place).absolute()
        if not path.is_dir():
            raise NotFoundError(f"{path}: no such directory; name a git repository, or a URL")
        return str(path)
    parts = url_parts(place, SCHEMES)
    resolve(parts.hostname or "", port_of(parts))
    return place


def _remote(known: Repository, *args: str) -> None:
    """git over the network: to the address that was looked at, nowhere else, and asking nobody anything."""
    parts = url_parts(known.place, SCHEMES)
    host, port = parts.hostname or "", port_of(parts)
    address = resolve(host, port)
    settings = {"http.followRedirects": "false", "protocol.allow": "never", f"protocol.{parts.scheme}.allow": "always"}
    settings["http.curloptResolve"] = f"{host}:{port}:{address}"
    words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    ssh = f"ssh -oBatchMode=yes -oHostName={address} -oHostKeyAlias={host}"
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true", "GIT_SSH_COMMAND": ssh}
    try:
        done = subprocess.run(
            ["git", *words, *args],
            env={**os.environ, **quiet},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_CLONE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InfrastructureError(f"{known.name}: no end of git after {_CLONE_SECONDS / 3600:.0f} hours") from None
    if done.returncode:
        raise InfrastructureError(f"{known.name}: git can't get it from {known.place}: {complaint(done)[:300]}")
