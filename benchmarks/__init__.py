"""Measurements, each beside an alternative where there is one."""

import os

# One thread a process: the benchmarks use processes, and numpy's own threads would be in their way. This must come
# before numpy is loaded.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
