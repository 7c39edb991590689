"""The application: pages (``web/pages``), API (``web/api``), files (``web/static``), and what guards them all."""

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from firstbad.home import Home
from firstbad.store import Store, open_store
from firstbad.web import api, pages
from firstbad.web.errors import tell_errors
from firstbad.web.guard import Guard
from firstbad.web.site import STATIC, Settings, Site


def make_app(place: Home, store: Store | None = None, settings: Settings | None = None) -> FastAPI:
    """The application over one data directory, and a store that may be elsewhere."""
    app = FastAPI(title="firstbad", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.site = Site(place, store or open_store(place), settings or Settings())
    app.add_middleware(Guard)
    tell_errors(app)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.include_router(pages.router)
    app.include_router(api.router)
    return app
