"""What `.env` says, checked: language, time zone, addresses, and whom to tell.

Every error names its key, and what is allowed; a secret's value is never shown. An empty value counts as not given.
A secret is the value of its key, or the file of the same name, in lower case, under `secrets/`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

LANGUAGES = ("id", "en")
ZONES = {"WIB": "Asia/Jakarta", "WITA": "Asia/Makassar", "WIT": "Asia/Jayapura"}
MAIL_PORT = 587
MAIL = re.compile(r"[^@\s<>,]+@[^@\s<>,]+")
LOCAL = re.compile(r"localhost|127\.\d+\.\d+\.\d+|0\.0\.0\.0|\[?::1?\]?", re.IGNORECASE)


class BadSettings(ValueError):
    """One line for each setting that cannot be used."""


@dataclass(frozen=True)
class Settings:
    """One stack's settings, with their defaults."""

    language: str = "id"
    timezone: str = "Asia/Jakarta"
    public_url: str = ""
    """Where people and the platform reach this machine, without a slash at the end; empty: only from itself."""
    given_grafana_url: str = ""
    alertmanager_url: str = ""
    runbook_url: str = ""
    webhook_port: str = "8080"
    grafana_port: str = "3000"
    admin_port: str = "9877"
    smtp_host: str = ""
    """host:port"""
    smtp_user: str = ""
    smtp_from: str = ""
    smtp_tls: bool = True
    mail_to: str = ""
    management_mail_to: str = ""
    telegram_chat: int | None = None
    management_telegram_chat: int | None = None

    @property
    def grafana_link(self) -> str:
        """Return Grafana as a phone reaches it, without a slash at the end; empty where it cannot."""
        return self.given_grafana_url or (f"{self.public_url}/grafana" if self.public_url else "")

    @property
    def grafana_url(self) -> str:
        """Return Grafana's own idea of its address."""
        return f"{self.grafana_link or f'http://localhost:{self.grafana_port}'}/"

    @property
    def grafana_path(self) -> str:
        """Return the path below which Grafana is served, without a slash at the end."""
        return urlsplit(self.grafana_url).path.rstrip("/")

    @property
    def public_address(self) -> str:
        """Return what the front door listens for; it has the standard ports, whichever are published."""
        parts = urlsplit(self.public_url or "https://localhost")
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return f"{parts.scheme}://{host}"

    @property
    def webhook_url(self) -> str:
        """Return where the platform posts to."""
        return f"{self.public_url or f'http://localhost:{self.webhook_port}'}/webhook"

    @property
    def pages_url(self) -> str:
        """Return the exporter's pages as the people at this machine's browser reach them."""
        return self.public_url or f"http://localhost:{self.admin_port}"


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings of an environment. Raises BadSettings with a line for each one that is wrong."""
    errors: list[str] = []

    def take(key: str, check: Callable[[str], object], default: object = "") -> object:
        value = environ.get(key, "").strip()
        if not value:
            return default
        try:
            return check(value)
        except ValueError as error:
            errors.append(f"{key}: {error}")
            return default

    found = {
        "language": take("LANGUAGE", language, "id"),
        "timezone": take("TIMEZONE", timezone, "Asia/Jakarta"),
        "public_url": take("PUBLIC_URL", public_url),
        "given_grafana_url": take("GRAFANA_URL", address),
        "alertmanager_url": take("ALERTMANAGER_URL", address),
        "runbook_url": take("RUNBOOK_URL", address),
        "webhook_port": take("WEBHOOK_PORT", str, "8080"),
        "grafana_port": take("GRAFANA_PORT", str, "3000"),
        "admin_port": take("ADMIN_PORT", str, "9877"),
        "smtp_host": take("SMTP_HOST", host_and_port),
        "smtp_user": take("SMTP_USER", str),
        "smtp_from": take("SMTP_FROM", sender),
        "smtp_tls": take("SMTP_TLS", yes_or_no, default=True),
        "mail_to": take("MAIL_TO", mail_addresses),
        "management_mail_to": take("MANAGEMENT_MAIL_TO", mail_addresses),
        "telegram_chat": take("TELEGRAM_CHAT", chat, None),
        "management_telegram_chat": take("MANAGEMENT_TELEGRAM_CHAT", chat, None),
    }
    if found["smtp_host"] and not found["smtp_from"]:
        user = str(found["smtp_user"])
        if MAIL.fullmatch(user):
            found["smtp_from"] = f"Device Exporter <{user}>"
        else:
            errors.append("SMTP_FROM: is needed beside SMTP_HOST, such as alerts@example.com")
    if errors:
        raise BadSettings("\n".join(errors))
    return Settings(**found)  # type: ignore[arg-type]


def language(value: str) -> str:
    """Return id or en."""
    if value.lower() not in LANGUAGES:
        raise ValueError(f"expected id or en, not {value!r}")
    return value.lower()


def timezone(value: str) -> str:
    """Return the IANA name of a zone; WIB, WITA and WIT are short for Indonesia's."""
    name = ZONES.get(value.upper(), value)
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"expected WIB, WITA, WIT or a zone such as Asia/Makassar, not {value!r}") from None
    return name


def address(value: str) -> str:
    """Return an address without a slash at its end."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"[\s\"{}<>|\\]", value):
        raise ValueError(f"expected an address such as https://alerts.example.com, not {value!r}")
    return value.rstrip("/")


def public_url(value: str) -> str:
    """Return an address that others can reach, of a whole host."""
    found = address(value)
    parts = urlsplit(found)
    if parts.path or parts.query or parts.fragment or parts.username:
        raise ValueError(f"expected the host alone, such as {parts.scheme}://{parts.hostname}")
    if LOCAL.fullmatch(parts.hostname or ""):
        raise ValueError(f"{parts.hostname} is this machine for every machine: leave it empty until others reach it")
    return found


def host_and_port(value: str) -> str:
    """Return host:port of a mail server."""
    found = re.fullmatch(r"([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:]+\])(?::(\d{1,5}))?", value)
    if not found:
        raise ValueError(f"expected host or host:port, not {value!r}")
    return f"{found[1]}:{found[2] or MAIL_PORT}"


def sender(value: str) -> str:
    """Return a mail address, with a name before it or without."""
    inner = re.fullmatch(r"[^<>\r\n]*<([^<>]*)>", value)
    if not MAIL.fullmatch(inner[1].strip() if inner else value):
        raise ValueError(f"expected a mail address, not {value!r}")
    return value


def mail_addresses(value: str) -> str:
    """Return one or several mail addresses, parted by commas."""
    found = [part.strip() for part in value.split(",") if part.strip()]
    for part in found:
        if not MAIL.fullmatch(part):
            raise ValueError(f"expected mail addresses parted by commas, not {part!r}")
    return ", ".join(found)


def yes_or_no(value: str) -> bool:
    """Return whether a value says yes."""
    if value.lower() not in ("yes", "no", "true", "false"):
        raise ValueError(f"expected yes or no, not {value!r}")
    return value.lower() in ("yes", "true")


def chat(value: str) -> int:
    """Return a Telegram chat's number; a group's begins with a minus."""
    if not re.fullmatch(r"-?[1-9]\d{0,18}", value):
        raise ValueError(f"expected a number such as -1001234567890, not {value!r}")
    return int(value)


# -- secrets ------------------------------------------------------------------------------------------------------

URL_SECRETS = frozenset({"slack_url", "management_slack_url", "management_url", "automation_url", "deadman_url"})
SECRETS = URL_SECRETS | {
    "smtp_password",
    "telegram_bot_token",
    "sms_urls",
    "relay_token",
    "webhook_secret",
    "admin_password",
}
"""What `.env` may hold, in upper case; `secrets/` may hold other files besides."""


def read_secrets(folder: Path, environ: Mapping[str, str]) -> dict[str, bytes]:
    """Return every secret by its name; a value of the environment goes over the file. Raises BadSettings."""
    found = {path.name: path.read_bytes() for path in sorted(folder.glob("[!.]*")) if _is_secret(path)}
    given = {name: environ.get(name.upper(), "").strip() for name in SECRETS}
    found |= {name: f"{_lines(name, value)}\n".encode() for name, value in given.items() if value}
    errors = [f"{name.upper()}: {problem}" for name, value in found.items() if (problem := _problem(name, value))]
    if errors:
        raise BadSettings("\n".join(sorted(errors)))
    return {name: value for name, value in found.items() if value.strip()}


def _is_secret(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() not in (".md", ".example")


def _lines(name: str, value: str) -> str:
    """Return one line for each address of the SMS gateways, other secrets as they are."""
    return "\n".join(value.split()) if name == "sms_urls" else value


def _problem(name: str, value: bytes) -> str:
    try:
        return problem_with(name, value.decode().strip())
    except UnicodeDecodeError:
        return "is not text" if name in SECRETS else ""


def problem_with(name: str, text: str) -> str:
    """Return why a secret cannot be used, "" if it can, without showing it."""
    if not text:
        return ""
    if name in URL_SECRETS and not re.fullmatch(r"https?://[^\s/]+(/\S*)?", text):
        return "expected one address that begins with https://"
    if name == "telegram_bot_token" and not re.fullmatch(r"\d+:[\w-]{20,}", text):
        return "expected what @BotFather gave, such as 123456789:AAF…"
    return ""
