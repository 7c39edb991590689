"""A short run of the fuzzer with fixed seeds; benchmarks/crash_fuzz.py runs for as long as one likes."""

import numpy as np
import pytest
from benchmarks.crash_fuzz import attempt, corpus, mutate


@pytest.mark.parametrize("first", range(0, 600, 100))
def test_damaged_consoles_are_read(first: int) -> None:
    parts = corpus(None)
    said = {seed: attempt(mutate(parts, np.random.default_rng(seed))) for seed in range(first, first + 100)}
    assert {seed: text for seed, text in said.items() if text} == {}
