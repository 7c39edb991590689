"""Bisection log (write and read), result text, recipients."""
