"""Mail to people, by the server of the settings; a failure is told, never hidden."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from email.message import EmailMessage
from typing import Final
from urllib.parse import unquote, urlsplit

import structlog

from controlplane.errors import SettingsError
from controlplane.settings import HubSettings

_TIMEOUT_SECONDS: Final = 10
_SCHEMES: Final = ("smtp", "smtp+starttls", "smtps")
log = structlog.get_logger(__name__)


async def send_mail(settings: HubSettings, *, to: str, subject: str, text: str) -> bool:
    """Send one mail; False when the server did not take it (the log says why)."""
    message = EmailMessage()
    message["From"] = settings.smtp_from
    message["To"] = to
    message["Subject"] = subject
    message.set_content(text)
    url = settings.smtp_url.get_secret_value() if settings.smtp_url else ""
    try:
        await asyncio.to_thread(_send, url, message)
    except (OSError, smtplib.SMTPException, SettingsError) as exc:
        log.warning("mail_failed", error=type(exc).__name__)
        return False
    return True


def _send(url: str, message: EmailMessage) -> None:
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise SettingsError("smtp_url is smtp://, smtp+starttls:// or smtps://")
    context = ssl.create_default_context()
    server: smtplib.SMTP
    if parts.scheme == "smtps":
        server = smtplib.SMTP_SSL(
            parts.hostname, parts.port or 465, timeout=_TIMEOUT_SECONDS, context=context
        )
    else:
        server = smtplib.SMTP(parts.hostname, parts.port or 25, timeout=_TIMEOUT_SECONDS)
    with server:
        if parts.scheme == "smtp+starttls":
            server.starttls(context=context)
        if parts.username:
            server.login(unquote(parts.username), unquote(parts.password or ""))
        server.send_message(message)
