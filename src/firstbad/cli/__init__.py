"""The `firstbad` command, one module per command group."""

import click


@click.group()
def main() -> None:
    """Find the commit that broke the kernel, or fixed it."""
