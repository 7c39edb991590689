"""The server process: answers until it is told to end, then ends what is under way and goes."""

import logging
from types import FrameType

import uvicorn
from fastapi import FastAPI

from firstbad.errors import UserError
from firstbad.web.auth import is_loopback
from firstbad.web.site import Settings, Site

GRACE = 10  # seconds for requests that are under way when the server ends
_log = logging.getLogger("firstbad.server")


class _Server(uvicorn.Server):
    """Streams have no end of their own: they get one when the server is told to end."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        site: Site = self.config.app.state.site  # type: ignore[union-attr]
        site.hub.stop()
        # As uvicorn has it, but it would send itself the signal again in the end: we go on to end with status 0.
        self.force_exit = self.should_exit
        self.should_exit = True


def settings_for(host: str, url: str, upload: int) -> Settings:
    """How a server may be used that listens on this address. Who comes through a proxy is not local, whatever address
    that has: a server with a public ``url`` always asks for tokens."""
    return Settings(loopback=is_loopback(host) and not url, url=url, upload=upload)


def check_access(site: Site) -> None:
    """Raises UserError for a server that others reach, and nobody has a token for."""
    if not site.settings.loopback and site.access.is_open():
        raise UserError(
            "others can reach this address, and there is no token yet: make one first, "
            "`firstbad token create ME --scope admin --project '*'`, or listen on 127.0.0.1"
        )


def run(app: FastAPI, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT. Raises UserError where the address can't be had."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE,
    )
    server = _Server(config)
    try:
        server.run()
    except SystemExit as error:  # uvicorn's way to say that it could not listen
        raise UserError(f"can't listen on {host} port {port}: is another server running there?") from error
    _log.info("ended")
