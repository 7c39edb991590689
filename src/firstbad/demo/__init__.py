"""A real Linux history with known bugs, made from Debian's kernel source: bisection tasks whose answer is known."""

from firstbad.demo.case import Case, Demo
from firstbad.demo.job import demo_job
from firstbad.demo.make import make_demo
from firstbad.demo.source import find_source

__all__ = ["Case", "Demo", "demo_job", "find_source", "make_demo"]
