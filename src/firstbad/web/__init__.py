"""Pages of the jobs on this machine: read only, plain HTML, every text escaped."""

from firstbad.web.app import make_app

__all__ = ["make_app"]
