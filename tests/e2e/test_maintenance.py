"""Planned maintenance from the webhook to the people: a real exporter, Alertmanager and Prometheus."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.harness import running, sinks
from tests.e2e.process import run_command
from tests.e2e.test_direct_alerts import ONCE, SLACK_AFTER, TELEGRAM_AFTER, Site, device_event, seldom, watched
from tests.patience import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.binaries, pytest.mark.timeout(300)]

NOBODY = dict.fromkeys(ONCE, 0)
FAILOVER = """
failover:
  - {channel: channel_11, backup: channel_12, hook: {url: HOOK, secret: s3cret}, switch_back_after: 1s}
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        made = Site(tmp_path, stack.enter_context(sinks(tmp_path)))
        with (tmp_path / "exporter.yml").open("a") as config:
            config.write(FAILOVER.replace("HOOK", f"{made.where.http.url}/hook"))
        stack.enter_context(running(*made.alertmanagers))
        for wire in made.wires:
            wire.mend()
            stack.callback(wire.cut)
        stack.enter_context(made.exporter)
        yield made


def maintenance(site: Site, *arguments: str) -> str:
    """Run the command; return what it says."""
    done = run_command("maintenance", *arguments, "--url", site.exporter.admin_url)
    assert done.returncode == 0, done.stderr
    return done.stdout


def connected(site: Site, *devices: tuple[str, str, str]) -> None:
    """Let devices (id, engine, name) have been up for an hour."""
    for device_id, engine, name in devices:
        site.back(device_id, ago=3600, engine=engine, name=name)


def test_inside_a_window_nobody_hears_anything_and_what_is_still_down_when_it_ends_is_told_then(site: Site) -> None:
    connected(site, ("w1", "wa", "Meja Depan"), ("w2", "wa", "Meja Belakang"), ("t1", "telegram", "Telegram Satu"))
    maintenance(site, "add", "--channel", "channel_11", "--duration", "1h", "--comment", "Ganti ponsel")
    time.sleep(1.1)  # the second in which a window begins is part of it, the ones before are not
    site.down("w1", name="Meja Depan")
    site.down("w2", name="Meja Belakang")
    site.down("t1", engine="telegram", name="Telegram Satu")
    time.sleep(TELEGRAM_AFTER + 1)
    site.back("w2", name="Meja Belakang")
    site.exporter.kill()
    site.exporter.start()
    wait_for(lambda: site.exporter.sample("device_maintenance", device_id="w1"), "the window is still there")
    time.sleep(3)
    assert site.counts("") == NOBODY
    assert site.alertmanager.alerts("alertname=DeviceDown", "device_id=~w.|t.") == []

    ended = time.time()  # or a little later
    maintenance(site, "end", "1")
    site.wait_told("Meja Depan")
    wait_for(lambda: site.counts("Telegram Satu")["slack"] == 1, "telegram, a threshold after the end")
    site.settle()
    told = min(post.at for post in site.where.http.at("/slack") if b"Telegram Satu" in post.body)
    assert told >= int(ended) + TELEGRAM_AFTER - 1
    assert site.counts("Meja Depan") == ONCE  # management included: its escalation waited, too
    assert site.counts("Meja Belakang") == NOBODY

    site.back("w1", name="Meja Depan")
    site.wait_told("PULIH")


@pytest.mark.slow  # it waits for a window's end
def test_a_window_ends_by_itself(site: Site) -> None:
    connected(site, ("w1", "wa", "Meja Depan"))
    maintenance(site, "add", "--device", "w1", "--duration", "8s")
    time.sleep(1.1)
    site.down("w1", name="Meja Depan")
    ends = site.exporter.api("maintenance")["windows"][0]["end"]
    time.sleep(max(0.0, ends - time.time() - 1))
    assert site.counts("") == NOBODY
    site.wait_told("Meja Depan", within=10)
    assert min(post.at for post in site.where.http.at("/slack")) >= ends
    assert site.exporter.api("maintenance") == {"windows": []}


@pytest.mark.slow  # it waits for a window's end
def test_what_was_told_before_the_window_is_not_taken_back_and_its_end_is_told(site: Site) -> None:
    site.down("w1", name="Meja Depan", ago=60)
    site.wait_told("Meja Depan")
    maintenance(site, "add", "--all", "--duration", "1h")
    site.settle()
    assert site.counts("PULIH") == NOBODY
    site.exporter.kill()
    site.exporter.start()
    site.settle()
    assert site.counts("Meja Depan") == ONCE

    site.back("w1", name="Meja Depan")
    site.wait_told("PULIH")


@pytest.mark.slow  # it waits for a window's end
def test_planned_work_on_many_devices_is_no_mass_outage(site: Site) -> None:
    now = int(time.time())
    site.report_at_once(*(device_event(f"w{n}", now - 3600, up=True) for n in range(30)))
    maintenance(site, "add", "--engine", "wa", "--duration", "1h")
    time.sleep(1.1)
    site.report_at_once(*(device_event(f"w{n}", int(time.time()), up=False) for n in range(30)))
    time.sleep(1)
    site.report_at_once(*(device_event(f"w{n}", int(time.time()), up=True) for n in range(30)))
    site.down("s1", engine="slack", name="Slack Satu")
    wait_for(lambda: site.counts("Slack Satu")["slack"] == 1, "a device outside of the window")
    site.settle()
    assert site.counts("GANGGUAN MASSAL") == NOBODY
    assert site.counts("Kasir") == NOBODY


def test_inside_a_window_the_rules_are_quiet_too(site: Site, tmp_path: Path) -> None:
    site.wires[0].cut()  # so that the rules are all there is
    connected(site, ("w1", "wa", "Meja Depan"), ("s1", "slack", "Slack Satu"))
    maintenance(site, "add", "--engine", "wa", "--duration", "1h")
    with watched(site, tmp_path) as prometheus:
        wait_for(lambda: prometheus.query("device_maintenance == 1"), "the window is scraped")
        site.down("w1", name="Meja Depan", ago=600)  # reported late, and so long ago that the rule would fire at once
        site.down("s1", engine="slack", name="Slack Satu", ago=100 + SLACK_AFTER)
        wait_for(lambda: site.counts("Slack Satu")["slack"] == 1, "the rule's alert outside of the window", 60)
        prometheus.evaluate(3)
        assert site.counts("Meja Depan") == NOBODY


def test_inside_a_window_no_hook_is_called_until_it_is_over(site: Site) -> None:
    backup = device_event("w2", int(time.time()) - 3600, up=True)
    backup["device"]["channel"] = {"id": "channel_12", "name": "Cadangan", "engine": "wa"}
    site.report_at_once(device_event("w1", int(time.time()) - 3600, up=True), backup)
    maintenance(site, "add", "--channel", "channel_11", "--duration", "1h")
    time.sleep(1.1)
    site.down("w1")
    time.sleep(3)
    assert site.where.http.at("/hook") == []
    maintenance(site, "end", "1")
    call = wait_for(lambda: site.where.http.at("/hook"), "the switch")[0]
    assert call.json["action"] == "switch"


def test_windows_are_left_out_of_the_slo_and_shown_in_reports(site: Site) -> None:
    connected(site, ("w1", "wa", "Meja Depan"))
    site.down("w1", name="Meja Depan", ago=1000)
    site.back("w1", name="Meja Depan", ago=900)
    maintenance(site, "add", "--device", "w1", "--duration", "1h")
    time.sleep(1.1)
    site.down("w1", name="Meja Depan")
    wait_for(lambda: site.exporter.sample("device_up", device_id="w1") == 0, "down")
    first = sums(site)
    time.sleep(2.5)
    assert sums(site) == first
    assert first["fleet_downtime_seconds_total"] == 100
    assert (site.exporter.sample("device_downtime_seconds_total", device_id="w1") or 0) > 102
    assert site.exporter.sample("device_disconnect_total", device_id="w1") == 2

    [row] = site.exporter.api("availability?by=engine")["rows"]
    assert row["downtime_seconds"] == 100
    assert row["planned_seconds"] >= 3
    assert row["outages"] == 1
    report = run_command("report", "--storage.url", site.exporter.storage_url, "--format", "json")
    [reported] = json.loads(report.stdout)["rows"]
    assert (reported["downtime_seconds"], reported["planned_seconds"] >= 3) == (100, True)


def sums(site: Site) -> dict[str, Any]:
    names = ("fleet_downtime_seconds_total", "fleet_observed_seconds_total")
    return {name: site.exporter.sample(name, engine="wa") for name in names}


def test_a_reload_takes_windows_from_the_file_and_a_scrape_says_so(site: Site, tmp_path: Path) -> None:
    connected(site, ("w1", "wa", "Meja Depan"))
    assert site.exporter.sample("device_maintenance", device_id="w1") is None
    with (tmp_path / "exporter.yml").open("a") as config:
        config.write("maintenance: [{match: {engine: wa}, cron: '* * * * *', duration: 2m, comment: Selalu}]\n")
    assert site.exporter.get("/-/reload", "POST").status == 200
    inside = seldom(lambda: site.exporter.sample("device_maintenance", device_id="w1"))
    assert wait_for(inside, "the device is inside") == 1
    [window] = site.exporter.api("maintenance")["windows"]
    assert (window["id"], window["source"], window["devices"]) == ("file-1", "file", 1)
