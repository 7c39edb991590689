"""Labelled bisection logs, as an auditor sees them: which way each of them went."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks.fit_identity import fit as fit_identity
from benchmarks.identity_cases import read_identity_cases, texts
from firstbad.audit.facts import Facts, facts_of
from firstbad.audit.terms import Hypothesis, hypotheses
from firstbad.report.log import read_log

FOLDS = 10
Truth = Literal["good", "bad"]


@dataclass(frozen=True, eq=False)
class AuditCase:
    """A log that names a commit. ``went`` is the number of the hypothesis that is true; ``truth``: by hash, labels."""

    log: str
    bug: str
    """Culprit of the bug."""
    fold: int
    facts: Facts
    found: Sequence[Hypothesis]
    went: int
    truth: Mapping[str, Truth]

    @property
    def right(self) -> bool:
        """Whether the named commit is the culprit."""
        return self.went == 0


def folds_of(bugs: Sequence[str], seed: int) -> dict[str, int]:
    """Which fold each bug stands in."""
    names = sorted(set(bugs))
    return dict(zip(names, (np.random.default_rng(seed).permutation(len(names)) % FOLDS).tolist(), strict=True))


def read_audit_cases(directory: Path, seed: int = 0) -> list[AuditCase]:
    """All logs of the directory that name a commit.

    Crash identity in each fold is judged by coefficients that were fitted to the other folds.
    """
    truths = [json.loads(line) for line in (directory / "truth.jsonl").read_text().splitlines()]
    labels: dict[str, dict[str, Truth]] = defaultdict(dict)
    for line in (directory / "revisions.jsonl").read_text().splitlines():
        row = json.loads(line)
        labels[row["log"]][row["hash"]] = row["truth"]
    logs = texts(directory / "logs.tar.xz")
    identity = read_identity_cases(directory)
    places = folds_of([truth["ground_truth"] for truth in truths], seed)
    found: list[AuditCase] = []
    for fold in range(FOLDS):
        given = fit_identity([case for case in identity if places[case.bug] != fold])
        for truth in truths:
            if places[truth["ground_truth"]] == fold and truth["result_type"] == "conclusive":
                facts = facts_of(read_log(logs[truth["log"]].decode("utf-8", "replace")), given)
                found.append(_case(truth, fold, facts, labels[truth["log"]]))
    return sorted(found, key=lambda case: case.log)


def _case(truth: dict[str, Any], fold: int, facts: Facts, labels: Mapping[str, Truth]) -> AuditCase:
    ways = hypotheses(facts)
    went = 0
    if not truth["correct"]:
        first = truth["first_wrong_revision"]
        went = next(i for i, way in enumerate(ways) if way.index is not None and _hash(facts, way) == first)
    return AuditCase(truth["log"], truth["ground_truth"], fold, facts, ways, went, labels)


def _hash(facts: Facts, way: Hypothesis) -> str:
    return facts.revisions[way.index].hash if way.index is not None else ""
