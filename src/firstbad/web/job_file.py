"""A job as a job file that asks the same again: what differs from the defaults, as TOML."""

import json
from pathlib import Path
from typing import Any

from firstbad.job import Job
from firstbad.references import stored

_LONG = 2000  # letters of one value


def job_file(job: Job, root: Path) -> str:
    """The text; what was uploaded is named by its reference. Long values (a patch) are cut: it is to be read.
    ``root``: of the data directory."""
    data = stored(job.model_dump(mode="json", by_alias=True, exclude_defaults=True), root)
    if job.project is not None:
        data = {name: value for name, value in data.items() if name not in ("config", "repro", "reach", "prove")}
    data = {"kind": job.kind, **data, "commit": job.commit}
    lines = [f"{name} = {_value(value)}" for name, value in data.items() if _is_plain(value)]
    for name, value in data.items():
        if isinstance(value, dict) and value:
            lines += ["", *_table(f"[{name}]", name, value)]
    return "\n".join(lines) + "\n"


def _table(head: str, name: str, table: dict[str, Any]) -> list[str]:
    lines = [head, *(f"{key} = {_value(value)}" for key, value in table.items() if _is_plain(value))]
    for key, value in table.items():
        for row in value if isinstance(value, list) and not _is_plain(value) else ():
            lines += ["", *_table(f"[[{name}.{key}]]", name, row)]
    return lines


def _is_plain(value: Any) -> bool:
    return value is not None and not isinstance(value, dict) and not (isinstance(value, list) and any(
        isinstance(one, dict) for one in value))  # fmt: skip


def _value(value: Any) -> str:
    if isinstance(value, str) and len(value) > _LONG:
        value = f"{value[:_LONG]} ... ({len(value)} letters)"
    return json.dumps(value, ensure_ascii=False)
