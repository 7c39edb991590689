"""Expressions of the Kconfig language: ``A && (B || !C)``, ``A = "x"``, ``$(macro ...)``."""

import re
from dataclasses import dataclass
from typing import Literal


class KconfigError(ValueError):
    """A Kconfig text that can't be read; ``str()`` says why, and where once ``placed``."""

    placed = False


@dataclass(frozen=True)
class Name:
    """A symbol, or a constant such as ``y`` or ``0x10`` (Kconfig writes them alike)."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Literally:
    """A quoted string or a macro, as it is written."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Not:
    """``!(of)``."""

    of: "Expr"

    def __str__(self) -> str:
        return f"!({self.of})"


@dataclass(frozen=True)
class Pair:
    """Two expressions and what is between them: ``&&``, ``||`` or a comparison."""

    op: str
    left: "Expr"
    right: "Expr"

    def __str__(self) -> str:
        return f"({self.left} {self.op} {self.right})"


Expr = Name | Literally | Not | Pair

_CONSTANT = re.compile(r"[ymn]|-?\d+|0[xX][0-9a-fA-F]+")
_WORD = re.compile(r"[A-Za-z0-9_./-]+")
_COMPARISONS = ("<=", ">=", "!=", "=", "<", ">")
_OFF: dict[str, Literal["n", "y"]] = {"=": "n", "!=": "y"}  # a symbol that is compared so has to be off
_DEEPEST = 200  # of parentheses and negations; a tree is hostile input


def parse_expr(text: str) -> Expr:
    """The expression of an attribute; a condition after it (``A if B``) is left out. Raises KconfigError."""
    reader = _Reader(text)
    expr, rest = reader.either(), reader.rest()
    if rest and not re.match(r"if\b", rest):
        raise KconfigError(f"unexpected {rest[:40]!r} after an expression")
    return expr


def needs(expr: Expr) -> frozenset[str]:
    """Symbols whose being on helps the expression to be true: those that are not negated."""
    if isinstance(expr, Name):
        return frozenset() if _CONSTANT.fullmatch(expr.name) else frozenset({expr.name})
    if not isinstance(expr, Pair):
        return frozenset()
    if expr.op in _OFF and Name(_OFF[expr.op]) in (expr.left, expr.right):
        return frozenset()
    return needs(expr.left) | needs(expr.right)


class _Reader:
    """Recursive descent: or, and, not, comparison, atom."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.depth = text, 0, 0

    def rest(self) -> str:
        return self.text[self.at :].strip()

    def either(self) -> Expr:
        left = self._both()
        while self._take("||"):
            left = Pair("||", left, self._both())
        return left

    def _both(self) -> Expr:
        left = self._not()
        while self._take("&&"):
            left = Pair("&&", left, self._not())
        return left

    def _not(self) -> Expr:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise KconfigError("an expression is nested too deeply")
        try:
            if self._next("!=") or not self._take("!"):
                return self._compared()
            return Not(self._not())
        finally:
            self.depth -= 1

    def _compared(self) -> Expr:
        if self._take("("):
            inner = self.either()
            if not self._take(")"):
                raise KconfigError(f"no closing parenthesis in {self.text.strip()[:80]!r}")
            return inner
        left = self._atom()
        for op in _COMPARISONS:
            if self._take(op):
                return Pair(op, left, self._atom())
        return left

    def _atom(self) -> Expr:
        self._blanks()
        start = self.at
        if self.text[start : start + 1] in ('"', "'"):
            self.at = end_of_quoted(self.text, start)
            return Literally(self.text[start : self.at])
        while self.at < len(self.text):  # a word may hold macros: FOO_$(BAR)
            word = _WORD.match(self.text, self.at)
            if word is not None:
                self.at = word.end()
            elif self.text.startswith("$(", self.at):
                self.at = end_of_macro(self.text, self.at)
            else:
                break
        found = self.text[start : self.at]
        if not found:
            raise KconfigError(f"an expression is missing at {self.text[start:].strip()[:40]!r}")
        return Literally(found) if "$(" in found else Name(found)

    def _blanks(self) -> None:
        while self.text[self.at : self.at + 1].isspace():
            self.at += 1

    def _next(self, token: str) -> bool:
        self._blanks()
        return self.text.startswith(token, self.at)

    def _take(self, token: str) -> bool:
        if not self._next(token):
            return False
        self.at += len(token)
        return True


def end_of_quoted(text: str, start: int) -> int:
    """Index after the quoted string that begins at ``start``. Raises KconfigError."""
    at = start + 1
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == text[start]:
            return at + 1
        at += 1
    raise KconfigError(f"no closing quote in {text.strip()[:80]!r}")


def end_of_macro(text: str, start: int) -> int:
    """Index after the ``$(...)`` that begins at ``start``; quotes mean nothing in it, as in the kernel's own reader.
    Raises KconfigError."""
    depth = 0
    for at in range(start + 1, len(text)):
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if depth == 0:
            return at + 1
    raise KconfigError(f"no closing parenthesis of a macro in {text.strip()[:80]!r}")
