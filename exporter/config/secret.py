"""Secrets in files: those that the configuration names, and the webhook's own, made once where it names none."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from exporter.errors import ConfigError
from exporter.lib.files import write_once

if TYPE_CHECKING:
    from pathlib import Path

    from exporter.config.schema import Config

REQUIRED: Final = "is required with this storage.url: every exporter must have the same one"
SECRET_FILE: Final = "webhook-secret"  # noqa: S105 - a file's name
LINK_SECRET_FILE: Final = "link-secret"  # noqa: S105 - a file's name


def ensure_webhook_secret(config: Config, data_dir: Path | None) -> tuple[str, Path | None]:
    """Return (secret, None) where one is configured, else (secret, its file in `data_dir`).

    The first start makes the file with mode 0600; of several starts at once one wins and all return its secret. A
    crash leaves either no file or a whole one. Raises ConfigError.
    """
    if config.webhook.secret:
        return str(config.webhook.secret), None
    path = _in(data_dir, SECRET_FILE, "webhook.secret")
    secret = _made(path, "webhook.secret")
    if not secret or not secret.isprintable():
        raise ConfigError(f"webhook.secret: {path} must hold one line; remove it, or write a secret into it")
    return secret, path


def ensure_link_secret(config: Config, data_dir: Path | None) -> str:
    """Return what signs links, as `ensure_webhook_secret` does; empty where there are no pages. Raises ConfigError."""
    if config.pages.secret or config.pages.listen_address is None:
        return str(config.pages.secret)
    path = _in(data_dir, LINK_SECRET_FILE, "pages.secret")
    secret = _made(path, "pages.secret")
    if not secret:
        raise ConfigError(f"pages.secret: {path} is empty; remove it, or write a secret into it")
    return secret


def _in(data_dir: Path | None, name: str, key: str) -> Path:
    if data_dir is None:
        raise ConfigError(f"{key}: {REQUIRED}")
    return data_dir / name


def _made(path: Path, key: str) -> str:
    """Return the text of a file, which is made with a new secret where it is not there."""
    try:
        if not path.exists():
            write_once(path, f"{secrets.token_urlsafe(32)}\n".encode())
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
        raise ConfigError(f"{key}: none is configured, and {path} cannot be used: {reason}") from None


def read_secret(file: Path) -> str:
    """Return a file's text without trailing white space. Raises ValueError with a message that names the file."""
    try:
        text = file.read_text(encoding="utf-8-sig").rstrip()
    except OSError as error:
        raise ValueError(f"cannot read {file}: {error.strerror}") from None
    except ValueError:
        raise ValueError(f"{file} is not a text file in UTF-8") from None
    if not text:
        raise ValueError(f"{file} is empty")
    return text


def read_secrets(file: Path) -> list[str]:
    """Return a file's lines without blank ones and # comments. Raises ValueError as `read_secret` does."""
    lines = [line.strip() for line in read_secret(file).splitlines()]
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise ValueError(f"{file} holds nothing but comments")
    return found
