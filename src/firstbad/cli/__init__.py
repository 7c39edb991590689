"""The `firstbad` command, one module per command group."""

import sys
from typing import Any

import click

from firstbad import __version__
from firstbad.cli import bisect, crash, demo, doctor, jobs, machine, opinions, report, serve, simulate, test
from firstbad.cli.output import say_error
from firstbad.errors import FirstbadError, UserError
from firstbad.session import Cancelled


class _Main(click.Group):
    """Turns our errors into one line and an exit status: 2 for unusable input, 1 for what could not be done."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(*args, **kwargs)
        except UserError as error:
            say_error(str(error))
            sys.exit(2)
        except FirstbadError as error:
            say_error(str(error))
            sys.exit(1)
        except Cancelled:
            say_error("cancelled; `firstbad resume` goes on from here")
            sys.exit(1)
        except BrokenPipeError:
            sys.exit(1)


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
