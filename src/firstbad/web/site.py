"""What every request is answered from: the data directory, the store, the templates."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request
from jinja2 import Environment, PackageLoader

from firstbad.home import Home
from firstbad.store import Store

STATIC = Path(__file__).parent / "static"


@dataclass(frozen=True)
class Settings:
    """How this server may be used.

    ``loopback``: it listens where only users of this machine reach it; until a token is made, they may do everything.
    ``secure``: browsers come by https, so that cookies are for https only.
    """

    loopback: bool = True
    secure: bool = False


def _templates() -> Environment:
    return Environment(loader=PackageLoader("firstbad.web"), autoescape=True, trim_blocks=True, lstrip_blocks=True)


@dataclass(frozen=True)
class Site:
    """One server's data directory, store and templates; ``request.app.state.site``."""

    home: Home
    store: Store
    settings: Settings
    templates: Environment = field(default_factory=_templates)

    def render(self, template: str, **values: Any) -> str:
        """A page as text; every value is escaped."""
        return self.templates.get_template(template).render(**values)


def site_of(request: Request) -> Site:
    """The site that a request is for."""
    site: Site = request.app.state.site
    return site


TheSite = Annotated[Site, Depends(site_of)]
