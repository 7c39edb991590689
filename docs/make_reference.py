"""The reference, made from the code: commands, job file, API, events.

uv run python docs/make_reference.py        # writes docs/reference/*.md; a test says so where they are not up to date
"""

import re
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, cast

import click

from firstbad.cli import main as program
from firstbad.cli.man import each
from firstbad.home import Home
from firstbad.job import Job
from firstbad.web.app import make_app

PLACE = Path(__file__).with_name("reference")
_HEAD = "<!-- made by docs/make_reference.py -->"


def commands() -> str:
    """Each command with its help, arguments and options."""
    root = cast(click.Group, program)
    context = click.Context(root, info_name="firstbad")
    lines = [
        _HEAD,
        "# Commands",
        "",
        "`firstbad COMMAND --help` says the same; `firstbad man` makes a manual page of it.",
        "",
    ]
    lines += ["What a command ends with: [ci.md](../ci.md).", "", *_options(root, context)]
    for command, inner in each(root, context):
        lines += _command(command, inner)
    return _text(lines)


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    yield f"## {context.info_name}"
    yield ""
    yield f"    firstbad {context.info_name} {' '.join(command.collect_usage_pieces(context))}"
    yield ""
    yield from _prose(command.help or "")
    yield from _options(command, context)
    if command.epilog:
        yield from _prose(command.epilog)


def _prose(text: str) -> Iterator[str]:
    for part in re.split(r"\n\s*\n", text.partition("\f")[0].strip()):
        lines = [line.strip() for line in part.strip("\n").split("\n")]
        if lines[0] == "\b":  # keeps its lines
            yield from (f"    {line}".rstrip() for line in part.strip("\n").split("\n")[1:])
        else:
            yield _escaped(" ".join(lines))
        yield ""


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    rows = [p.get_help_record(context) for p in command.get_params(context) if "--help" not in p.opts]
    shown = [(name, " ".join(text.split())) for name, text in (row for row in rows if row)]
    if shown:
        yield from ("| option | |", "| --- | --- |")
        yield from (f"| `{_cell(name)}` | {_cell(_escaped(text))} |" for name, text in shown)
        yield ""


def job_file() -> str:
    """Each table and field of a job file."""
    schema = Job.model_json_schema()
    lines = [_HEAD, "# The job file", ""]
    lines += [
        "TOML. Paths are relative to the file; unknown fields are errors. Only fields without a default must be there.",
        "",
    ]
    lines += _table("", schema, schema["$defs"])
    return _text(lines)


def _table(name: str, schema: dict[str, Any], known: dict[str, Any], many: bool = False) -> Iterator[str]:
    yield f"## {f'[[{name}]]' if many else f'[{name}]' if name else 'At the top'}"
    yield ""
    if name:
        yield from _prose(schema.get("description", ""))
    yield from ("| field | type | default | |", "| --- | --- | --- | --- |")
    inner: list[tuple[str, dict[str, Any], bool]] = []
    for field, facts in schema["properties"].items():
        below, several = _below(facts, known)
        if below is not None:
            inner.append((f"{name}.{field}" if name else field, below, several))
            continue
        default = "must be there" if field in schema.get("required", []) else _toml(facts.get("default"))
        words = _escaped(facts.get("description", ""))
        yield f"| `{field}` | {_cell(_type(facts))} | {_cell(default)} | {_cell(words)} |"
    yield ""
    for one, below, several in inner:
        yield from _table(one, below, known, several)


def _below(facts: dict[str, Any], known: dict[str, Any]) -> tuple[dict[str, Any] | None, bool]:
    """The schema of a table that a field is, and whether there may be several."""
    several = facts.get("type") == "array"
    item = facts["items"] if several else facts
    for one in (item, *item.get("anyOf", ()), *item.get("allOf", ())):
        if "$ref" in one:
            return known[one["$ref"].rsplit("/", 1)[1]], several
    return None, False


def _type(facts: dict[str, Any]) -> str:
    if "enum" in facts:
        return " or ".join(f"`{_toml(value)}`" for value in facts["enum"])
    if "anyOf" in facts:
        return " or ".join(_type(one) for one in facts["anyOf"] if one.get("type") != "null")
    if facts.get("type") == "array":
        return f"list of {_type(facts['items'])}"
    names = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
    name = "path" if facts.get("format") == "path" else names[facts["type"]]
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {facts[key]:g}" for key, sign in signs.items() if key in facts]
    return ", ".join([name, *limits])


def _toml(value: object) -> str:
    if value is None or value == "":
        return ""
    return str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else str(value)


def api() -> str:
    """Each route of the API with its parameters and answers."""
    with tempfile.TemporaryDirectory() as home:
        document = make_app(Home(Path(home), 2**30)).openapi()
    lines = [_HEAD, "# The API", ""]
    lines += [
        "The same as OpenAPI: `/api/v1/openapi.json` of a running server.",
        "Tokens, limits, examples: [service.md](../service.md).",
        "",
    ]
    for path, methods in document["paths"].items():
        for method, facts in methods.items():
            lines += [f"## {method.upper()} {path}", "", *_prose(facts.get("description") or facts.get("summary", ""))]
            rows = []
            for one in facts.get("parameters", []):
                must = "" if one.get("required") else "optional"
                rows.append((one["name"], one["in"], must, one.get("description", "")))
            body = facts.get("requestBody", {}).get("content", {})
            rows += [("body", kind, "", _of(content.get("schema", {}))) for kind, content in body.items()]
            if rows:
                lines += ["| parameter | in | | |", "| --- | --- | --- | --- |"]
                lines += [f"| `{_cell(a)}` | {_cell(b)} | {c} | {_cell(_escaped(d))} |" for a, b, c, d in rows]
                lines.append("")
            # What they are called differs between versions of Python.
            lines += [f"Answers: {', '.join(facts['responses'])}.", ""]
    return _text(lines)


def _of(schema: dict[str, Any]) -> str:
    return str(schema.get("$ref", "")).rsplit("/", 1)[-1] or str(schema.get("type", ""))


def events() -> str:
    """Each kind of event with its fields."""
    text = resources.files("firstbad.session").joinpath("events.toml").read_text()
    about = re.findall(r"^# ?(.*)", text, re.M)
    lines = [
        _HEAD,
        "# Events",
        "",
        "What is in a job's log, and what `GET /api/v1/jobs/{job}/events` gives. An event has `seq`, `time`",
        "(seconds since the epoch), `kind` and `data`, of which this page is.",
        "",
        _escaped(about[-1]),
        "",
    ]
    for kinds, facts in tomllib.loads(text).items():
        fields = {name: words for name, words in facts.items() if name != "about"}
        lines += [f"## {kinds}", "", _escaped(facts["about"]), ""]
        if fields:
            lines += ["| field | | |", "| --- | --- | --- |"]
            lines += [
                f"| `{name}` | {'not always' if words.startswith('*') else ''} | {_cell(_escaped(words.lstrip('*')))} |"
                for name, words in fields.items()
            ]
            lines.append("")
    return _text(lines)


def _escaped(text: str) -> str:
    """Text as Markdown that shows it as it is: outside of backticks nothing is a tag or emphasis."""
    parts = text.replace("``", "`").split("`")
    plain = [re.sub(r"([<>*_\[\]])", r"\\\1", part) if i % 2 == 0 else part for i, part in enumerate(parts)]
    return "`".join(plain)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _text(lines: list[str]) -> str:
    return "\n".join(lines).rstrip() + "\n"


PAGES = {"commands.md": commands, "job-file.md": job_file, "api.md": api, "events.md": events}


def main() -> None:
    """Write the pages; with --check only say which are not up to date."""
    stale = []
    for name, make in PAGES.items():
        file, text = PLACE / name, make()
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            stale.append(name)
            if "--check" not in sys.argv:
                PLACE.mkdir(exist_ok=True)
                file.write_text(text, encoding="utf-8")
    print(f"{'not up to date' if '--check' in sys.argv else 'written'}: {', '.join(stale) or 'nothing'}")  # noqa: T201
    sys.exit(bool(stale) and "--check" in sys.argv)


if __name__ == "__main__":
    main()
