"""Measurements, each beside an alternative where there is one."""
