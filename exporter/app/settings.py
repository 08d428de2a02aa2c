"""The live configuration: what is in force, and how a new one reaches everybody."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

import msgspec

from exporter.config import Config, Secret, ensure_link_secret, ensure_webhook_secret
from exporter.lib.logs import fields

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

log = logging.getLogger(__name__)

AT_A_START: Final = (
    "storage.url",
    "webhook.listen_address",
    "web.listen_address",
    "web.config_file",
    "pages.listen_address",
    "impact.window",
    "impact.max_conversations",
)
"""Keys that are taken into use at a start only; everything else is in force after a reload."""


class Settings:
    """`current` is asked each time a value is needed; who keeps something made of it says `changed`.

    A configuration without a webhook secret is given the one in a file of the data directory, made at the first start;
    so it is with the secret of links.
    """

    def __init__(self, load: Callable[[], Config], data_dir: Callable[[Config], Path | None]) -> None:
        """Load the first configuration. ConfigError."""
        config = load()
        self._load = load
        self._data_dir = data_dir(config)
        self._callbacks: list[Callable[[Config], Awaitable[None]]] = []
        self.secret_path: Path | None = None
        """The file of the webhook's secret, where it was made and not configured."""
        self._current = self._complete(config)

    def current(self) -> Config:
        """Return the configuration in force."""
        return self._current

    def changed(self, callback: Callable[[Config], Awaitable[None]]) -> None:
        """Call `callback` with each new configuration, after those that came before; it must not raise."""
        self._callbacks.append(callback)

    async def read(self) -> Config:
        """Read the configuration anew, without taking it into use. ConfigError."""
        return await asyncio.to_thread(lambda: self._complete(self._load()))

    async def take(self, config: Config) -> None:
        """Put a configuration in force and tell everybody; name what has to wait for the next start."""
        former, self._current = self._current, config
        for key in AT_A_START:
            if _value(config, key) != _value(former, key):
                log.warning("a changed setting takes effect at the next start", extra=fields(setting=key))
        for callback in self._callbacks:
            await callback(config)

    def _complete(self, config: Config) -> Config:
        secret, self.secret_path = ensure_webhook_secret(config, self._data_dir)
        webhook = msgspec.structs.replace(config.webhook, secret=Secret(secret))
        links = ensure_link_secret(config, self._data_dir)
        pages = msgspec.structs.replace(config.pages, secret=Secret(links))
        return msgspec.structs.replace(config, webhook=webhook, pages=pages)


def _value(config: Config, key: str) -> object:
    section, name = key.split(".")
    return getattr(getattr(config, section), name)
