"""What a log says against itself: no bisection writes that, so its answer is not what was measured."""

from collections.abc import Iterator

from firstbad.audit.facts import Facts

TRUST = 0.01
"""At most so much is an answer trusted that its own log speaks against. A bound, not a measurement: no real log does
(`tests/acceptance/test_peer_audit.py`)."""


def contradictions(facts: Facts) -> tuple[str, ...]:
    """In words, each once."""
    return tuple(dict.fromkeys(_contradictions(facts))) if facts.named is not None else ()


def _contradictions(facts: Facts) -> Iterator[str]:
    named = facts.named.hash if facts.named else ""
    tests = [one for one in facts.revisions if _same(one.hash, named)]
    there = "good" if facts.log.kind == "fix" else "bad"
    if not tests:
        yield "it names a commit that it did not test"
    elif all(one.logged not in (there, "skip") for one in tests):
        yield f"it names a commit that it called {tests[-1].logged}"
    if facts.start is None or facts.start.logged != "bad":
        yield "it does not show the crash at its start"
    if not any(one.logged == "good" for one in facts.revisions):
        yield "it names a first commit, and calls none good"
    for one in facts.revisions:
        if one.logged == "good" and one.crashes and not one.clean and one.like:
            yield f"it calls {one.hash[:12]} good, where every run showed the crash"
        if one.logged == "bad" and one.clean and not one.crashes and not one.failed:
            yield f"it calls {one.hash[:12]} bad, where every run was clean"


def _same(one: str, other: str) -> bool:
    return bool(one) and bool(other) and (one.startswith(other) or other.startswith(one))
