"""A simulated lab for whole bisections: scenarios with a hidden truth, the product's policy and its rivals."""

from collections.abc import Callable

from firstbad.errors import UserError
from firstbad.simulation import baselines
from firstbad.simulation.baselines import Policy
from firstbad.simulation.history import SimHistory
from firstbad.simulation.result import Result, Status
from firstbad.simulation.scenario import Evidence, EvidenceRun, Lab, Scenario, Task, Unrelated
from firstbad.simulation.schema import read_scenarios
from firstbad.simulation.world import Built, RunFact, World

POLICIES = ("bayes", *baselines.NAMES)


def find_policy(name: str) -> Callable[[Scenario, World], Result]:
    """The policy of a name of `POLICIES` (K a number). Raises UserError for any other."""
    if name == "bayes":
        from firstbad.simulation.product import bisect  # the session and all below it: only where it is wanted

        return bisect
    found = baselines.baseline(name)
    if found is None:
        raise UserError(f"--policy: {name}: unknown; there are {', '.join(POLICIES)}")
    return lambda scenario, world: found(scenario.task, world)


def run(scenario: Scenario, policy: str = "bayes") -> Result:
    """One bisection in the scenario's lab. Raises UserError for a policy that is unknown or not installed."""
    return find_policy(policy)(scenario, World(scenario))


__all__ = [
    "POLICIES",
    "Built",
    "Evidence",
    "EvidenceRun",
    "Lab",
    "Policy",
    "Result",
    "RunFact",
    "Scenario",
    "SimHistory",
    "Status",
    "Task",
    "Unrelated",
    "World",
    "find_policy",
    "read_scenarios",
    "run",
]
