"""Arguments and options that several commands have."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

JOB = click.argument("number", metavar="[JOB]", type=int, required=False)
"""``number``: of a job, None where none is named."""
AS_JSON = click.option("--json", "as_json", is_flag=True, help="print the result as one JSON object")
PLAIN = click.option("--plain", is_flag=True, help="lines instead of the live view")
DATABASE = click.option(
    "--database", default="", help="file or URL  [default: $FIRSTBAD_DATABASE, else this machine's own]"
)

Function = TypeVar("Function", bound=Callable[..., Any])


def together(*options: Callable[[Function], Function]) -> Callable[[Function], Function]:
    """Several options as one decorator; help shows them in this order."""

    def decorate(function: Function) -> Function:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate
