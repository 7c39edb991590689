"""Console text to reports: formats (as data), title, type, frame, identity, symbols."""

from firstbad.crash.excerpt import injected_fault, truncate
from firstbad.crash.formats import impact, is_kind, type_of
from firstbad.crash.identity import Bug, Finding, Match, Shown
from firstbad.crash.parse import Report, first_sign, parse
from firstbad.crash.symbols import symbolize

__all__ = [
    "Bug", "Finding", "Match", "Report", "Shown", "first_sign", "impact", "injected_fault", "is_kind", "parse",
    "symbolize", "truncate", "type_of",
]  # fmt: skip
