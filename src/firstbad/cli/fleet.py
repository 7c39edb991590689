"""``fleet``: the middle of many hosts."""

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from firstbad.fleet.hub import Hub

PORT = 8786
TLS = click.option(
    "--tls",
    type=click.Path(path_type=Path),
    envvar="FIRSTBAD_FLEET_TLS",
    help="directory with ca.pem, cert.pem and key.pem  [default: $FIRSTBAD_FLEET_TLS; needed between machines]",
)


@click.command(epilog="Example: firstbad fleet --listen tls://10.0.0.1:8786 --tls /etc/firstbad/tls")
@click.option(
    "--listen", default=f"tcp://127.0.0.1:{PORT}", show_default=True, help="where hosts and sessions find the fleet"
)
@TLS
def fleet(listen: str, tls: Path | None) -> None:
    """Give out the work of all sessions to the hosts that joined (firstbad worker --server).

    It keeps nothing: hosts and sessions find it again after a restart, and only what was under way is done once more.
    Sessions use the fleet that $FIRSTBAD_FLEET names.
    """
    from firstbad.fleet.hub import Hub
    from firstbad.fleet.security import security
    from firstbad.logs import set_up

    set_up()
    asyncio.run(_serve(Hub(listen, security(listen, tls))))


def told_to_end() -> asyncio.Event:
    """Set, in the loop that runs, when this process is told to end (SIGTERM, Ctrl-C)."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    return stopping


async def _serve(hub: "Hub") -> None:
    stopping = told_to_end()
    await hub.start()
    try:
        await stopping.wait()
    finally:
        await hub.close()


COMMANDS = (fleet,)
