"""The dashboard and the API."""

from firstbad.web.app import make_app
from firstbad.web.site import Settings

__all__ = ["Settings", "make_app"]
