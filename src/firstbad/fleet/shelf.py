"""The shelf that all hosts of a fleet share: files by the hash of their contents, in a directory or behind any URL that
fsspec knows (``s3://bucket/path``). Nothing on it is believed: what arrives is hashed again."""

import hashlib
import shutil
import tempfile
import uuid
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import fsspec

from firstbad.errors import InfrastructureError
from firstbad.kernel.artifacts import Artifacts, Built

_BLOCK = 1 << 20
_NAMES = ("config", "build.log", "compiled", "vmlinux")  # beside the image
_MOST = 4 << 30  # bytes of one file


class SpoiledError(InfrastructureError):
    """What was fetched is not what was said to be there."""


@dataclass(frozen=True)
class Parcel:
    """A build on the shelf: what the builder says of it, and its files: name to (SHA-256, bytes)."""

    facts: dict[str, Any]
    files: dict[str, tuple[str, int]] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What the build was made from."""
        return str(self.facts["key"])


class Shelf:
    """Files by their contents under one URL."""

    def __init__(self, url: str) -> None:
        """Raises InfrastructureError where there is no such place."""
        try:
            self.system, self.root = fsspec.core.url_to_fs(url)
            self.system.makedirs(self.root, exist_ok=True)
        except Exception as error:  # fsspec's file systems raise what they like
            raise InfrastructureError(f"{url}: {error}") from error
        self.url = url

    def put(self, built: Built) -> Parcel:
        """Lay a build there. Raises InfrastructureError."""
        files = {}
        for name in (built.image, *_NAMES):
            path = built.directory / name
            if path.is_file():
                files[name] = self._put_file(path)
        facts = {key: value for key, value in asdict(built).items() if key not in ("directory", "cached")}
        return Parcel(facts | {"fixes": list(built.fixes)}, files)

    def _put_file(self, path: Path) -> tuple[str, int]:
        digest, size = digest_of(path)
        place = self._place(digest)
        try:
            if not (self.system.exists(place) and self.system.size(place) == size):
                part = f"{self.root}/parts/{uuid.uuid4().hex}"
                self.system.makedirs(f"{self.root}/parts", exist_ok=True)
                self.system.makedirs(place.rpartition("/")[0], exist_ok=True)
                self.system.put_file(str(path), part)
                self.system.mv(part, place)
        except Exception as error:
            raise InfrastructureError(f"can't lay {path.name} at {self.url}: {error}") from error
        return digest, size

    def get(self, parcel: Parcel, artifacts: Artifacts) -> Built:
        """Take a build from there into this machine's kept ones; all of it or nothing. Raises SpoiledError where a file
        is missing or another one than the parcel says, InfrastructureError."""
        facts = parcel.facts | {"fixes": tuple(parcel.facts.get("fixes", ()))}
        artifacts.directory.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix="fetched-", dir=artifacts.directory))
        try:
            for name, (digest, size) in parcel.files.items():
                self._get_file(name, digest, size, made)
            built = artifacts.put(Built(**facts, directory=made), made)
            return replace(built, fixes=facts["fixes"])
        except TypeError as error:
            raise SpoiledError(f"a build with unknown facts: {error}") from error
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def _get_file(self, name: str, digest: str, size: int, made: Path) -> None:
        if "/" in name or name.startswith(".") or not 0 <= size <= _MOST:
            raise SpoiledError(f"a build with a file {name!r} of {size} bytes")
        place = self._place(digest)
        try:
            self.system.get_file(place, str(made / name))
        except FileNotFoundError:
            raise SpoiledError(f"{name} is not on the shelf") from None
        except Exception as error:
            raise InfrastructureError(f"can't take {name} from {self.url}: {error}") from error
        found = digest_of(made / name)
        if found != (digest, size):
            raise SpoiledError(f"{name} has other contents than was said ({found[1]} bytes instead of {size})")

    def _place(self, digest: str) -> str:
        if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
            raise SpoiledError("a build with a file that has no digest")
        return f"{self.root}/files/{digest[:2]}/{digest}"


def digest_of(path: Path) -> tuple[str, int]:
    """SHA-256 (hex) and size in bytes of a file."""
    total, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            total.update(block)
            size += len(block)
    return total.hexdigest(), size
