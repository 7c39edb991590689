"""Bisection by hand: a person tests, we say which revision is next; the words are those of ``git bisect``."""
