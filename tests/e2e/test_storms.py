"""Many devices down at once: messages counted for every receiver, with the real Alertmanager and what is shipped."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.test_direct_alerts import Site, device_event, seldom, site_of
from tests.patience import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.binaries, pytest.mark.slow, pytest.mark.timeout(600)]

MOST = 20
"""Messages that any receiver gets of any of these, the return of the devices included."""
FLEET = 1219


def event(number: int, *, up: bool, business: str | None = None, ago: int = 0, engine: str = "wa") -> dict[str, Any]:
    """Return the event of a device of a fleet, of which five belong to each business."""
    business = business or f"biz_{number // 5}"
    found = device_event(f"w{number}", int(time.time()) - ago, up=up, engine=engine)
    found["device"]["bisnis"] = {"id": business, "name": f"Bisnis {business}"}
    return found


def told(site: Site) -> dict[str, int]:
    """Return how many messages each receiver has had; it is told at least once, as a rule no more."""
    return site.counts("") | {"automation": len(site.where.http.at("/automation"))}


def spread(count: int, *, up: bool) -> list[dict[str, Any]]:
    """Return events of so many devices, spread over the businesses as widely as can be."""
    order = sorted(range(FLEET), key=lambda number: (number % 5, number))
    return [event(number, up=up) for number in order[:count]]


GATEWAY, GATEWAY_SECRET = "/webhook/evo-jkt", "rahasia-evo"
GATEWAYS = """
gateways:
  evo-jkt: {preset: evolution, secret_file: evo_secret, business: {id: biz_900, name: Agen Sembilan}}
"""


def session_event(number: int, *, up: bool) -> dict[str, Any]:
    """Return what Evolution API posts of a session that is connected, or logged out on the phone."""
    at = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    data = {"state": "open" if up else "close", "statusReason": 200 if up else 401}
    return {"event": "connection.update", "instance": f"s{number}", "data": data, "date_time": at}


@contextmanager
def fleet_of(folder: Path, resend: str = "5s") -> Iterator[Site]:
    (folder / "evo_secret").write_text(GATEWAY_SECRET)
    with site_of(folder, resend=resend, interval="10s", settings=GATEWAYS) as found:
        found.report_at_once(*(event(number, up=True, ago=5000) for number in range(FLEET)))
        yield found


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with fleet_of(tmp_path) as found:
        yield found


def calm(site: Site, seconds: float) -> None:
    """Let a while pass in which nothing happens, and whatever would be told in it be told."""
    end = time.monotonic() + seconds
    wait_for(seldom(lambda: time.monotonic() > end), "the while", seconds + 10)
    site.settle(2)


def show(name: str, site: Site) -> None:
    print(f"\n{name}: {told(site)}")  # noqa: T201


def test_one_device_is_one_message_down_and_one_back(site: Site) -> None:
    site.report_at_once(event(7, up=False))
    site.wait_told("Kasir w7")
    calm(site, 8)
    assert set(site.counts("").values()) == {1}
    site.report_at_once(event(7, up=True))
    site.wait_told("PULIH")
    calm(site, 12)
    show("1 device", site)
    assert set(site.counts("").values()) == {2}


def test_five_devices_of_one_business_are_one_and_the_business(site: Site) -> None:
    site.report_at_once(*(event(number, up=False) for number in range(5)))
    site.wait_told("BISNIS MATI: Bisnis biz_0")
    calm(site, 8)
    assert set(site.counts("").values()) <= {1, 2}  # the business, and at most the first of its devices before it
    assert "5 dari 5" in "".join(site.where.slack())
    site.report_at_once(*(event(number, up=True) for number in range(5)))
    wait_for(seldom(lambda: site.counts("BISNIS PULIH")["slack"]), "its end, after a calm minute", 100)
    calm(site, 10)
    show("5 of one business", site)
    assert max(site.counts("").values()) <= 4
    before = site.counts("MATI: Kasir w0")["sms"]
    site.report_at_once(event(0, up=False))
    wait_for(lambda: site.counts("MATI: Kasir w0")["sms"] == before + 1, "its next outage")


def test_twenty_of_one_gateway_are_its_outage_with_a_flapping_session_among_them(site: Site) -> None:
    def sessions(*numbers: int, up: bool) -> None:
        events = (session_event(number, up=up) for number in numbers)
        site.report_at_once(*events, path=GATEWAY, secret=GATEWAY_SECRET)

    sessions(*range(20), up=True)
    time.sleep(1.1)
    for _ in range(6):
        sessions(0, up=False)
        time.sleep(1.1)
        sessions(0, up=True)
        time.sleep(1.1)
    sessions(*range(20), up=False)
    wait_for(seldom(lambda: site.counts("GATEWAY MATI: evo-jkt")["slack"]), "the gateway's outage", 40)
    calm(site, 8)
    show("20 of one gateway", site)
    [mass] = [alert["annotations"] for alert in site.alertmanager.alerts("alertname=GatewayOutage")]
    assert (mass["devices_down"], mass["devices"]) == ("20", "20")
    assert site.alertmanager.alerts("alertname=EngineOutage") == []
    flapping = site.counts("s0 ")
    told_of_others = {way: number - flapping.get(way, 0) for way, number in site.counts("").items()}
    assert max(told_of_others.values()) == 1

    sessions(*range(20), up=True)
    wait_for(seldom(lambda: site.counts("GATEWAY PULIH: evo-jkt")["slack"]), "its end, after a calm minute", 110)
    calm(site, 10)
    show("20 of one gateway, back", site)
    assert max(site.counts("").values()) <= MOST
    sessions(7, up=False)
    wait_for(lambda: site.counts("MATI: s7 ")["slack"] == 1, "its next outage")


@pytest.mark.parametrize("count", [20, 200, 1000])
def test_a_mass_outage_and_its_return_with_a_flapping_device_among_them(tmp_path: Path, count: int) -> None:
    resend = "20s" if count == 1000 else "5s"  # or an Alertmanager on a slow machine has no time between them
    with fleet_of(tmp_path, resend) as site:
        go_down_and_come_back(site, count)


def go_down_and_come_back(site: Site, count: int) -> None:
    for _ in range(3):
        site.report_at_once(event(1218, up=False))
        time.sleep(1.1)
        site.report_at_once(event(1218, up=True))
        time.sleep(1.1)
    site.report_at_once(*spread(count, up=False))
    wait_for(seldom(lambda: site.counts("GANGGUAN MASSAL")["slack"]), "the mass outage", 40)
    for _ in range(4):
        site.report_at_once(event(1218, up=False))
        time.sleep(1.1)
        site.report_at_once(event(1218, up=True))
        time.sleep(1.1)
    calm(site, 5)
    show(f"{count} down", site)
    [mass] = [alert["annotations"] for alert in site.alertmanager.alerts("alertname=EngineOutage")]
    assert int(mass["devices_down"]) in {count - 1, count, count + 1}  # one of them flaps
    assert mass["devices"] == str(FLEET)
    assert "Bisnis biz_" in mass["businesses"]
    assert len(site.alertmanager.alerts("alertname=DeviceDown")) >= count - 1

    site.report_at_once(*spread(count, up=True))
    wait_for(seldom(lambda: site.counts("GANGGUAN MASSAL SELESAI")["slack"]), "its end, after a calm minute", 110)
    calm(site, 15)
    show(f"{count} back", site)
    flapping = site.counts("w1218")
    assert all(number - flapping.get(way, 0) <= MOST for way, number in site.counts("").items())
    again = spread(1, up=False)
    before = site.counts("MATI: Kasir w0 ")["slack"]
    site.report_at_once(*again)
    wait_for(lambda: site.counts("MATI: Kasir w0 ")["slack"] == before + 1, "its next outage")


def test_a_storm_that_shares_nothing_is_a_digest_that_names_what_it_holds(site: Site) -> None:
    for batch in range(8):
        site.report_at_once(event(batch * 10, up=False), event(batch * 10 + 300, up=False))
        time.sleep(3.2)
    wait_for(seldom(lambda: site.counts("BANYAK PERANGKAT MATI")["slack"]), "the digest", 60)
    calm(site, 8)
    show("16 in 26 s", site)
    [digest] = [text for text in site.where.slack() if "BANYAK PERANGKAT MATI" in text]
    assert "Kasir w" in digest
    assert " lagi, sejak " in digest
    site.report_at_once(*(event(batch * 10 + more, up=True) for batch in range(8) for more in (0, 300)))
    wait_for(seldom(lambda: site.counts("BANYAK PERANGKAT MATI: SELESAI")["slack"]), "its end", 110)
    calm(site, 10)
    show("16 in 26 s, back", site)
    assert max(site.counts("").values()) <= MOST
    site.report_at_once(event(70, up=False))
    wait_for(lambda: site.counts("MATI: Kasir w70 ")["slack"], "the next outage of one that the digest held")
