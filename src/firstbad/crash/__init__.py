"""Console text to reports: formats (as data), title, type, frame, identity, symbols."""

from firstbad.crash.identity import Bug, Finding, Match, Shown
from firstbad.crash.parse import Report, first_sign, parse
from firstbad.crash.symbols import symbolize

__all__ = ["Bug", "Finding", "Match", "Report", "Shown", "first_sign", "parse", "symbolize"]
