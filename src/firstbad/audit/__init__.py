"""How far to trust somebody's bisection, by its log: which verdict most likely was wrong, and why."""

from firstbad.audit.facts import Facts, facts_of
from firstbad.audit.judge import Audit, Judged, Suspect, audit, judge, to_json

__all__ = ["Audit", "Facts", "Judged", "Suspect", "audit", "facts_of", "judge", "to_json"]
