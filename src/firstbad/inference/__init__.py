"""Pure numpy: belief over culprits, choice of the next test, stopping, a simulated lab; no I/O."""

from .answer import Answer, answer, needs_confirmation, smallest_set
from .belief import Belief, Model
from .choice import Test, next_test
from .dag import Dag
from .evidence import Evidence
from .exposure import Exposure
from .forecast import Costs

__all__ = [
    "Answer",
    "Belief",
    "Costs",
    "Dag",
    "Evidence",
    "Exposure",
    "Model",
    "Test",
    "answer",
    "needs_confirmation",
    "next_test",
    "smallest_set",
]
