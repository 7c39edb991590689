"""Kernel configurations of strangers: a kernel's makefiles and scripts take some texts of them for commands, or for
files of this host that go into the kernel."""

import re

from firstbad.errors import UserError

# `include/config/auto.conf` is read by make and, before v6.2, by a shell; values stand in recipes without quotes.
_RUN = re.compile(r"[$`;|&<>]")
_OPTION = re.compile(r"(?:CONFIG_)?(\w{1,100})")
# Options that name files which the build reads. The machines are given what they need in another way.
FILES = (
    "INITRAMFS_SOURCE",
    "EXTRA_FIRMWARE",
    "EXTRA_FIRMWARE_DIR",
    "SYSTEM_TRUSTED_KEYS",
    "SYSTEM_REVOCATION_KEYS",
    "SYSTEM_BLACKLIST_HASH_LIST",
    "UNUSED_KSYMS_WHITELIST",
    "BUILTIN_DTB_SOURCE",
)


def check_config(text: str, origin: str) -> None:
    """Raises UserError where a value could be taken for a command."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.startswith("#") and (found := _RUN.search(line)):
            name = _OPTION.match(line)
            raise UserError(
                f"{origin}: line {number}: {name[1] if name else 'it'} holds {found[0]!r}, which a kernel's makefiles "
                "may take for a command; remove it (machine.append has room for kernel parameters)"
            )


def without_files(text: str) -> str:
    """The configuration with nothing in the options that name files; the same text where there was nothing."""
    named = [name for name in FILES if re.search(rf'CONFIG_{name}=(?!""\s*$|\s*$)', text, re.M)]
    return text + "".join(f'\nCONFIG_{name}=""' for name in named) + ("\n" if named else "")
