"""Bisection log (write and read), result text, recipients."""

from firstbad.report.log import BisectionLog, read_log, write
from firstbad.report.recipients import recipients
from firstbad.report.writer import LogWriter

__all__ = ["BisectionLog", "LogWriter", "read_log", "recipients", "write"]
