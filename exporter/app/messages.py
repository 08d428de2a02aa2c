"""What the exporter says of itself: where it listens, once, and each change of a device as a line of the log."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from exporter.lib.logs import fields

if TYPE_CHECKING:
    from exporter.app.settings import Settings
    from exporter.domain.fleet import Change

log = logging.getLogger(__name__)


def announce(settings: Settings, *, webhook: str, admin: str) -> None:
    """Say in one line where webhooks go, where their secret is, which page to open; show a terminal how to try it."""
    path, config = settings.secret_path, settings.current()
    secret = path or config.webhook.secret_file or "the configuration"
    page = f"{(config.web.external_url or admin).rstrip('/')}/"
    log.info("webhooks are taken", extra=fields(webhook=webhook, secret_is_in=secret, page=page))
    if not sys.stderr.isatty():
        return
    value = f"$(cat {secret})" if path else "SECRET"
    body = (
        '{"event":"device.disconnected","timestamp":\'$(date +%s)\',"status":"disconnected","device":{"id":"device_1",'
        '"name":"Front desk WhatsApp","channel":{"id":"channel_1","name":"WhatsApp Business","engine":"wa"},'
        '"bisnis":{"id":"biz_1","name":"Toko Makmur"},"user":{"id":"merchant_1","name":"Ibu Sari"}}}'
    )
    print(  # noqa: T201 - for the person who ran it
        f"\n  webhook   {webhook}\n  secret    {secret}\n  page      {page}\n\n"
        f'  curl -H "Authorization: {value}" -H "Content-Type: application/json" \\\n'
        f"    -d '{body}' {webhook}\n  curl {admin}/api/v1/devices\n",
        file=sys.stderr,
    )


def log_change(change: Change) -> None:
    """Write one line a live change of state, and one a move to another engine or business; ids only, no names."""
    if not log.isEnabledFor(logging.INFO):
        return
    if change.former is not None:
        _log("moved", change)
    if not (change.before and change.after and change.before.up == change.after.up):
        _log("forgotten" if change.after is None else "up" if change.after.up else "down", change)


def _log(what: str, change: Change) -> None:
    identity, after = change.device.identity, change.after
    log.info(
        f"device {what}",
        extra=fields(
            device_id=identity.device_id,
            engine=identity.engine,
            channel_id=identity.channel_id,
            business_id=identity.business_id,
            since=after.since if after is not None else None,
        ),
    )
