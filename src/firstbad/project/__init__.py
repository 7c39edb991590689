"""Any project: revisions in directories of their own, built and tested by commands; what a test's end says."""

from .contained import Ended, Running
from .failures import failure_title, kinds
from .trees import Trees

__all__ = ["Ended", "Running", "Trees", "failure_title", "kinds"]
