"""A test alert through an Alertmanager, followed until it says what became of the message."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from exporter.alerting.client import Unavailable
from exporter.alerting.ways import integrations
from exporter.lib.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.alerting.client import Client

TEST_ALERT: Final = "NotifyTest"
"""The shipped routes send it by its way alone."""
TRIED: Final = "notification_requests_total"
"""Each try, once it is over; `notifications_total` counts a message when its first try begins."""
FAILED: Final = "notification_requests_failed_total"
PATIENCE: Final = 30.0
LIFE: Final = 60.0
"""Seconds after which the test is over by itself."""
NO_RECEIVER: Final = "no receiver for it is switched on in Alertmanager"
NO_JOB: Final = "; alerts.labels has no job here, and routes beside those of somebody else ask for it"
"""What a shell lacks where the label comes from a variable of the service alone."""


async def try_out(client: Client, way: str, labels: Mapping[str, str], patience: float = PATIENCE) -> str:
    """Post a test alert for one integration; return what went wrong, or nothing once it was sent.

    `labels`: those that every alert has besides, which routes may ask for. Raises Unavailable and Refused.
    """
    job = labels.get("job", "")
    if way not in integrations(await client.configuration(), job):
        return NO_RECEIVER
    hint = "" if job else NO_JOB
    before = await _counts(client, way)
    await client.post([_alert(way, time.time(), labels)])
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        await asyncio.sleep(0.3)
        sent, failed = await _counts(client, way)
        if failed > before[1]:
            return f"Alertmanager could not send it: its log says why{hint}"
        if sent > before[0]:
            return ""
    return f"Alertmanager has not sent it within {patience:.0f} s: do its routes know {TEST_ALERT}?{hint}"


def _alert(way: str, now: float, labels: Mapping[str, str]) -> dict[str, object]:
    own = {"alertname": TEST_ALERT, "way": way, "severity": "info", "at": str(int(now))}
    return {
        "labels": {**labels, **own},
        "annotations": {
            "summary": f"Test: messages by {way} arrive",
            "summary_id": f"Uji coba: pesan lewat {way} sampai",
            "description": "Sent by device-exporter notify-test. Nothing is wrong; its end follows in a minute.",
            "description_id": "Dikirim oleh device-exporter notify-test. Tidak ada gangguan; kabar selesai menyusul.",
        },
        "startsAt": rfc3339(now, timespec="milliseconds"),
        "endsAt": rfc3339(now + LIFE, timespec="milliseconds"),
    }


async def _counts(client: Client, way: str) -> tuple[float, float]:
    """Return how many messages an integration has sent, and how many tries failed."""
    lines = (await client.metrics()).splitlines()
    failed = _sum(lines, FAILED, way)
    return _sum(lines, TRIED, way) - failed, failed


def _sum(lines: list[str], name: str, way: str) -> float:
    found = [line for line in lines if line.startswith(f"alertmanager_{name}{{") and f'integration="{way}"' in line]
    try:
        return sum(float(line.rsplit(" ", 1)[1]) for line in found)
    except ValueError as error:
        raise Unavailable("its metrics cannot be read") from error
