"""Rivals of the product, each by its published rule, in the same simulated lab."""

import re

from firstbad.errors import UserError
from firstbad.simulation.baselines import any_crash, bayesect, plugin_rate, syzbot
from firstbad.simulation.baselines.bench import Policy

NAMES = ("git-bisect-K", "syzbot-2021", "syzbot", "git-bayesect", "plugin-rate")

_FIXED: dict[str, Policy] = {
    "syzbot-2021": any_crash.syzbot_2021,
    "syzbot": syzbot.syzbot,
    "git-bayesect": bayesect.git_bayesect,
    # "Never crashes" is quicker without noise and wrong far more often with it; ten clean runs are too few (measured).
    "plugin-rate": plugin_rate.plugin_rate((0, 100)),
}


def baseline(name: str) -> Policy | None:
    """The policy of that name; None if there is none. Raises UserError for a bad number in ``git-bisect-K``."""
    match = re.fullmatch(r"git-bisect-(\d+)", name)
    if match is None:
        return _FIXED.get(name)
    if not 1 <= int(match[1]) <= 10_000:
        raise UserError(f"--policy: {name}: K must be from 1 to 10000")
    return any_crash.git_bisect(int(match[1]))


__all__ = ["NAMES", "Policy", "baseline"]
