"""The `firstbad` command, one module per command group."""

import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from firstbad import __version__
from firstbad.cli.output import say_error
from firstbad.cli.status import exit_of_error, is_cancelled, status_of
from firstbad.errors import FirstbadError, InfrastructureError, UserError, machine_failures

# Which module of this package has which commands. A module is imported when one of its commands is asked for: all of
# them together take seconds to import, and a person who bisects by hand starts us anew for every answer.
_COMMANDS = {
    "audit": "audit",
    "bisect": "cause fix resume",
    "completion": "completion",
    "crash": "crash",
    "demo": "demo",
    "doctor": "doctor",
    "export": "export",
    "fleet": "fleet",
    "hand": "start good bad old new skip flaky next undo reset terms view visualize replay",
    "imports": "import",
    "jobs": "status show log cancel",
    "machine": "gc",
    "mail": "mail",
    "man": "man",
    "opinions": "mark reject",
    "access": "token project repository",
    "project": "run",
    "report": "report",
    "serve": "serve",
    "simulate": "simulate",
    "test": "test",
    "watch": "watch",
    "worker": "worker",
}


# What a server does, see remote.py.
_REMOTE = ["cause", "fix", "test", "run", "resume", "watch", "status", "show", "log", "cancel", "mark", "reject"]


class _Main(click.Group):
    """Turns our errors into one line and the exit status of their kind, see status.toml."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return sorted(name for names in _COMMANDS.values() for name in names.split())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name; else a word that the bisection by hand of this work tree has for good or bad."""
        for module, names in _COMMANDS.items():
            if cmd_name in names.split():
                found: tuple[click.Command, ...] = import_module(f"firstbad.cli.{module}").COMMANDS
                return next(command for command in found if command.name == cmd_name)
        own: click.Command | None = import_module("firstbad.cli.hand").own_term(cmd_name)
        return own

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does. Raises UserError for a command that no server does, if one was named there."""
        named = ctx.get_parameter_source("server") is click.core.ParameterSource.COMMANDLINE
        if named and args[0] not in _REMOTE:
            raise UserError(f"`firstbad {args[0]}` is done on this machine only; leave --server out")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """As click does; errors end here."""
        try:
            with machine_failures():
                return super().invoke(ctx)
        except (FirstbadError, KeyboardInterrupt) as error:
            say_error(str(error) or status_of(error))
            sys.exit(exit_of_error(error, ctx.invoked_subcommand or ""))
        except (BrokenPipeError, click.ClickException, click.exceptions.Exit, click.Abort):
            raise  # click's own ends
        except Exception as error:
            if is_cancelled(error):
                say_error(f"{str(error) or status_of(error)}; `firstbad resume` goes on from here")
                sys.exit(exit_of_error(error, ctx.invoked_subcommand or ""))
            traceback.print_exc()
            say_error("this is a defect of firstbad; please report it with the lines above")
            sys.exit(exit_of_error(error, ctx.invoked_subcommand or ""))

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """As click does; a reader of our output that went away is no reason for many words."""
        # One name whatever the program is called (git-firstbad too): the one that `firstbad completion` prints.
        kwargs.setdefault("complete_var", "_FIRSTBAD_COMPLETE")
        try:
            with machine_failures():
                return super().main(*args, **kwargs)
        except BrokenPipeError:
            sys.exit(1)
        except InfrastructureError as error:
            say_error(str(error))
            sys.exit(1)


@click.group(cls=_Main, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="firstbad")
@click.option(
    "--server",
    envvar="FIRSTBAD_SERVER",
    metavar="URL",
    help="have a server do it: cause, fix, test, run, resume, watch, status, show, log, cancel, mark, reject",
)
@click.option("--token-file", type=click.Path(path_type=Path), help="the token for it  [default: $FIRSTBAD_TOKEN]")
def main(server: str | None, token_file: Path | None) -> None:
    """Find the commit that broke the kernel, or the one that fixed it, and say how sure that is.

    \b
    firstbad run --good v1.0 --bad HEAD -- ./test   any project, any test, flaky or not
    firstbad start HEAD v1.0                   bisect by hand, in the words of `git bisect`
    firstbad demo                              bisect a real kernel crash on this machine
    firstbad cause --repo linux --config .config --repro crash.c --good v6.11
    firstbad test 3 --patch fix.diff           does job 3's crash still happen with it?
    firstbad doctor                            what is missing here
    """
