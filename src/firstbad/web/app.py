"""The application: pages (``web/pages``), API (``web/api``), files (``web/static``), and what guards them all."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from firstbad import __version__
from firstbad.home import Home
from firstbad.session.housekeeping import Housekeeper
from firstbad.store import Store, open_store
from firstbad.web import api, operations, pages
from firstbad.web.delivery import Courier
from firstbad.web.errors import tell_errors
from firstbad.web.guard import Guard
from firstbad.web.site import STATIC, Settings, Site

_ROOM = 64 << 10  # what a form has around its files


def make_app(place: Home, store: Store | None = None, settings: Settings | None = None) -> FastAPI:
    """The application over one data directory, and a store that may be elsewhere."""
    site = Site(place, store or open_store(place), settings or Settings())

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        courier = Courier(site.store, site.settings.url)
        courier.start()
        threading.Thread(target=site.warm, name="warm", daemon=True).start()
        with Housekeeper(site.store, place):
            yield
        site.hub.stop()
        courier.stop()

    app = FastAPI(
        title="firstbad",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=life,
        max_body_size=site.settings.upload + _ROOM,
    )
    app.state.site = site
    app.add_middleware(Guard)
    tell_errors(app)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.include_router(operations.router)
    app.include_router(pages.router)
    app.include_router(api.router)
    return app
