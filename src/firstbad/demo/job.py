"""A case of the demo as a job."""

from firstbad.demo.case import Case, Demo
from firstbad.job import Job, make_job


def demo_job(made: Demo, case: Case, target: float, verify: str = "clean") -> Job:
    """The job of one case: what a user would say of it, and nothing of the truth."""
    return make_job(
        {
            "kind": case.kind,
            "name": f"demo {case.name}, seed {made.seed}",
            "repo": str(made.repo),
            "config": str(case.config),
            "repro": str(case.repro),
            "commit": case.start,
            **({"head": case.head} if case.kind == "fix" else {}),
            "target": target,
            "machine": {"cpus": case.cpus},
            "build": {"config_base": "tinyconfig", "verify": verify},
        }
    )
