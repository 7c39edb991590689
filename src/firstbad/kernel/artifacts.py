"""Built kernels, kept by what they were built from; a build that failed is kept as the fact that it is."""

import hashlib
import json
import os
import shutil
import threading
import time
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from firstbad.disk import bytes_of_files
from firstbad.kernel.architecture import DEFAULT
from firstbad.kernel.process import file_lock
from firstbad.locks import locked


@dataclass(frozen=True)
class Built:
    """The result of building one revision. ``error`` is empty for a kernel, else the first error line.

    ``directory`` holds the image, ``vmlinux`` (may have been removed to save space), ``config``, ``build.log``
    and ``compiled`` (source files that the build read, one a line). ``seconds`` is what the build took when it
    was made; ``cached`` says that it was made before this call. ``arch`` is a name of ``architectures.toml``.
    """

    key: str
    directory: Path
    signature: str
    compiler: str
    seconds: float
    error: str = ""
    cached: bool = False
    arch: str = DEFAULT
    image: str = "bzImage"
    fixes: tuple[str, ...] = ()
    """Fixes for old trees that this revision was built with; said by who asked for it, not kept with the kernel."""

    @property
    def kernel(self) -> Path:
        """The bootable image."""
        return self.directory / self.image

    def config(self) -> str:
        """The configuration that was used, as the tree's Kconfig made it; empty where there is none."""
        path = self.directory / "config"
        return path.read_text(errors="replace") if path.exists() else ""

    def config_digest(self) -> str:
        """Sha256 (hex) of that text; empty where there is none."""
        text = self.config()
        return hashlib.sha256(text.encode()).hexdigest() if text else ""

    def compiled(self) -> frozenset[str]:
        """Source files that this build read, relative to the tree."""
        path = self.directory / "compiled"
        return frozenset(path.read_text().split("\n")) if path.exists() else frozenset()


class Artifacts:
    """A directory of builds with a size limit."""

    def __init__(self, directory: Path, limit_bytes: int) -> None:
        self.directory = directory
        self.limit_bytes = limit_bytes

    def get(self, key: str) -> Built | None:
        """A build that exists, and mark it as used now."""
        directory = self.directory / key
        try:
            meta = json.loads((directory / "meta.json").read_text())
            os.utime(directory / "meta.json")
        except (FileNotFoundError, ValueError):
            return None
        known = {field.name for field in fields(Built)}
        built = Built(**{**{k: v for k, v in meta.items() if k in known}, "directory": directory, "cached": True})
        return built if built.error or built.kernel.exists() else None

    def lock(self, key: str, cancel: threading.Event | None = None) -> AbstractContextManager[None]:
        """While it is held no other process of this host makes the build of that key."""
        return file_lock(self.directory / ".locks" / key, cancel)

    def put(self, built: Built, made: Path) -> Built:
        """Take over the directory ``made`` (on the same file system), whole or not at all."""
        directory = self.directory / built.key
        built = replace(built, directory=directory)
        meta = {k: v for k, v in asdict(built).items() if k not in ("directory", "cached", "fixes")}
        (made / "meta.json").write_text(json.dumps(meta, indent=1))
        shutil.rmtree(directory, ignore_errors=True)
        self.directory.mkdir(parents=True, exist_ok=True)
        made.rename(directory)
        return built

    def copy(self, built: Built, key: str) -> Built:
        """The same build under another key too; the files are shared."""
        made = self.directory / f"{key}.new"
        shutil.rmtree(made, ignore_errors=True)
        shutil.copytree(built.directory, made, copy_function=os.link)
        (made / "meta.json").unlink()
        return self.put(replace(built, key=key), made)

    def collect(self, keep: frozenset[str] = frozenset(), limit: int | None = None) -> int:
        """Remove what was used longest ago until the limit holds; returns the bytes freed.

        Debug information goes first (``vmlinux``: twenty times the image), then whole builds. Builds in ``keep``
        and those used within the last hour stay: a run may be about to boot them.
        """
        limit = self.limit_bytes if limit is None else limit
        self.directory.mkdir(parents=True, exist_ok=True)
        with locked(self.directory / ".gc.lock"):
            total = before = bytes_of_files(self.directory)
            metas = sorted(self.directory.glob("*/meta.json"), key=lambda path: path.stat().st_mtime)
            for whole in (False, True):
                for meta in metas:
                    if total <= limit:
                        break
                    if whole and (meta.parent.name in keep or time.time() - meta.stat().st_mtime < 3600):
                        continue
                    total -= _remove(meta.parent if whole else meta.parent / "vmlinux")
            return before - total


def _remove(path: Path) -> int:
    if path.is_dir():
        size = bytes_of_files(path)
        shutil.rmtree(path)
        return size
    if not path.exists():
        return 0
    size = path.lstat().st_size
    path.unlink()
    return size
