"""Handing a mail to a server, and who does that: ``mail.toml`` in the data directory.

A mail must never be sent twice, so what can go wrong is told apart: the server said no (nothing was sent, it may be
tried again), or nobody knows (the connection ended while the mail was handed over).
"""

import smtplib
import ssl
import tomllib
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from firstbad.errors import HeldBackError, InfrastructureError, UserError
from firstbad.report.hostile import one_line

_TIMEOUT = 60.0  # seconds without a word from the server
_LOCAL = ("localhost", "127.0.0.1", "::1")


class NotSentError(HeldBackError):
    """The server did not take the mail, for sure."""


class FateUnknownError(InfrastructureError):
    """The connection ended while the mail was handed over: it may have been taken."""


class MailSettings(BaseModel):
    """``mail.toml``; what the command line says comes first."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    sender: str = Field(default="", alias="from", description="'Name <address>'")
    smtp: str = Field(default="", description="HOST:PORT; [HOST]:PORT for an IPv6 address")
    security: Literal["", "none", "starttls", "tls"] = Field(
        default="", description="empty: tls on port 465, none on this host, else starttls"
    )
    user: str = ""
    password_file: str = Field(default="", description="relative to the data directory")
    per_hour: int = Field(default=4, ge=0)
    per_day: int = Field(default=20, ge=0)

    @classmethod
    def read(cls, path: Path) -> "MailSettings":
        """The settings; defaults where there is no file. Raises UserError that names file and field."""
        try:
            return cls.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return cls()
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            raise UserError(f"{path}: {error}") from None
        except ValidationError as error:
            first = error.errors()[0]
            raise UserError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None

    def server(self) -> tuple[str, int]:
        """Host and port. Raises UserError."""
        host, _, port = self.smtp.rpartition(":")
        host = host.strip("[]")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536 or not host.isprintable() or " " in host:
            raise UserError(f"--smtp {self.smtp!r}: not HOST:PORT, as in mail.example.org:587 ('smtp' in mail.toml)")
        if self.user and self.secured(host, int(port)) == "none" and host not in _LOCAL:
            raise UserError("mail.toml: security: a password is not sent without encryption; say starttls or tls")
        return host, int(port)

    def secured(self, host: str, port: int) -> str:
        """How the connection is encrypted: ``none``, ``starttls`` or ``tls``."""
        return self.security or ("tls" if port == 465 else "none" if host in _LOCAL else "starttls")


def deliver(
    settings: MailSettings,
    password: str,
    make: Callable[[bool], EmailMessage],
    sender: str,
    recipients: list[str],
) -> dict[str, str]:
    """Hand the mail over; ``make`` builds it, with letters of eight bits or without, as the server takes it.

    Returns the recipients that the server refused and why; somebody was not. Raises NotSentError, FateUnknownError,
    UserError.
    """
    server = _connect(settings, password)
    try:
        eight = server.has_extn("8bitmime")
        mail = make(eight)
        options = ["BODY=8BITMIME"] if eight and mail["Content-Transfer-Encoding"] == "8bit" else []
        refused = server.sendmail(sender, recipients, mail.as_bytes(), mail_options=options)
    except smtplib.SMTPRecipientsRefused as error:
        raise NotSentError(f"the server takes mail for none of them: {_words(error.recipients)}") from None
    except smtplib.SMTPResponseException as error:  # the server has answered: it did not take it
        raise NotSentError(f"the server refused the mail: {error.smtp_code} {_said(error.smtp_error)}") from None
    except smtplib.SMTPNotSupportedError as error:
        raise NotSentError(f"the server can't take the mail: {one_line(str(error))}") from None
    except (smtplib.SMTPException, OSError) as error:
        raise FateUnknownError(f"the connection ended while the mail was sent: {one_line(str(error))}") from None
    finally:
        _quit(server)
    return {address: f"{code} {_said(words)}" for address, (code, words) in refused.items()}


def _connect(settings: MailSettings, password: str) -> smtplib.SMTP:
    host, port = settings.server()
    security = settings.secured(host, port)
    context = ssl.create_default_context()
    try:
        server: smtplib.SMTP
        if security == "tls":
            server = smtplib.SMTP_SSL(host, port, timeout=_TIMEOUT, context=context)
        else:
            server = smtplib.SMTP(host, port, timeout=_TIMEOUT)
        if security == "starttls":
            server.starttls(context=context)
        server.ehlo_or_helo_if_needed()
        if settings.user:
            server.login(settings.user, password)
    except (smtplib.SMTPException, OSError) as error:
        raise NotSentError(f"{host}:{port}: {one_line(str(error))}") from None
    return server


def _quit(server: smtplib.SMTP) -> None:
    # The mail is taken or not by now, whatever becomes of the good-bye.
    try:
        server.quit()
    except (smtplib.SMTPException, OSError):
        server.close()


def _said(words: bytes | str) -> str:
    return one_line(words.decode("utf-8", "replace") if isinstance(words, bytes) else words)


def _words(refused: dict[str, tuple[int, bytes]]) -> str:
    return "; ".join(f"{one_line(who)}: {code} {_said(why)}" for who, (code, why) in refused.items())[:500]
