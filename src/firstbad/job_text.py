"""The text of a job file, which somebody else may have written."""

import re
import tomllib
from typing import Any

from firstbad.errors import UserError

LARGEST = 2 << 20
"""Bytes of a job file; a patch may be in it."""
_PART = r"""(?:[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')"""
_ENDLESS_KEY = re.compile(rf"(?:^|[\[{{,])[ \t]*+{_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{64}}", re.M)


def parse_toml(text: str, origin: str) -> dict[str, Any]:
    """A job file's text. Raises UserError, also for one that would take the parser's memory or stack: it needs the
    square of the number of a key's parts."""
    if len(text) > LARGEST:
        raise UserError(f"{origin}: larger than {LARGEST >> 20} MiB, which no job file is")
    if _ENDLESS_KEY.search(text):
        raise UserError(f"{origin}: not a TOML job file: a key of too many parts")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{origin}: not a TOML job file: {str(error)[:200]}") from None
    except RecursionError:
        raise UserError(f"{origin}: not a TOML job file: too deep") from None
