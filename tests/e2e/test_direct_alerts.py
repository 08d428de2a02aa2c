"""From the webhook to the people: a real exporter, Alertmanager and Prometheus with the shipped configuration."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

import aiohttp
import pytest

from tests import bodies
from tests.e2e.harness import Alertmanager, Prometheus, Sinks, request, running, shipped_config, sinks
from tests.e2e.process import ExporterProcess
from tests.patience import wait_for, wait_for_counts
from tests.ports import LOOPBACK, free_port
from tests.tools import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

T = TypeVar("T")
pytestmark = [pytest.mark.binaries, pytest.mark.timeout(300)]

RULES = [ROOT / "prometheus" / "rules" / name for name in ("devices.yml", "exporter.yml")]
TELEGRAM_AFTER, SLACK_AFTER = 3, 4  # seconds
ONCE = {"slack": 1, "email": 1, "sms": 1, "management": 1}
SETTINGS = f"""
alertmanager:
  urls: [URLS]
  resend_interval: RESEND
  told_within: 1s
policies:
  telegram: {{alert_after: {TELEGRAM_AFTER}s, escalate_after: 5m}}
  slack: {{alert_after: {SLACK_AFTER}s}}
notify:
  token: relay-token
  targets:
    sms: {{urls_file: sms_urls}}
"""


def device_event(device_id: str, at: int, *, up: bool, engine: str = "wa", name: str | None = None) -> dict[str, Any]:
    """Return the platform's event of a device of a business of its own, called Toko Makmur; `at` in Unix seconds."""
    channel = {"id": "channel_11", "name": "Layanan Pelanggan", "engine": engine}
    business = {"id": f"biz_9_{device_id}", "name": "Toko Makmur"}
    name = name or f"Kasir {device_id}"
    return bodies.device_event(device_id, at, up=up, name=name, channel=channel, bisnis=business)


def seldom(condition: Callable[[], T]) -> Callable[[], T]:
    """Return a condition that is dear to look at, so that it is looked at less often."""

    def later() -> T:
        time.sleep(0.3)
        return condition()

    return later


class Wire:
    """A TCP connection to a program that can be cut and mended: what the exporter knows as its Alertmanager."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.port = free_port()
        self._listener: socket.socket | None = None
        self._open: list[socket.socket] = []

    def mend(self) -> None:
        self._listener = socket.create_server((LOOPBACK, self.port), reuse_port=False)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """Refuse new connections and break those that are open."""
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        while self._open:
            with suppress(OSError):
                self._open.pop().shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                try:
                    far = socket.create_connection((LOOPBACK, self._target))
                except OSError:  # the program is not there
                    near.close()
                    continue
                self._open += [near, far]
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        with source, suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)


class Site:
    """An exporter, the Alertmanagers that it tells, and where people hear of it."""

    def __init__(
        self,
        folder: Path,
        where: Sinks,
        *,
        alertmanagers: int = 1,
        language: str = "id",
        resend: str = "1s",
        interval: str = "1s",
        settings: str = "",
        flags: tuple[str, ...] = (),
    ) -> None:
        self.where = where
        admin = free_port()
        config = shipped_config(where, relay=f"http://{LOOPBACK}:{admin}", language=language, interval=interval)
        self.alertmanagers: list[Alertmanager] = []
        for number in range(alertmanagers):
            peers = self.alertmanagers[:] if alertmanagers > 1 else None
            self.alertmanagers.append(Alertmanager(folder / f"alertmanager-{number}", config, peers))
        self.wires = [Wire(program.port) for program in self.alertmanagers]
        (folder / "sms_urls").write_text(where.http.url.replace("http://", "json://") + "/gateway")
        urls = ", ".join(f"http://{LOOPBACK}:{wire.port}" for wire in self.wires)
        (folder / "exporter.yml").write_text(
            SETTINGS.replace("URLS", urls).replace("RESEND", resend) + f"alerts: {{language: {language}}}\n{settings}"
        )
        flags = ("--config.file", str(folder / "exporter.yml"), *flags)
        self.exporter = ExporterProcess(folder / "exporter", *flags, admin_port=admin)
        self.admin_address = f"{LOOPBACK}:{admin}"

    @property
    def alertmanager(self) -> Alertmanager:
        return self.alertmanagers[0]

    # -- the platform ---------------------------------------------------------------------------------------------

    def down(self, device_id: str, *, ago: int = 0, **given: str) -> int:
        """Report a disconnect of so many seconds ago; return its event time."""
        return self._report(device_id, ago, up=False, **given)

    def back(self, device_id: str, *, ago: int = 0, **given: str) -> int:
        return self._report(device_id, ago, up=True, **given)

    def _report(self, device_id: str, ago: int, *, up: bool, **given: str) -> int:
        at = int(time.time()) - ago
        answer = self.exporter.post(device_event(device_id, at, up=up, **given))
        assert answer.status == 200, answer
        return at

    def report_at_once(self, *events: dict[str, Any], path: str = "/webhook", secret: str = "") -> None:
        """Report many events over many connections at the same time, to the platform's door or another one."""

        async def send() -> None:
            connector = aiohttp.TCPConnector(limit=50)
            headers = {"Authorization": secret or self.exporter.secret}
            async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

                async def one(body: dict[str, Any]) -> None:
                    async with session.post(f"{self.exporter.public_url}{path}", json=body) as answer:
                        assert answer.status == 200

                await asyncio.gather(*(one(body) for body in events))

        asyncio.run(send())

    # -- what people have -----------------------------------------------------------------------------------------

    def sms(self) -> list[str]:
        """Return the texts that the SMS gateway got from the relay."""
        return [post.json["message"] for post in self.where.http.at("/gateway")]

    def counts(self, about: str) -> dict[str, int]:
        """Return how many messages with these words each way of people has had."""
        mails = [f"{mail['subject']}\n{mail.get_body(('plain',)).get_content()}" for mail in self.where.emails()]
        ways = {"slack": self.where.slack(), "email": mails, "sms": self.sms(), "management": self.where.management()}
        return {way: len([text for text in texts if about in text]) for way, texts in ways.items()}

    def wait_told(self, about: str, times: int = 1, within: float = 20) -> None:
        """Wait until each way has had so many messages with these words."""
        expected = dict.fromkeys(ONCE, times)
        wait_for_counts(lambda: self.counts(about), expected, f"{times} x {about!r}", within)

    def settle(self, rounds: int = 4) -> None:
        """Wait until alerts have been repeated so often: whatever would be told twice has been by then."""
        name = "device_exporter_alert_pushes_total"
        repeated = (self.exporter.sample(name, result="ok") or 0) + rounds * len(self.alertmanagers)

        wait_for(seldom(lambda: (self.exporter.sample(name, result="ok") or 0) >= repeated), "repetitions", 90)

    def delivered(self, device_id: str) -> float | None:
        return self.exporter.sample("device_alert_delivered", device_id=device_id)


@contextmanager
def site_of(folder: Path, **given: Any) -> Iterator[Site]:
    with ExitStack() as stack:
        site = Site(folder, stack.enter_context(sinks(folder)), **given)
        stack.enter_context(running(*site.alertmanagers))
        for wire in site.wires:
            wire.mend()
            stack.callback(wire.cut)
        stack.enter_context(site.exporter)
        yield site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with site_of(tmp_path) as found:
        yield found


@contextmanager
def watched(site: Site, folder: Path) -> Iterator[Prometheus]:
    """A Prometheus that scrapes the exporter, with the shipped rules."""
    prometheus = Prometheus(
        folder / "prometheus",
        targets={"device-exporter": site.admin_address},
        rules=RULES,
        alertmanagers=[f"{LOOPBACK}:{site.alertmanager.port}"],
    )
    with running(prometheus):
        wait_for(lambda: prometheus.query("fleet_devices"), "the exporter is scraped")
        yield prometheus


# Thresholds --------------------------------------------------------------------------------------------------
def test_whatsapp_is_told_at_once_and_everywhere_and_the_others_after_their_thresholds(site: Site) -> None:
    telegram_since = site.down("t1", engine="telegram", name="Telegram Satu")
    slack_since = site.down("s1", engine="slack", name="Slack Satu")
    site.down("w1", name="Meja Depan")
    site.wait_told("Meja Depan")
    wait_for(lambda: site.counts("Telegram Satu")["slack"] == 1, "telegram")
    wait_for(lambda: site.counts("Slack Satu")["slack"] == 1, "slack")
    site.settle()

    first = {
        name: min(post.at for post in site.where.http.at("/slack") if name.encode() in post.body)
        for name in ("Meja Depan", "Telegram Satu", "Slack Satu")
    }
    assert first["Telegram Satu"] >= telegram_since + TELEGRAM_AFTER
    assert first["Slack Satu"] >= slack_since + SLACK_AFTER
    assert first["Meja Depan"] < first["Telegram Satu"] < first["Slack Satu"]
    assert site.counts("Meja Depan") == ONCE
    assert site.counts("Telegram Satu") == ONCE | {"management": 0}
    assert site.counts("Slack Satu") == {"slack": 1, "email": 1, "sms": 0, "management": 0}
    assert site.delivered("w1") == 1
    assert site.alertmanager.metric("alertmanager_notifications_failed_total") == 0


def test_a_device_that_is_back_before_its_threshold_is_told_to_nobody(site: Site) -> None:
    site.down("t1", engine="telegram", name="Telegram Satu")
    site.back("t1", engine="telegram", name="Telegram Satu")
    site.down("t2", engine="telegram", name="Telegram Dua")
    site.down("w1", name="Meja Depan")
    wait_for(lambda: site.counts("Telegram Dua")["slack"] == 1, "the other device, which went down later")
    site.settle()

    assert site.counts("Telegram Satu") == dict.fromkeys(ONCE, 0)


def test_a_device_that_is_back_after_its_threshold_is_told_once_with_how_long_it_was_away(site: Site) -> None:
    site.down("w1", name="Meja Depan", ago=545)
    site.wait_told("Meja Depan")
    site.back("w1", name="Meja Depan")
    site.wait_told("Meja Depan", 2)
    site.down("w2", name="Meja Belakang")  # keeps the repetitions going
    site.settle()

    assert site.counts("Meja Depan") == dict.fromkeys(ONCE, 2)
    assert re.search(r"PULIH: Meja Depan \(Toko Makmur\), mati 9 menit", site.where.slack()[1])
    assert "Mati selama 9 mnt" in site.sms()[1]


# Restarts ----------------------------------------------------------------------------------------------------
def test_an_exporter_that_is_killed_tells_nothing_twice_and_tells_the_end(site: Site) -> None:
    site.down("w1", name="Meja Depan")
    site.wait_told("Meja Depan")
    site.settle(2)  # a relay that is killed between sending and noting it sends again
    site.exporter.kill()
    site.exporter.start()
    site.settle()
    assert site.counts("Meja Depan") == ONCE
    assert site.delivered("w1") == 1

    site.back("w1", name="Meja Depan")
    site.wait_told("PULIH")
    site.down("w2", name="Meja Belakang")
    site.settle()
    assert site.counts("Meja Depan") == dict.fromkeys(ONCE, 2)


def test_a_device_that_was_renamed_while_down_is_told_once_even_over_a_restart(site: Site) -> None:
    site.down("w1", name="Meja Depan", ago=60)
    site.wait_told("Meja Depan")
    site.down("w1", name="Meja Baru", ago=30)
    site.settle(2)
    site.exporter.kill()
    site.exporter.start()
    site.settle()
    assert site.counts("Meja Baru") == dict.fromkeys(ONCE, 0)

    site.back("w1", name="Meja Baru")
    site.wait_told("PULIH: Meja Baru")
    site.settle()
    assert site.counts("PULIH") == ONCE


def test_an_alertmanager_that_is_killed_gets_the_alert_again_and_nobody_hears_of_an_end(site: Site) -> None:
    site.down("w1", name="Meja Depan")
    site.wait_told("Meja Depan")
    site.alertmanager.kill()
    wait_for(lambda: site.exporter.sample("device_exporter_alert_pushes_total", result="error"), "failed posts")
    site.alertmanager.start()
    wait_for(lambda: site.alertmanager.alerts("device_id=w1"), "the alert is there again")
    site.settle()

    assert site.counts("PULIH") == dict.fromkeys(ONCE, 0)
    # Killed, it may have lost its note that it told; stopped in order, it keeps it.
    assert all(count in {1, 2} for count in site.counts("MATI: Meja Depan").values() if count)
    before = site.counts("Meja Depan")
    site.alertmanager.stop()
    site.alertmanager.start()
    wait_for(lambda: site.alertmanager.alerts("device_id=w1"), "the alert is there again")
    site.settle()
    assert site.counts("Meja Depan") == before

    site.back("w1", name="Meja Depan")
    site.wait_told("PULIH")


# The net -----------------------------------------------------------------------------------------------------
@pytest.mark.slow  # it waits for both paths
def test_while_the_direct_path_is_broken_the_rule_tells_and_when_it_heals_nobody_hears_it_again(
    site: Site, tmp_path: Path
) -> None:
    names = [f"Kasir {number:02}" for number in range(4)]
    site.report_at_once(*(device_event(f"up{n}", int(time.time()) - 3600, up=True) for n in range(40)))
    with watched(site, tmp_path) as prometheus:
        site.wires[0].cut()
        for number, name in enumerate(names):
            site.down(f"w{number}", name=name, ago=100)  # past the 90 seconds that the rules leave the direct path
        for name in names:
            site.wait_told(name, within=60)
        assert all("peringatan langsung tidak terkirim" in text for text in site.where.slack())

        site.wires[0].mend()
        site.settle(2)
        prometheus.evaluate(3)
        site.settle(2)
        for name in names:
            assert site.counts(name) == ONCE

        site.down("w9", name="Meja Baru", ago=20)
        site.wait_told("Meja Baru")  # directly: the rule would wait for longer
        assert site.alertmanager.alerts("device_id=w9", "source=exporter")

        for number, name in enumerate(names):
            site.back(f"w{number}", name=name)
        for name in names:
            site.wait_told(name, 2)
        prometheus.evaluate(3)
        site.settle()
        for name in names:
            assert site.counts(name) == dict.fromkeys(ONCE, 2)


# Bursts ------------------------------------------------------------------------------------------------------
def fleet(count: int, at: int, *, up: bool) -> list[dict[str, Any]]:
    return [device_event(f"w{number}", at, up=up) for number in range(count)]


@pytest.mark.slow  # its end is told after a calm minute
def test_a_mass_outage_and_its_end_are_a_handful_of_messages_and_the_next_outage_is_told(tmp_path: Path) -> None:
    with site_of(tmp_path, resend="5s", interval="5s") as site:
        site.report_at_once(*fleet(1000, int(time.time()) - 600, up=True))

        site.report_at_once(*fleet(1000, int(time.time()), up=False))
        site.wait_told("GANGGUAN MASSAL")
        alerts = seldom(lambda: len(site.alertmanager.alerts("alertname=DeviceDown")) == 1000)
        wait_for(alerts, "every device's alert")
        site.settle(20)
        assert site.counts("GANGGUAN MASSAL") == ONCE
        assert all(count <= 6 for count in site.counts("").values())
        before = {found for text in site.where.slack() for found in re.findall(r"MATI: Kasir (w\d+)", text)}

        site.report_at_once(*fleet(1000, int(time.time()), up=True))
        wait_for(lambda: site.counts("GANGGUAN MASSAL SELESAI")["slack"], "its end, after a calm minute", 100)
        wait_for(lambda: told_back(site) == before, "the end of what was told before the mass outage showed", 30)
        site.settle(20)
        assert site.counts("GANGGUAN MASSAL") == dict.fromkeys(ONCE, 2)
        assert all(count <= 12 for count in site.counts("").values())

        again = min(before, default="w1")
        site.down(again)
        wait_for(lambda: site.counts(f"MATI: Kasir {again} ")["slack"] == (again in before) + 1, "its next outage")


def told_back(site: Site) -> set[str]:
    return {found for text in site.where.slack() for found in re.findall(r"PULIH: Kasir (w\d+)", text)}


def test_a_device_that_flaps_is_one_notice(site: Site) -> None:
    site.report_at_once(*(device_event(f"up{n}", int(time.time()) - 3600, up=True) for n in range(40)))
    for ago in range(120, 60, -6):
        site.down("w1", name="Meja Depan", ago=ago)
        site.back("w1", name="Meja Depan", ago=ago - 3)
        if ago > 90:
            time.sleep(0.2)
    wait_for(lambda: site.counts("TIDAK STABIL: Meja Depan")["slack"] == 1, "the notice")
    site.settle()
    before = site.counts("Meja Depan")
    for ago in range(40, 0, -10):
        site.down("w1", name="Meja Depan", ago=ago)
        site.settle(2)
        site.back("w1", name="Meja Depan", ago=ago - 5)
        site.settle(2)

    assert site.counts("Meja Depan") == before
    assert site.counts("TIDAK STABIL: Meja Depan")["slack"] == 1
    assert before["slack"] <= 11


# Several Alertmanagers, silences -----------------------------------------------------------------------------
@pytest.mark.slow  # it waits for both paths
def test_two_alertmanagers_in_a_cluster_tell_at_least_once_and_not_all_of_it_twice(tmp_path: Path) -> None:
    with site_of(tmp_path, alertmanagers=2) as site:
        for program in site.alertmanagers:
            wait_for(lambda one=program: one.metric("alertmanager_cluster_members") == 2, "two members")
        site.down("w1", name="Meja Depan")
        wait_for(lambda: min(site.counts("Meja Depan").values()) >= 1, "one message on each way", 20)
        for program in site.alertmanagers:
            wait_for(lambda one=program: one.alerts("device_id=w1"), "each has the alert")
        site.settle()
        once = site.counts("Meja Depan")

        site.back("w1", name="Meja Depan")
        wait_for(lambda: min(site.counts("PULIH").values()) >= 1, "its end on each way", 20)
        site.down("w2", name="Meja Belakang")
        site.settle()
        twice = site.counts("Meja Depan")
        # A cluster tells at least once, as a rule no more; two that know nothing of each other tell all of it twice.
        assert min(once.values()) >= 1
        assert min(twice.values()) >= 2
        assert sum(once.values()) < 2 * len(ONCE)
        assert sum(twice.values()) < 4 * len(ONCE)


def test_a_silence_quiets_the_direct_alert(site: Site) -> None:
    silence = site.alertmanager.silence(device_id="w1")
    wait_for(lambda: site.alertmanager.metric("alertmanager_silences") > 0, "the silence is known")
    site.down("w1", name="Meja Depan")
    site.down("w2", name="Meja Belakang")
    site.wait_told("Meja Belakang")
    site.settle()

    assert site.counts("Meja Depan") == dict.fromkeys(ONCE, 0)
    assert set(site.alertmanager.muted_by("device_id=w1")) == {silence}


def test_a_device_that_is_back_while_it_is_silenced_is_told_of_again_when_it_goes_down_again(site: Site) -> None:
    site.down("w1", name="Meja Depan", ago=60)
    site.wait_told("Meja Depan")
    silence = site.alertmanager.silence(device_id="w1")
    wait_for(lambda: site.alertmanager.muted_by("device_id=w1") == [silence] * 2, "the silence works")
    site.back("w1", name="Meja Depan", ago=30)
    site.settle()
    assert site.counts("Meja Depan") == ONCE

    request(f"{site.alertmanager.url}/api/v2/silence/{silence}", method="DELETE")
    site.wait_told("PULIH")
    site.down("w1", name="Meja Depan")
    site.wait_told("Meja Depan", 3)


# Words -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("language", ["id", "en"])
def test_the_words_name_and_tell_what_matters(tmp_path: Path, language: str) -> None:
    with site_of(tmp_path, language=language) as site:
        site.down("w1", name="Meja Depan", ago=0)
        site.wait_told("Meja Depan")
        site.back("w1", name="Meja Depan")
        site.wait_told("Meja Depan", 2)
        site.report_at_once(*(device_event(f"m{n}", int(time.time()), up=False, engine="telegram") for n in range(6)))
        wait_for(lambda: site.counts("Telegram")["slack"], "the mass outage")
        texts = [*site.where.slack(), *site.where.management(), *site.sms()]
        texts += [f"{mail['subject']}\n{mail.get_body(('plain',)).get_content()}" for mail in site.where.emails()]
        assert "channel_11" not in "".join(texts)
        assert not [text for text in texts if re.search(r"\b0 ?(s|dtk|detik)\b|biz_9| wa\b|\(wa\)", text)]
