"""``serve``: this machine's jobs as pages."""

import click

from firstbad.home import home


@click.command(epilog="Example: firstbad serve --port 8080")
@click.option("--host", default="127.0.0.1", show_default=True, help="address to listen on")
@click.option("--port", default=8384, show_default=True, type=click.IntRange(1, 65535), help="port to listen on")
def serve(host: str, port: int) -> None:
    """Show this machine's jobs in a browser (read only)."""
    import uvicorn

    from firstbad.web import make_app

    uvicorn.run(make_app(home()), host=host, port=port, log_level="warning")


COMMANDS = (serve,)
