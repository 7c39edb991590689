"""Where work runs: builds and machines."""

from firstbad.engine.base import BuildRequest, Engine, RunRequest
from firstbad.engine.local import LocalEngine

__all__ = ["BuildRequest", "Engine", "LocalEngine", "RunRequest"]
