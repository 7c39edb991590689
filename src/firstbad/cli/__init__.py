"""The `firstbad` command, one module per command group."""

import sys
import traceback
from typing import Any

import click

from firstbad import __version__
from firstbad.cli import bisect, crash, demo, doctor, jobs, machine, opinions, report, serve, simulate, test
from firstbad.cli.output import say_error
from firstbad.cli.status import exit_of, status_of
from firstbad.errors import FirstbadError
from firstbad.session import Cancelled


class _Main(click.Group):
    """Turns our errors into one line and the exit status of their kind, see status.toml."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(*args, **kwargs)
        except FirstbadError as error:
            say_error(str(error))
            sys.exit(exit_of(status_of(error)))
        except Cancelled as error:
            say_error("cancelled; `firstbad resume` goes on from here")
            sys.exit(exit_of(status_of(error)))
        except BrokenPipeError:
            sys.exit(1)
        except Exception as error:
            traceback.print_exc()
            say_error("this is a defect of firstbad; please report it with the lines above")
            sys.exit(exit_of(status_of(error)))

    def invoke(self, ctx: click.Context) -> Any:
        """As click does, but Ctrl-C ends with the status of an interruption."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            say_error("interrupted")
            sys.exit(exit_of(status_of(error)))


@click.group(cls=_Main, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="firstbad")
def main() -> None:
    """Find the commit that broke the kernel, or the one that fixed it, and say how sure that is.

    \b
    firstbad demo                              bisect a real kernel crash on this machine
    firstbad cause --repo linux --config .config --repro crash.c --good v6.11
    firstbad test 3 --patch fix.diff           does job 3's crash still happen with it?
    firstbad doctor                            what is missing here
    """


for group in (bisect, test, jobs, report, opinions, machine, doctor, demo, serve, simulate, crash):
    for command in group.COMMANDS:
        main.add_command(command)
