"""Reproducers: what is run inside a machine."""

from firstbad.repro.options import Options
from firstbad.repro.prepare import Reproducer, Settings, prepare
from firstbad.repro.targets import find_target

__all__ = ["Options", "Reproducer", "Settings", "find_target", "prepare"]
