"""``serve``: the dashboard and the API, with a worker beside them."""

import os
from contextlib import nullcontext

import click

from firstbad.cli.options import DATABASE
from firstbad.home import home


@click.command(epilog="Example: firstbad serve --port 8080")
@click.option("--host", default="127.0.0.1", show_default=True, help="address to listen on")
@click.option("--port", default=8384, show_default=True, type=click.IntRange(1, 65535), help="port to listen on")
@click.option("--url", envvar="FIRSTBAD_URL", default="", help="where others find it, as https://bisect.example.org")
@click.option("--upload-mib", type=click.IntRange(1, 1024), default=64, show_default=True, help="largest upload")
@DATABASE
@click.option("--worker/--no-worker", default=True, help="work on the jobs too, in a process beside  [default: yes]")
def serve(host: str, port: int, url: str, upload_mib: int, database: str, worker: bool) -> None:
    """Serve the dashboard and the API, and work on the jobs of the queue.

    On 127.0.0.1 all is open to who sits at this machine, until a token is made (`firstbad token create`); on other
    addresses, and behind --url, nothing is done without one.
    """
    from firstbad.logs import set_up
    from firstbad.web import make_app
    from firstbad.web.server import check_access, run, settings_for
    from firstbad.worker import Beside

    set_up()
    if database:
        os.environ["FIRSTBAD_DATABASE"] = database  # the worker's too; an URL may hold a password, so it is no argument
    app = make_app(home(), settings=settings_for(host, url, upload_mib << 20))
    check_access(app.state.site)
    with Beside() if worker else nullcontext():
        run(app, host, port)


COMMANDS = (serve,)
