"""Rust's v0 symbol names (``_R…``) as paths; the grammar is that of Rust RFC 2603.

Crates are written without their hashes and constants without their types, as the kernel's own Rust tools print them.
"""

from collections.abc import Callable

_STEPS = 4096
_DEPTH = 64
_BASIC = {
    "a": "i8", "b": "bool", "c": "char", "d": "f64", "e": "str", "f": "f32", "h": "u8", "i": "isize", "j": "usize",
    "l": "i32", "m": "u32", "n": "i128", "o": "u128", "p": "_", "s": "i16", "t": "u16", "u": "()", "v": "...",
    "x": "i64", "y": "u64", "z": "!",
}  # fmt: skip
_POINTERS = {"P": "*const ", "O": "*mut "}
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


class NotMangledError(ValueError):
    """The name is none of this scheme, or one that the reader does not know."""


def demangle_v0(text: str) -> str:
    """The path that ``text``, a symbol without its leading ``_R``, stands for.

    Raises NotMangledError. Bounded: back references can't make it take more than ``_STEPS`` steps.
    """
    reader = _Reader(text)
    path = reader.path(True)
    if not reader.ended():
        reader.path(False)  # the crate that instantiated a generic function: says nothing about the function
    if not reader.ended():
        raise NotMangledError(text)
    return path


class _Reader:
    """Recursive descent over one symbol; every method reads one production of the grammar and returns its text."""

    def __init__(self, text: str) -> None:
        self._text, self._at, self._steps, self._depth, self._bound = text, 0, 0, 0, 0

    def ended(self) -> bool:
        return self._at == len(self._text)

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _next(self) -> str:
        self._steps += 1
        if self.ended() or self._steps > _STEPS:
            raise NotMangledError(self._text)
        self._at += 1
        return self._text[self._at - 1]

    def _eat(self, char: str) -> bool:
        if self._peek() != char:
            return False
        self._next()
        return True

    def _nested(self, read: Callable[[], str]) -> str:
        """Every recursion passes here, so that no name can exhaust the stack."""
        self._depth += 1
        if self._depth > _DEPTH:
            raise NotMangledError(self._text)
        try:
            return read()
        finally:
            self._depth -= 1

    def _until_end(self, read: Callable[[], str]) -> list[str]:
        found = []
        while not self._eat("E"):
            found.append(read())
        return found

    def _base62(self) -> int:
        """``_`` is 0, ``0_`` is 1."""
        if self._eat("_"):
            return 0
        value = 0
        while (char := self._next()) != "_":
            digit = _DIGITS.find(char)
            if digit < 0 or value > 1 << 64:
                raise NotMangledError(self._text)
            value = value * 62 + digit
        return value + 1

    def _disambiguator(self) -> int:
        return self._base62() + 1 if self._eat("s") else 0

    def _identifier(self) -> str:
        punycode = self._eat("u")
        digits = ""
        while self._peek().isdecimal() and self._peek().isascii() and digits != "0" and len(digits) < 5:
            digits += self._next()
        if not digits:
            raise NotMangledError(self._text)
        self._eat("_")
        start, self._at = self._at, self._at + int(digits)
        if self._at > len(self._text):
            raise NotMangledError(self._text)
        name = self._text[start : self._at]
        return _unicode(name) if punycode else name

    def _backref(self, read: Callable[[], str]) -> str:
        start = self._at - 1
        target = self._base62()
        if target >= start:
            raise NotMangledError(self._text)
        back, self._at = self._at, target
        try:
            return self._nested(read)
        finally:
            self._at = back

    def path(self, in_value: bool) -> str:
        """``in_value``: generic arguments are written ``::<T>``, as in an expression, not ``<T>``."""
        return self._nested(lambda: self._path(in_value))

    def _path(self, in_value: bool) -> str:
        kind = self._next()
        if kind == "C":
            self._disambiguator()
            return self._identifier()
        if kind == "N":
            return self._member(in_value)
        if kind in "MX":
            self._disambiguator()
            self.path(False)  # where the impl stands
        if kind in "MXY":
            owner = self._type()
            return f"<{owner}>" if kind == "M" else f"<{owner} as {self.path(False)}>"
        if kind == "I":
            path = self.path(in_value)
            arguments = ", ".join(self._until_end(self._argument))
            return f"{path}{'::' if in_value else ''}<{arguments}>"
        if kind == "B":
            return self._backref(lambda: self._path(in_value))
        raise NotMangledError(self._text)

    def _member(self, in_value: bool) -> str:
        namespace = self._next()
        path = self.path(in_value)
        number = self._disambiguator()
        name = self._identifier()
        if namespace.islower():
            return f"{path}::{name}" if name else path
        if not namespace.isupper():
            raise NotMangledError(self._text)
        kind = {"C": "closure", "S": "shim"}.get(namespace, namespace)
        return f"{path}::{{{kind}{':' + name if name else ''}#{number}}}"

    def _argument(self) -> str:
        if self._eat("L"):
            return self._lifetime()
        return self._const() if self._eat("K") else self._type()

    def _lifetime(self) -> str:
        number = self._base62()
        if number == 0:
            return "'_"
        return _lifetime_name(self._bound - number) if number <= self._bound else self._fail()

    def _fail(self) -> str:
        raise NotMangledError(self._text)

    def _type(self) -> str:
        return self._nested(self._read_type)

    def _read_type(self) -> str:
        kind = self._next()
        if kind in _BASIC:
            return _BASIC[kind]
        if kind in "RQ":
            lifetime = self._lifetime() + " " if self._eat("L") else ""
            return "&" + lifetime.removeprefix("'_ ") + ("mut " if kind == "Q" else "") + self._type()
        if kind in _POINTERS:
            return _POINTERS[kind] + self._type()
        if kind == "A":
            return f"[{self._type()}; {self._const()}]"
        if kind == "S":
            return f"[{self._type()}]"
        if kind == "T":
            types = self._until_end(self._type)
            return f"({types[0]},)" if len(types) == 1 else f"({', '.join(types)})"
        if kind == "F":
            return self._with_lifetimes(self._signature)
        if kind == "D":
            return self._dyn()
        if kind == "B":
            return self._backref(self._type)
        self._at -= 1
        return self.path(False)

    def _with_lifetimes(self, read: Callable[[], str]) -> str:
        """What follows an optional binder: ``for<'a>`` and the lifetimes it makes known."""
        count = self._base62() + 1 if self._eat("G") else 0
        if count > 64:
            raise NotMangledError(self._text)
        names = [_lifetime_name(self._bound + i) for i in range(count)]
        self._bound += count
        try:
            text = read()
        finally:
            self._bound -= count
        return f"for<{', '.join(names)}> {text}" if names else text

    def _signature(self) -> str:
        start = "unsafe " if self._eat("U") else ""
        if self._eat("K"):
            abi = "C" if self._eat("C") else self._identifier().replace("_", "-")
            start += f'extern "{abi}" '
        arguments = ", ".join(self._until_end(self._type))
        result = self._type()
        return f"{start}fn({arguments}){'' if result == '()' else ' -> ' + result}"

    def _dyn(self) -> str:
        traits = self._with_lifetimes(lambda: " + ".join(self._until_end(self._dyn_trait)))
        lifetime = self._lifetime() if self._eat("L") else self._fail()
        return f"dyn {traits}" if lifetime == "'_" else f"dyn {traits} + {lifetime}"

    def _dyn_trait(self) -> str:
        path = self.path(False)
        bindings = []
        while self._eat("p"):
            name = self._identifier()
            bindings.append(f"{name} = {self._type()}")
        if not bindings:
            return path
        joined = ", ".join(bindings)
        return f"{path[:-1]}, {joined}>" if path.endswith(">") and not path.startswith("<") else f"{path}<{joined}>"

    def _const(self) -> str:
        kind = self._next()
        if kind == "p":
            return "_"
        if kind == "B":
            return self._backref(self._const)
        if kind not in "abchijlmnostxy":
            raise NotMangledError(self._text)
        sign = "-" if self._eat("n") else ""
        value = self._hex()
        if kind == "b":
            return "true" if value else "false"
        if kind == "c":
            return repr(chr(value)) if value < 0x110000 else self._fail()
        return f"{sign}{value}"

    def _hex(self) -> int:
        digits = ""
        while (char := self._next()) != "_":
            if char not in "0123456789abcdef" or len(digits) > 32:
                raise NotMangledError(self._text)
            digits += char
        return int(digits or "0", 16)


def _lifetime_name(index: int) -> str:
    return f"'{chr(ord('a') + index)}" if index < 26 else f"'_{index}"


def _unicode(name: str) -> str:
    """Punycode with ``_`` for the last ``-``."""
    before, mark, after = name.rpartition("_")
    try:
        return f"{before}{'-' if mark else ''}{after}".encode("ascii").decode("punycode")
    except (UnicodeError, ValueError) as error:
        raise NotMangledError(name) from error
