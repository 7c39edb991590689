"""The `firstbad` command, one module per command group."""

import sys
import traceback
from typing import Any

import click

from firstbad import __version__
from firstbad.cli import (
    audit,
    bisect,
    completion,
    crash,
    demo,
    doctor,
    export,
    hand,
    imports,
    jobs,
    machine,
    mail,
    man,
    opinions,
    project,
    report,
    serve,
    simulate,
    test,
)
from firstbad.cli.output import say_error
from firstbad.cli.status import exit_of_error, status_of
from firstbad.errors import FirstbadError
from firstbad.session import Cancelled


class _Main(click.Group):
    """Turns our errors into one line and the exit status of their kind, see status.toml."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """As click does; else a word that the bisection by hand of this work tree has for good or bad."""
        return super().get_command(ctx, cmd_name) or hand.own_term(cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        """As click does; errors end here."""
        try:
            return super().invoke(ctx)
        except (FirstbadError, Cancelled, KeyboardInterrupt) as error:
            hint = "; `firstbad resume` goes on from here" if isinstance(error, Cancelled) else ""
            say_error(f"{str(error) or status_of(error)}{hint}")
            sys.exit(exit_of_error(error, ctx.invoked_subcommand or ""))
        except (BrokenPipeError, click.ClickException, click.exceptions.Exit, click.Abort):
            raise  # click's own ends
        except Exception as error:
            traceback.print_exc()
            say_error("this is a defect of firstbad; please report it with the lines above")
            sys.exit(exit_of_error(error, ctx.invoked_subcommand or ""))

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """As click does; a reader of our output that went away is no reason for many words."""
        # One name whatever the program is called (git-firstbad too): the one that `firstbad completion` prints.
        kwargs.setdefault("complete_var", completion.VARIABLE)
        try:
            return super().main(*args, **kwargs)
        except BrokenPipeError:
            sys.exit(1)


@click.group(cls=_Main, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="firstbad")
def main() -> None:
    """Find the commit that broke the kernel, or the one that fixed it, and say how sure that is.

    \b
    firstbad run --good v1.0 --bad HEAD -- ./test   any project, any test, flaky or not
    firstbad start HEAD v1.0                   bisect by hand, in the words of `git bisect`
    firstbad demo                              bisect a real kernel crash on this machine
    firstbad cause --repo linux --config .config --repro crash.c --good v6.11
    firstbad test 3 --patch fix.diff           does job 3's crash still happen with it?
    firstbad doctor                            what is missing here
    """


for group in (
    bisect,
    project,
    hand,
    imports,
    test,
    jobs,
    report,
    export,
    mail,
    opinions,
    machine,
    doctor,
    demo,
    serve,
    simulate,
    crash,
    audit,
    completion,
    man,
):
    for command in group.COMMANDS:
        main.add_command(command)
