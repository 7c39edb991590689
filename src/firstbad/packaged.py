"""Data files that come with the packages: rules, facts and constants that are no code."""

import tomllib
from importlib.resources import files
from typing import Any


def read_toml(package: str, name: str) -> dict[str, Any]:
    """A package's TOML file, read anew: who asks keeps what it makes of it. ``name`` is a path within the package."""
    return tomllib.loads(files(package).joinpath(name).read_text(encoding="utf-8"))
