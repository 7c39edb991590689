"""Where the next test may be wasted: stretches that don't build or boot, and revisions whose runs get lost."""

import numpy as np

from .belief import Belief
from .dag import Dag, Floats

_ISOLATED = 0.01  # chance that any revision doesn't build, far from a broken one
_HIGHEST = 0.97  # nothing but a try makes a revision broken
_STRETCH = 10.0  # commits; scale of a broken stretch seen at one revision only. Stretches have no typical length,
# so their reach falls by a power law: at 1/2, four times the distance halves the chance.
_LOST_BEFORE = (0.2, 2.0)  # Beta prior of the share of lost runs: a tenth, worth two runs
_LOST_REACH = 30.0  # commits after which the lost runs of another revision count half
_IN_VAIN = 5  # tries between the same tested revisions from which their number counts more than where they lie
_ENCLOSED = 30.0  # commits between two broken revisions at which half of this doubt is reached
_DOUBT = 0.15
_PAIRS = 3_000  # commits of a graph for which all pairs of broken revisions are looked at


def broken_chance(belief: Belief) -> Floats:
    """(n,) chance that each revision neither builds nor boots, 0 where one has run.

    A broken revision b gives one at distance d the chance (l / (l + d))^1/2, l its scale: the extent of the
    stretch it is known to belong to. So each broken find doubles the next stride and the search steps out of
    a stretch in a number of builds like the logarithm of its length. A revision that ran, at distance d',
    takes it down by d' / (d' + d).
    """
    dag, broken = belief.dag, sorted(belief.broken)
    worked = [r for r in belief.observed if r not in belief.broken]
    chance = np.full(dag.n, _ISOLATED)
    if broken:
        to_worked = np.min([away(dag, r) for r in worked], axis=0) if worked else np.full(dag.n, np.inf)
        for revision in broken:
            apart = away(dag, revision)
            kin = [apart[other] for other in broken if apart[other] < to_worked[revision]]
            scale = _STRETCH + max(kin, default=0.0)
            shielded = np.ones(dag.n) if not worked else to_worked / np.maximum(to_worked + apart, 1.0)
            chance = np.maximum(chance, np.sqrt(scale / (scale + apart)) * shielded)
        if dag.n <= _PAIRS or len(broken) <= 12:
            for why in set(belief.broken.values()):
                chance = np.maximum(chance, _enclosed(dag, [r for r in broken if belief.broken[r] == why], worked))
        chance = np.maximum(chance, _of_its_kind(belief, broken))
    chance = np.asarray(np.minimum(chance, _HIGHEST))
    chance[worked] = 0.0
    chance[broken] = 1.0
    return chance


def _of_its_kind(belief: Belief, broken: list[int]) -> Floats:
    """(n,) by the rule of succession, (k + 1) / (k + 2), where k revisions between the same tested ones were tried and
    none worked, from five on: what lies there is not tried commit by commit."""
    classes = belief.state.classes
    tried = np.bincount(classes[broken] + 1, minlength=int(classes.max()) + 2)
    tried[0] = 0  # no candidates
    return np.where(tried >= _IN_VAIN, (tried + 1.0) / (tried + 2.0), 0.0)[classes + 1]


def _enclosed(dag: Dag, broken: list[int], worked: list[int]) -> Floats:
    """(n,) chance to be broken for what lies on a shortest way between two revisions that are broken for one reason,
    nothing that works between them: sure for a few commits, less so the further they are apart."""
    chance = np.zeros(dag.n)
    for place, one in enumerate(broken):
        for other in broken[place + 1 :]:
            gap = float(away(dag, one)[other])
            between = away(dag, one) + away(dag, other) <= gap
            if not between[worked].any():
                chance[between] = np.maximum(chance[between], _HIGHEST - _DOUBT * gap / (_ENCLOSED + gap))
    return chance


def kept_share(belief: Belief) -> Floats:
    """(n,) expected share of runs at each revision that are not lost: to other bugs, to the machine, or because
    they did not come near the crash's code.

    Mean of a Beta posterior over the revision's own lost runs and, weighted down with distance, those of the
    others.
    """
    total, lost = np.full(belief.dag.n, sum(_LOST_BEFORE)), np.full(belief.dag.n, _LOST_BEFORE[0])
    seen = {revision: belief.evidence(revision) for revision in belief.observed}
    if any(one.lost or one.unreached for one in seen.values()):
        for revision, one in seen.items():
            near = _LOST_REACH / (_LOST_REACH + away(belief.dag, revision))
            gone = one.lost + one.unreached
            total += near * (one.crashes + one.clean_runs + gone)
            lost += near * gone
    return np.asarray(1.0 - lost / total)


def away(dag: Dag, revision: int) -> Floats:
    """(n,) how many commits lie between a revision and each other: what one contains and the other does not."""
    return dag.distance(revision).astype(float)
