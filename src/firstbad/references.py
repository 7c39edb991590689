"""What a job names that lies elsewhere on every machine, in the store's words and as this machine's paths.

``repository:NAME`` is a repository that the administrator configured, ``sha256:DIGEST/NAME`` a file that was uploaded,
``builtin:nothing`` the reproducer that does nothing. A machine has them at fixed places of its data directory, so that
the two forms are made of each other without asking anybody; ``session/materials.py`` puts them there.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from firstbad.errors import UserError

NOTHING = Path(__file__).parent / "repro" / "nothing.c"
"""What a machine runs that is only to boot."""
REPOSITORIES = "repositories"
FILES = "files"
_REPOSITORY = "repository:"
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_FILE_NAME = r"[A-Za-z0-9._+-]{1,100}"
_UPLOADED = re.compile(rf"sha256:([0-9a-f]{{64}})/({_FILE_NAME})")
_NOTHING = "builtin:nothing"

# Fields of a job (as JSON) that name a directory and those that name a file.
_DIRECTORIES = (("repo",), ("reproducer", "syzkaller"))
_FILES = (
    ("config",),
    ("baseline",),
    ("repro",),
    ("machine", "image"),
    ("machine", "ssh_key"),
    ("reproducer", "busybox"),
)


def is_name(text: str) -> bool:
    """Whether a repository or project may be called so."""
    return re.fullmatch(_NAME, text) is not None


def is_reference(text: str) -> bool:
    """Whether this is no path."""
    return text == _NOTHING or text.startswith(_REPOSITORY) or _uploaded(text) is not None


def to_repository(name: str) -> str:
    """The reference to a configured repository."""
    return _REPOSITORY + name


def to_upload(digest: str, name: str) -> str:
    """The reference to an uploaded file; its name is shortened to what a file may be called everywhere."""
    plain = re.sub(r"[^A-Za-z0-9._+-]", "_", name)[-100:]
    return f"sha256:{digest}/{plain if plain.strip('.') else 'file'}"


def _uploaded(text: str) -> tuple[str, str] | None:
    found = _UPLOADED.fullmatch(text)
    return (found[1], found[2]) if found and found[2].strip(".") else None


def path_of(text: str, root: Path) -> Path:
    """Where this machine, with its data under ``root``, has what a field names. Raises UserError for no reference."""
    if text == _NOTHING:
        return NOTHING
    if (file := _uploaded(text)) is not None:
        return root / FILES / file[0] / file[1]
    name = text.removeprefix(_REPOSITORY)
    if name == text or not is_name(name):
        raise UserError(f"{text!r} names neither a repository nor an uploaded file")
    return root / REPOSITORIES / name


def reference_of(path: Path, root: Path) -> str:
    """The other way round; a path that is nothing of this kind stays what it is."""
    if path == NOTHING:
        return _NOTHING
    for directory, prefix, parts in ((FILES, "sha256:", 2), (REPOSITORIES, _REPOSITORY, 1)):
        try:
            words = path.relative_to(root / directory).parts
        except ValueError:
            continue
        text = prefix + "/".join(words)
        if len(words) == parts and is_reference(text):
            return text
    return str(path)


def fields(job: dict[str, Any]) -> Iterator[tuple[str, str, Callable[[str], None], bool]]:
    """Every path that a job (as JSON) names: the field's name, its value, how to set it, whether it is a directory."""
    for names, is_directory in ((_DIRECTORIES, True), (_FILES, False)):
        for keys in names:
            table = job if len(keys) == 1 else job.get(keys[0])
            if isinstance(table, dict) and isinstance(table.get(keys[-1]), str):
                yield ".".join(keys), table[keys[-1]], _setter(table, keys[-1]), is_directory
    build = job.get("build")
    fixes = build.get("fixes") if isinstance(build, dict) else None
    for index, fix in enumerate(fixes if isinstance(fixes, list) else [], 1):
        if isinstance(fix, dict) and isinstance(fix.get("patch"), str):
            yield f"build.fixes.{index}.patch", fix["patch"], _setter(fix, "patch"), False


def _setter(table: dict[str, Any], key: str) -> Callable[[str], None]:
    def put(value: str) -> None:
        table[key] = value

    return put


def stored(job: dict[str, Any], root: Path) -> dict[str, Any]:
    """A job (as JSON, changed in place) as the store keeps it: nothing of it depends on where this machine keeps it."""
    for _, value, put, _ in fields(job):
        put(reference_of(Path(value), root))
    return job


def placed(job: dict[str, Any], root: Path) -> dict[str, Any]:
    """A stored job (as JSON, changed in place) with the paths of this machine."""
    for _, value, put, _ in fields(job):
        if is_reference(value):
            put(str(path_of(value, root)))
    return job
