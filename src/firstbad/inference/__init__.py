"""Pure numpy: belief over culprits, choice of the next test, stopping, a simulated lab; no I/O."""
