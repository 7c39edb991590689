"""``man``: the manual page, from the same text as ``--help``."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import click

from firstbad import __version__
from firstbad.cli.output import say
from firstbad.errors import UserError

_SEE = ".SH SEE ALSO\n.BR git (1),\n.BR git\\-bisect (1)\n"
_FILES = """.SH FILES
.TP
.I ~/.local/share/firstbad
jobs, builds and the compile cache; another place by the environment variable FIRSTBAD_HOME
.TP
.I .git/firstbad/events.jsonl
what was said in a bisection by hand
.SH ENVIRONMENT
.TP
.B FIRSTBAD_HOME
where everything is kept
.TP
.B FIRSTBAD_DISK_GIB
how much of the disk that may take; 20 by default
.TP
.B NO_COLOR
no colours, if set
"""


def manual(root: click.Group, name: str = "firstbad") -> str:
    """The page in the language of man(7). ``name`` is what the program is called in it."""
    context = click.Context(root, info_name=name)
    first, _, rest = _help(root).partition("\n\n")
    lines = [
        f'.TH {_escape(name.upper())} 1 "" "firstbad {__version__}" "firstbad"',
        ".SH NAME",
        f"{_escape(name)} \\- {_escape(' '.join(first.split()).rstrip('.'))}",
        ".SH SYNOPSIS",
        f".B {_escape(name)}",
        "COMMAND [OPTION]... [ARGUMENT]...",
        ".SH DESCRIPTION",
        *_paragraphs(rest or first),
        ".SH OPTIONS",
        *_options(root, context),
        ".SH COMMANDS",
    ]
    for command, inner in each(root, context):
        lines += _command(command, inner)
    return "\n".join(lines) + "\n" + _FILES + _SEE


def each(group: click.Group, context: click.Context, before: str = "") -> Iterator[tuple[click.Command, click.Context]]:
    """All commands of a group that are shown, and those of groups in it after these; contexts have the whole name."""
    for word in group.list_commands(context):
        command = group.get_command(context, word)
        if command is not None and not command.hidden:
            inner = click.Context(command, info_name=f"{before}{word}", parent=context)
            yield command, inner
            if isinstance(command, click.Group):
                yield from each(command, inner, f"{before}{word} ")


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    usage = " ".join(command.collect_usage_pieces(context))
    yield f".SS {_escape(context.info_name or '')} {_escape(usage)}"
    yield from _paragraphs(_help(command))
    yield from _options(command, context)
    if command.epilog:
        yield ".PP"
        yield from _paragraphs(command.epilog)


def _help(command: click.Command) -> str:
    text = (command.help or "").partition("\f")[0]
    return re.sub(r"(?m)^[ \t]+$", "", text).strip()


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        wanted = context.parent is None or "--help" not in parameter.opts  # each command has that one
        if record is not None and record[1] and wanted:
            yield ".TP"
            yield f".B {_escape(record[0])}"
            yield _escape(" ".join(record[1].split()))


def _paragraphs(text: str) -> Iterator[str]:
    """Paragraphs; those that begin with the sign for it keep their lines."""
    for number, part in enumerate(re.split(r"\n\s*\n", text)):
        if number:
            yield ".PP"
        lines = part.strip("\n").split("\n")
        if lines[0].strip() == "\b":
            yield ".nf"
            yield from (_escape(line) for line in lines[1:])
            yield ".fi"
        else:
            yield _escape(" ".join(part.split()))


def _escape(text: str) -> str:
    """Text that means nothing to troff."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("\b", "")
    return "\\&" + text if text.startswith((".", "'")) else text


@click.command(epilog="Example: firstbad man --install && man firstbad && git firstbad --help")
@click.option("--install", is_flag=True, help="write it to where `man` looks beside this program; also for git")
@click.pass_context
def man(context: click.Context, install: bool) -> None:
    """Print the manual page (man(7)), which has the text of each command's --help."""
    root = cast(click.Group, context.find_root().command)
    if not install:
        click.echo(manual(root), nl=False)
        return
    # `man` looks in ../share/man of every directory of PATH, see manpath(1).
    place = Path(sys.prefix) / "share/man/man1"
    try:
        place.mkdir(parents=True, exist_ok=True)
        for name in ("firstbad", "git-firstbad"):
            (place / f"{name}.1").write_text(manual(root, name), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{place}: {error.strerror}; or: firstbad man > firstbad.1") from None
    say(f"{place}/firstbad.1 and git-firstbad.1 are written")


COMMANDS = (man,)
