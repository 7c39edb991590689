"""Why a build failed, read off its log."""

from pathlib import Path

from firstbad.kernel import data


def first_error(log: Path) -> tuple[str, bool]:
    """The first line that says why, and whether the failure is this machine's and not the revision's."""
    lines = log.read_text(errors="replace").splitlines()
    rules = data.load("build_errors.toml")
    for line in lines:
        if any(pattern in line for pattern in rules["infrastructure"]):
            return line.strip(), True
    for group in rules["group"]:
        for line in lines:
            if any(pattern in line for pattern in group["patterns"]):
                return line.strip()[:500], False
    return (lines[-1].strip()[:500] if lines else "make failed and said nothing"), False
