"""The doors that the configuration opens: the built-in gateway's, and one for each gateway that calls us."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from exporter.config.gateways import preset_of
from exporter.gateways.csku.gateway import Csku
from exporter.web.public import WEBHOOK_PATH, Door

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.config import Config


class Settings(NamedTuple):
    """See WebhookSettings."""

    secret: str
    max_body: int
    max_future_skew: float


def doors(config: Callable[[], Config], clock: Callable[[], float]) -> dict[str, Door]:
    """Return the doors of the configuration in force, by path."""
    current = config()
    found = {WEBHOOK_PATH: Door(Csku(current.gateways), lambda: config().webhook)}
    for name, gateway in current.gateways.items():
        if gateway.reading is not None and gateway.reading.webhook:
            bound = max(current.webhook.max_body, gateway.reading.max_body)
            settings = Settings(gateway.secret, bound, current.webhook.max_future_skew)
            found[f"{WEBHOOK_PATH}/{name}"] = Door(preset_of(name, gateway, clock), partial(_same, settings))
    return found


def _same(settings: Settings) -> Settings:
    return settings
