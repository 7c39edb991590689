"""Bisection log (write and read); whom to tell."""

from firstbad.report.log import BisectionLog, read_log, write
from firstbad.report.writer import LogWriter

__all__ = ["BisectionLog", "LogWriter", "read_log", "write"]
