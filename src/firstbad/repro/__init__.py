"""Reproducers: what is run inside a machine."""

from firstbad.repro.prepare import Reproducer, prepare

__all__ = ["Reproducer", "prepare"]
