"""Console text to reports: formats (as data), title, type, frame, identity, symbols."""

from firstbad.crash.identity import Bug, Match
from firstbad.crash.parse import Report, first_sign, parse
from firstbad.crash.symbols import symbolize

__all__ = ["Bug", "Match", "Report", "first_sign", "parse", "symbolize"]
