"""Gateways in the running exporter: doors that a reload opens and closes, and secrets that get nowhere."""

from __future__ import annotations

import asyncio
import gc
import hmac
import json
import logging
import math
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from exporter.app.app import Exporter
from exporter.cli.main import main
from exporter.config import load
from exporter.gateways.again import proven
from exporter.gateways.reasons import REASONS, UNKNOWN
from exporter.lib.words import read_texts
from exporter.report.availability import availability
from exporter.simulate.fleet import make_fleet
from exporter.simulate.payloads import device_event
from exporter.web import public
from tests.tools import ROOT
from tests.unit.gateway_site import SECRET

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

WAHA: dict[str, Any] = {"preset": "waha", "secret": SECRET, "auth": "header"}
EVOLUTION: dict[str, Any] = {"preset": "evolution", "secret": SECRET}
FONNTE: dict[str, Any] = {"preset": "fonnte", "secret": SECRET}


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    gc.unfreeze()


class Running:
    """An exporter in this process on a configuration file that tests change."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "exporter.yml"

    def configure(self, **gateways: Any) -> None:
        any_port = "127.0.0.1:0"
        self.file.write_text(
            json.dumps(
                {
                    "webhook": {"listen_address": any_port, "secret": "csku"},
                    "web": {"listen_address": any_port},
                    "log": {"level": "debug"},
                    "storage": {"url": f"sqlite:///{self.folder}/exporter.db"},
                    "gateways": gateways,
                }
            )
        )

    async def post(self, path: str, body: Any, **headers: str) -> tuple[int, str]:
        url = f"{self.exporter.public.url}/webhook/{path}".rstrip("/")
        async with aiohttp.ClientSession() as client, client.post(url, json=body, headers=headers) as answer:
            return answer.status, await answer.text()

    def state(self, device_id: str) -> str | None:
        device = self.exporter.recorder.fleet.devices.get(device_id)
        return None if device is None else "up" if device.timeline.up else "down"


@asynccontextmanager
async def running(folder: Path, **gateways: Any) -> AsyncIterator[Running]:
    site = Running(folder)
    site.configure(**gateways)
    site.exporter = Exporter(lambda: load(site.file, {}, {}))
    await site.exporter.start()
    try:
        yield site
    finally:
        await site.exporter.stop()


def waha(status: str) -> dict[str, Any]:
    return {"event": "session.status", "session": "cs-1", "payload": {"status": status}}


@pytest.mark.parametrize(("ago", "status"), [(0, 200), (3600, 200), (2 * 86_400, 401)])
async def test_a_signed_body_that_no_sender_still_retries_is_a_replay(tmp_path: Path, ago: int, status: int) -> None:
    async with running(tmp_path, a={**WAHA, "auth": "hmac"}) as site:
        body = {**waha("FAILED"), "timestamp": int((time.time() - ago) * 1000)}
        signature = hmac.digest(SECRET.encode(), json.dumps(body).encode(), "sha512").hex()
        assert (await site.post("a", body, **{"X-Webhook-Hmac": signature}))[0] == status
        assert site.state("a:cs-1") == ("down" if status == 200 else None)


async def test_a_reload_adds_changes_and_removes_gateways(tmp_path):
    headers = {"Authorization": SECRET}
    async with running(tmp_path, a=WAHA) as site:
        assert (await site.post("a", waha("WORKING"), **headers))[0] == 200
        assert (await site.post("b", waha("WORKING"), **headers))[0] == 404

        site.configure(b=WAHA, a=WAHA | {"secret": "another"})
        await site.exporter.reload()
        assert (await site.post("a", waha("FAILED"), **headers))[0] == 401
        assert (await site.post("a", waha("FAILED"), Authorization="another"))[0] == 200
        assert (await site.post("b", waha("WORKING"), **headers))[0] == 200

        site.configure()
        await site.exporter.reload()
        assert (await site.post("a", waha("WORKING"), Authorization="another"))[0] == 404
        assert (site.state("a:cs-1"), site.state("b:cs-1")) == ("down", "up")


async def test_a_logout_and_a_reconnect_are_told_apart(tmp_path):
    async with running(tmp_path, a=WAHA) as site:
        for status in ("WORKING", "STARTING", "WORKING"):
            assert (await site.post("a", waha(status), Authorization=SECRET)) == (200, "OK")
        assert site.state("a:cs-1") == "up"

        await site.post("a", waha("SCAN_QR_CODE"), Authorization=SECRET)

        assert site.state("a:cs-1") == "down"
        value = site.exporter.registry.get_sample_value
        assert value("device_reconnects_total", {"engine": "wa", "gateway": "a"}) == 1
        assert value("device_disconnect_reason_total", {"engine": "wa", "reason": "needs_scan"}) == 1


async def test_a_webhook_without_a_business_leaves_the_one_that_is_known(tmp_path):
    async with running(tmp_path, a=WAHA) as site:
        for metadata in ({"business.id": "b-17", "business.name": "Toko"}, {}):
            status = "WORKING" if metadata else "STOPPED"
            await site.post("a", waha(status) | {"metadata": metadata}, Authorization=SECRET)
            identity = site.exporter.recorder.fleet.devices["a:cs-1"].identity
            assert (identity.business_id, identity.business_name) == ("b-17", "Toko")

        site.configure(a=WAHA | {"businesses": {"cs-1": {"id": "b-18"}}})
        await site.exporter.reload()
        await site.post("a", waha("WORKING"), Authorization=SECRET)
        assert site.exporter.recorder.fleet.devices["a:cs-1"].identity.business_id == "b-18"


async def test_a_business_that_is_configured_takes_the_place_of_the_gateways_name(tmp_path):
    async with running(tmp_path, a=WAHA) as site:
        await site.post("a", waha("WORKING"), Authorization=SECRET)
        site.configure(a=WAHA | {"business": {"id": "b-9"}})
        await site.exporter.reload()
        await site.post("a", waha("STOPPED"), Authorization=SECRET)

        assert site.exporter.recorder.fleet.devices["a:cs-1"].identity.business_id == "b-9"


async def test_a_refusal_in_the_log_names_the_gateway(tmp_path, caplog):
    async with running(tmp_path, a=WAHA) as site:
        assert (await site.post("a", waha("WORKING"), Authorization="wrong"))[0] == 401
        assert (await site.post("a", waha("WORKING") | {"session": ""}, Authorization=SECRET))[0] == 200

    refused = [vars(record)["fields"] for record in caplog.records if record.message == "webhook request refused"]
    assert [(told["code"], told["gateway"]) for told in refused] == [("unauthorized", "a"), ("missing_field", "a")]


async def test_the_platform_cannot_tell_of_the_devices_of_gateways(tmp_path):
    body = device_event(make_fleet(1, 1)[0].identity, int(time.time()), up=False)
    async with running(tmp_path, a=WAHA) as site:
        await site.post("a", waha("WORKING"), Authorization=SECRET)
        for device_id, status in (("a:cs-1", 400), ("b:cs-1", 200)):
            sent = body | {"device": body["device"] | {"id": device_id}}
            answer = await site.post("", sent, Authorization="csku")
            assert (answer[0], "other_gateway" in answer[1]) == (status, status == 400)

        assert (site.state("a:cs-1"), site.state("b:cs-1")) == ("up", "down")


@pytest.mark.parametrize(("language", "word"), [("en", "scan the QR code again"), ("id", "pindai ulang kode QR")])
async def test_the_alert_of_a_logout_says_why_and_what_helps(tmp_path, language, word):
    async with running(tmp_path, a=WAHA) as site:
        await site.post("a", waha("WORKING"), Authorization=SECRET)
        text = {"alerts": {"language": language}, "policies": {"wa": {"rescan_url": "https://gw.example/{session}"}}}
        site.file.write_text(json.dumps(json.loads(site.file.read_text()) | text))
        await site.exporter.reload()
        await site.post("a", waha("FAILED"), Authorization=SECRET)
        device = site.exporter.recorder.fleet.down["a:cs-1"]

        told = site.exporter.features.sessions.explain(device)

        for _ in range(200):
            rows = await site.exporter.recorder.read(
                lambda r: r.rows("SELECT text FROM incident_entry WHERE kind = 'reason'")
            )
            if rows:
                break
            await asyncio.sleep(0.05)

        shown = await site.exporter.recorder.read(lambda r: r.device("a:cs-1"))
        [row] = await site.exporter.recorder.read(
            lambda r: availability(r.histories(), blind=[], start=0, end=time.time(), by="device")
        )

    assert rows == [("logged_out",)]
    assert list(shown.reasons.values()) == ["logged_out"]
    assert row.reasons == {"logged_out": 1}
    assert told["reason"] == "logged_out"
    assert word in told["remedy"]
    assert "scan the QR code again" in told["action"]
    assert "pindai ulang kode QR" in told["action_id"]
    assert told["rescan_url"] == "https://gw.example/cs-1"


def test_every_reason_has_a_remedy_in_both_languages():
    texts = read_texts("exporter.sessions")

    assert texts["id"].keys() == texts["en"].keys() == set(REASONS) - {UNKNOWN}


async def test_no_secret_of_a_body_or_a_path_reaches_a_disk_a_log_or_a_metric(
    tmp_path, capfd, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(public, "REPLAYED", math.inf)  # the samples are of some day
    files = sorted((ROOT / "tests" / "gateways").glob("*/*.json"))
    gateways = {file.parent.name: {"preset": file.parent.name, "secret": SECRET} for file in files}
    async with running(tmp_path, **gateways) as site:
        known = load(site.file, {}, {}).gateways
        for file in files:
            one = known[file.parent.name]
            assert one.reading is not None
            assert one.auth is not None
            body = json.loads(file.read_text())["body"]
            for sent in (body, body | {"instance": "", "device": "", "sessionId": "", "session": ""}):
                proof = proven(one.auth, one.reading.proof, SECRET, json.dumps(sent).encode(), time.time())
                status, _ = await site.post(f"{file.parent.name}{proof[0]}", sent, **proof[1])
                assert status == 200, file
        broken = {"event": "connection.update", "instance": "a\nb", "data": {"state": "open"}, "apikey": "CANARY"}
        answer = await site.post("evolution", broken, Authorization=SECRET)
        assert answer == (200, '{"quarantined":"invalid_id"}')
        assert (await site.post(f"fonnte/{SECRET.lower()}", {}))[0] == 401
        assert (await site.post(f"fonnte/{SECRET}/CANARY", "no object"))[0] == 200
        url = f"{site.exporter.admin.url}/metrics"
        async with aiohttp.ClientSession() as client, client.get(url) as answer:
            metrics = await answer.read()
    out, err = capfd.readouterr()
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.name.startswith("exporter.db"))
    assert b"evolution:toko-melati-cs1" in kept
    for place in (out.encode(), err.encode(), metrics, kept):
        assert b"CANARY" not in place
        assert SECRET.encode() not in place


def written(tmp_path: Path, **gateways: Any) -> str:
    file = tmp_path / "exporter.yml"
    file.write_text(json.dumps({"gateways": gateways}))
    return f"--config.file={file}"


def test_the_command_line_lists_gateways(tmp_path, capsys):
    gowa = {"preset": "gowa", "state": {"url": "http://gowa:3000", "every": "30s"}}

    assert main(["gateway", "list", written(tmp_path, evo=EVOLUTION, fon=FONNTE, gowa=gowa)]) == 0

    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1] == ["evo", "evolution", "/webhook/evo", "header", "1m"]
    assert lines[2] == ["fon", "fonnte", "/webhook/fon/<secret>", "path", "1m"]
    assert lines[3] == ["gowa", "gowa", "1m", "30s"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"event": "session.status", "session": "cs", "payload": {"status": "FAILED"}}, "disconnected at once"),
        (
            {"event": "session.status", "session": "cs", "payload": {"status": "STARTING"}},
            "disconnected if it lasts 1m",
        ),
        ({"event": "session.status", "session": "cs", "payload": {"status": "DANCING"}}, "counted as ignored"),
    ],
)
def test_the_command_line_says_what_a_body_would_do(tmp_path, capsys, body, expected):
    sample = tmp_path / "body.json"
    sample.write_text(json.dumps(body | {"apikey": "CANARY"}))

    assert main(["gateway", "try", "w", str(sample), written(tmp_path, w=WAHA)]) == 0

    out = capsys.readouterr().out
    assert expected in out
    assert "CANARY" not in out


def test_the_command_line_says_why_a_body_would_be_quarantined(tmp_path, capsys):
    sample = tmp_path / "body.json"
    sample.write_text(json.dumps({"event": "session.status", "payload": {"status": "FAILED"}}))

    assert main(["gateway", "try", "w", str(sample), written(tmp_path, w=WAHA)]) == 1

    assert "quarantined as missing_field: session: /session" in capsys.readouterr().err


async def test_reasons_are_dropped_with_the_events_that_retention_drops(tmp_path):
    async with running(tmp_path, a=WAHA) as site:
        for hours, status in ((50, "WORKING"), (49, "FAILED"), (48, "WORKING"), (1, "SCAN_QR_CODE")):
            at = round((time.time() - hours * 3600) * 1000)
            assert (await site.post("a", waha(status) | {"timestamp": at}, Authorization=SECRET))[0] == 200
            await site.exporter.features.sessions.service.reasons.save()
        kept = "SELECT reason FROM outage_reason ORDER BY start"
        assert await site.exporter.recorder.read(lambda r: r.rows(kept)) == [("logged_out",), ("needs_scan",)]
        storage = json.loads(site.file.read_text())["storage"] | {"retention": "24h"}
        site.file.write_text(json.dumps(json.loads(site.file.read_text()) | {"storage": storage}))
        await site.exporter.reload()

        [prune] = [task.run for task in site.exporter.features.sessions.tasks() if task.name == "session_retention"]
        await prune()

        assert await site.exporter.recorder.read(lambda r: r.rows(kept)) == [("needs_scan",)]
