"""The bisection loop: propose, evaluate, record, resume."""
