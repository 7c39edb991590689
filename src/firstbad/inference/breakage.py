"""Where the next test may be wasted: stretches that don't build or boot, and revisions whose runs get lost.

Distances are `Dag.distance`: commits that lie between two revisions, along a line the difference of their
indices.
"""

import numpy as np

from .belief import Belief
from .dag import Floats

_ISOLATED = 0.01  # chance that any revision doesn't build, far from a broken one
_HIGHEST = 0.97  # nothing but a try makes a revision broken
_STRETCH = 10.0  # commits; scale of a broken stretch seen at one revision only. Stretches have no typical length,
# so their reach falls by a power law: at 1/2, four times the distance halves the chance.
_LOST_BEFORE = (0.2, 2.0)  # Beta prior of the share of lost runs: a tenth, worth two runs
_LOST_REACH = 30.0  # commits after which the lost runs of another revision count half


def broken_chance(belief: Belief) -> Floats:
    """(n,) chance that each revision neither builds nor boots, 0 where one has run.

    A broken revision b gives one at distance d the chance (l / (l + d))^1/2, l its scale: the extent of the
    stretch it is known to belong to. So each broken find doubles the next stride and the search steps out of
    a stretch in a number of builds like the logarithm of its length. A revision that ran, at distance d',
    takes it down by d' / (d' + d).
    """
    dag, broken = belief.dag, sorted(belief.broken)
    worked = [r for r in belief.observed if sum(belief.counts(r)) and r not in belief.broken]
    chance = np.full(dag.n, _ISOLATED)
    if broken:
        to_worked = np.min([dag.distance(r) for r in worked], axis=0) if worked else np.full(dag.n, np.inf)
        for revision in broken:
            away = dag.distance(revision).astype(float)
            kin = [away[other] for other in broken if away[other] < to_worked[revision]]
            scale = _STRETCH + max(kin, default=0.0)
            shielded = np.ones(dag.n) if not worked else to_worked / np.maximum(to_worked + away, 1.0)
            chance = np.maximum(chance, np.sqrt(scale / (scale + away)) * shielded)
    chance = np.asarray(np.minimum(chance, _HIGHEST))
    chance[broken] = 1.0
    chance[worked] = 0.0
    return chance


def kept_share(belief: Belief) -> Floats:
    """(n,) expected share of runs at each revision that are not lost to other bugs or to the machine.

    Mean of a Beta posterior over the revision's own lost runs and, weighted down with distance, those of the
    others.
    """
    total, lost = np.full(belief.dag.n, sum(_LOST_BEFORE)), np.full(belief.dag.n, _LOST_BEFORE[0])
    if any(belief.counts(r)[2] for r in belief.observed):
        for revision in belief.observed:
            near = _LOST_REACH / (_LOST_REACH + belief.dag.distance(revision))
            total += near * sum(belief.counts(revision))
            lost += near * belief.counts(revision)[2]
    return np.asarray(1.0 - lost / total)
