"""A disk that neither takes nor refuses: flushes that do not return, in a real process."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import yaml

from tests.bodies import device_event
from tests.e2e.preload import preloaded
from tests.e2e.process import ExporterProcess
from tests.patience import wait_for
from tests.tools import ROOT

if TYPE_CHECKING:
    from pathlib import Path

WAIT = "device_exporter_journal_oldest_wait_seconds"


def alert_above() -> float:
    """Return the seconds from which on the shipped rule alerts."""
    groups = yaml.safe_load((ROOT / "prometheus" / "rules" / "exporter.yml").read_text())["groups"]
    [rule] = [rule for group in groups for rule in group["rules"] if rule.get("alert") == "JournalHanging"]
    assert rule["labels"]["severity"] == "critical"
    assert "for" not in rule
    return float(rule["expr"].removeprefix(f"max({WAIT}) > "))


def test_a_disk_that_hangs_is_told_to_senders_health_and_rules_and_keeps_no_stop_from_its_end(tmp_path: Path) -> None:
    now = int(time.time())
    hangs = tmp_path / "hangs"
    variables = {**preloaded("hanging", tmp_path), "HANGS": str(hangs)}
    with ExporterProcess(tmp_path / "exporter", variables=variables) as exporter:
        exporter.send(("d1", now - 100, True))
        hangs.touch()

        refused = exporter.post(device_event("d1", now - 50, up=False), within=10)

        assert (refused.status, refused.json["code"]) == (503, "journal_unavailable")
        assert "Retry-After" in refused.headers
        assert exporter.get("/-/ready").status == 503
        health = exporter.get("/-/healthy")
        assert (health.status, health.json["error"]) == (503, "the disk does not answer")
        wait_for(lambda: (exporter.sample(WAIT) or 0) > alert_above(), "the metric is beyond the rule's bound")
        assert exporter.post(device_event("d1", now - 50, up=False), within=10).status == 503
        assert "the disk does not answer" in exporter.log

        exporter.stop(within=20)
        hangs.unlink()
        exporter.start()
        exporter.send(("d1", now - 50, False), ("d1", now - 20, True))
        (outage,) = exporter.api("devices/d1/outages")["outages"]
        assert (outage["start"], outage["end"]) == (now - 50, now - 20)
