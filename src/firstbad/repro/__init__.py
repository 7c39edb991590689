"""Reproducers: what is run inside a machine."""
