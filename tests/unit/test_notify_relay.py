"""The relay from Alertmanager's POST to a real HTTP gateway that Apprise sends to."""

import asyncio
import json
import logging
import logging.config
import sqlite3
import threading
from contextlib import asynccontextmanager
from io import BytesIO
from urllib.parse import parse_qs

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry, generate_latest

from exporter.config.schema import Alerts, Notify, Target
from exporter.errors import JournalUnavailable
from exporter.journal.sqlite.schema import migrate
from exporter.journal.sqlite.transaction import SqliteTransaction
from exporter.notify.deliveries import PIECE, JournalDeliveries, MemoryDeliveries
from exporter.notify.http import operations
from exporter.notify.relay import Relay
from exporter.notify.sending import Result, ThreadedSender, load_apprise
from exporter.web.openapi import document
from tests.patience import eventually, patient

TOKEN = "relay-token-47"
URL_SECRET = "gatewaysecret93"
NOW = 1738056600.0
TEXT = "MATI: Kasir (Toko Makmur), WhatsApp, sejak 16.20 WIB."


class Gateway:
    """An HTTP SMS gateway on the loopback that Apprise's json:// and form:// send to."""

    def __init__(self):
        self.requests = []
        self.statuses = {}
        self.gate = None
        """An event that answers wait for, or None."""

    @property
    def texts(self):
        return [text for _, text in self.requests]

    def texts_at(self, path):
        return [text for where, text in self.requests if where == path]

    async def handle(self, request):
        body = await request.text()
        if request.content_type == "application/json":
            text = msgspec.json.decode(body)["message"]
        else:
            text = parse_qs(body)["message"][0]
        self.requests.append((request.path, text))
        if self.gate is not None:
            await self.gate.wait()
        return web.Response(status=self.statuses.get(request.path, 200))


@pytest.fixture
async def gateway():
    sink = Gateway()
    app = web.Application()
    app.router.add_post("/{tail:.*}", sink.handle)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    sink.port = server.port
    yield sink
    if sink.gate is not None:
        sink.gate.set()
    await server.close()


class Bench:
    """One relay behind a test client; its clock stands at `now`."""

    def __init__(self, tmp_path, port):
        self.folder = tmp_path
        self.port = port
        self.now = NOW
        self.registry = CollectorRegistry()
        self.deliveries = MemoryDeliveries()
        self.sender = None

    def url(self, scheme, path):
        return f"{scheme}://u:{URL_SECRET}@127.0.0.1:{self.port}{path}?+X-Key={URL_SECRET}"

    def write_urls(self, *urls, target="sms"):
        (self.folder / target).write_text("\n".join(("# the gateway", "", *urls)) + "\n")

    def notify(self, **changes):
        token_file = self.folder / "token"
        if not token_file.exists():
            token_file.write_text(TOKEN + "\n")
        targets = {name: Target(urls_file=str(self.folder / name)) for name in ("sms", "other")}
        return Notify(**({"token_file": str(token_file), "targets": targets, "timeout": patient(10)} | changes))

    @asynccontextmanager
    async def running(self, **changes):
        self.relay = Relay(
            self.notify(**changes),
            Alerts(),
            sender=self.sender or ThreadedSender(),
            deliveries=self.deliveries,
            registry=self.registry,
            clock=lambda: self.now,
        )
        app = web.Application()
        app.add_routes(operation.route() for operation in operations(self.relay))
        async with TestClient(TestServer(app, host="127.0.0.1")) as client:
            self.client = client
            yield self
            await self.relay.close(1.0)

    async def post(self, body=None, *, target="sms", token=TOKEN, **kwargs):
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"} if token else {}
        data = BytesIO(msgspec.json.encode(body if body is not None else webhook()))
        async with self.client.post(f"/api/v1/notify/{target}", data=data, headers=headers, **kwargs) as answer:
            return answer.status, await answer.json()

    def count(self, result, target="sms"):
        return self.registry.get_sample_value(
            "device_exporter_notify_total", {"target": target, "result": result.value}
        )


@pytest.fixture
def bench(tmp_path, gateway):
    made = Bench(tmp_path, gateway.port)
    made.write_urls(made.url("json", "/a"))
    return made


def webhook(*, status="firing", start="2025-01-28T09:20:00Z", name="Kasir", group="g", **alert):
    labels = {"alertname": "DeviceDown", "device_id": "d1", "device_name": name, "engine": "wa"}
    ends_at = "2025-01-28T09:25:12.123456789Z" if status == "resolved" else "0001-01-01T00:00:00Z"
    entry = {
        "status": status,
        "labels": labels | {"business_name": "Toko Makmur"},
        "annotations": {},
        "startsAt": start,
        "endsAt": ends_at,
        "generatorURL": "",
        "fingerprint": "f1",
    }
    return {
        "version": "4",
        "groupKey": group,
        "truncatedAlerts": 0,
        "status": status,
        "receiver": "sms",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093",
        "alerts": [entry | alert],
    }


# Sending ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["json", "form"])
async def test_a_notification_reaches_the_gateway_as_one_text(bench, gateway, scheme):
    bench.write_urls(bench.url(scheme, "/a"))
    async with bench.running():
        assert await bench.post() == (200, {"results": {"sent": 1}})
        assert gateway.requests == [("/a", TEXT)]
        assert bench.count(Result.SENT) == 1
        assert bench.registry.get_sample_value("device_exporter_notify_duration_seconds_count", {"target": "sms"}) == 1


async def test_every_url_of_the_target_gets_the_text(bench, gateway):
    bench.write_urls(bench.url("json", "/a"), bench.url("form", "/b"), bench.url("json", "/a"))
    async with bench.running():
        assert await bench.post() == (200, {"results": {"sent": 2}})
    assert sorted(gateway.requests) == [("/a", TEXT), ("/b", TEXT)]


async def test_beyond_its_texts_of_an_hour_a_target_is_told_once_that_the_next_ones_are_held(bench, gateway):
    targets = {"sms": Target(urls_file=str(bench.folder / "sms"), per_hour=2)}
    async with bench.running(targets=targets):
        answers = [await bench.post(webhook(group=str(number))) for number in range(5)]
        assert answers[-1] == (200, {"results": {"held": 1}})  # Alertmanager need not try again
        assert gateway.texts[:2] == [TEXT, TEXT]
        assert gateway.texts[2].startswith("BATAS SMS: sudah 2 dalam satu jam. Berikutnya ditahan sampai 17.30 WIB.")
        assert len(gateway.texts[2]) <= 160
        assert len(gateway.texts) == 3
        assert bench.count(Result.HELD) == 2
        assert await bench.post(webhook(group="0")) == (200, {"results": {"duplicate": 1}})
        bench.now += 3600
        assert (await bench.post(webhook(group="9")))[1] == {"results": {"sent": 1}}


async def test_a_resolved_notification_says_how_long_it_lasted(bench, gateway):
    async with bench.running():
        await bench.post(webhook(status="resolved"))
    assert gateway.texts == ["PULIH: Kasir (Toko Makmur), WhatsApp. Mati selama 5 mnt 12 dtk (16.20-16.25 WIB)."]


async def test_a_targets_language_wins_over_the_setting(bench, gateway):
    targets = {"sms": Target(urls_file=str(bench.folder / "sms"), language="en")}
    async with bench.running(targets=targets):
        await bench.post()
    assert gateway.texts == ["DOWN: Kasir (Toko Makmur), WhatsApp, since 16:20 WIB."]


async def test_urls_without_a_file_come_from_the_configuration(bench, gateway):
    async with bench.running(targets={"sms": Target(urls=(bench.url("json", "/b"),))}):
        await bench.post()
    assert gateway.requests == [("/b", TEXT)]


async def test_rotated_urls_count_at_the_next_send(bench, gateway):
    async with bench.running():
        await bench.post()
        bench.write_urls(bench.url("json", "/new"))
        await bench.post(webhook(start="2025-01-28T09:21:00Z"))
    assert [path for path, _ in gateway.requests] == ["/a", "/new"]


@pytest.mark.parametrize(
    "name",
    ["<b>&amp; :smile: \\n", "' OR 1=1 --", "${X} {{ x }} %0a", "a" * 5000, "\u202eevil", "東方🌸酒店"],
    ids=["markup", "quotes", "templates", "endless", "direction", "wide"],
)
async def test_a_hostile_name_arrives_as_plain_text(bench, gateway, name):
    bench.write_urls(bench.url("json", "/a"), bench.url("form", "/b"))
    async with bench.running():
        status, _ = await bench.post(webhook(name=name))
    first, second = gateway.texts
    assert status == 200
    assert first == second
    assert first.startswith("MATI: ")
    assert "\n" not in first
    assert "\u202e" not in first


# Failure, retry, duplicates ----------------------------------------------------------------------------------------


async def test_a_refused_text_answers_502_and_is_sent_at_the_retry(bench, gateway):
    gateway.statuses["/a"] = 500
    async with bench.running():
        assert await bench.post() == (
            502,
            {"error": "not every URL has the text: 1 failed", "code": "send_failed"},
        )
        gateway.statuses.clear()
        assert await bench.post() == (200, {"results": {"sent": 1}})
        assert [bench.count(Result.FAILED), bench.count(Result.SENT)] == [1, 1]


async def test_after_a_partial_failure_only_the_failed_url_is_tried_again(bench, gateway):
    bench.write_urls(bench.url("json", "/a"), bench.url("json", "/b"))
    gateway.statuses["/b"] = 503
    async with bench.running():
        assert (await bench.post())[0] == 502
        gateway.statuses.clear()
        assert await bench.post() == (200, {"results": {"sent": 1, "duplicate": 1}})
    assert [len(gateway.texts_at("/a")), len(gateway.texts_at("/b"))] == [1, 2]


async def test_a_gateway_that_is_away_answers_502(bench):
    bench.write_urls("json://127.0.0.1:1/a")
    async with bench.running():
        assert (await bench.post())[0] == 502


async def test_a_repeated_delivery_is_not_sent_twice(bench, gateway):
    async with bench.running():
        await bench.post()
        assert await bench.post() == (200, {"results": {"duplicate": 1}})
        assert bench.count(Result.DUPLICATE) == 1
    assert len(gateway.texts) == 1


@pytest.mark.parametrize(("later", "texts"), [(600.0, 2), (599.9, 1)], ids=["at its end", "before its end"])
async def test_a_reminder_after_the_window_is_sent_again(bench, gateway, later, texts):
    async with bench.running():
        await bench.post()
        bench.now += later
        await bench.post()
    assert len(gateway.texts) == texts


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(webhook(status="resolved"), id="another status"),
        pytest.param(webhook(group="h"), id="another group"),
        pytest.param(webhook(start="2025-01-28T09:20:01Z"), id="another outage of the same device"),
        pytest.param(webhook(fingerprint="f2"), id="another alert"),
        pytest.param(webhook() | {"truncatedAlerts": 1}, id="more alerts"),
        pytest.param(webhook() | {"status": "resolved"}, id="another status of the group alone"),
    ],
)
async def test_a_different_notification_is_sent(bench, gateway, other):
    async with bench.running():
        await bench.post()
        await bench.post(other)
    assert len(gateway.texts) == 2


async def test_the_moving_end_of_a_firing_alert_makes_no_difference(bench, gateway):
    async with bench.running():
        await bench.post(webhook(endsAt="2025-01-28T09:30:00Z"))
        await bench.post(webhook(endsAt="2025-01-28T09:31:00Z"))
    assert len(gateway.texts) == 1


async def test_each_target_has_its_own_memory(bench, gateway):
    bench.write_urls(bench.url("json", "/a"), target="other")
    async with bench.running():
        await bench.post()
        assert (await bench.post(target="other"))[0] == 200
    assert len(gateway.texts) == 2


async def test_two_alertmanagers_at_once_cause_one_text(bench, gateway):
    gateway.gate = asyncio.Event()
    async with bench.running():
        first, second = asyncio.create_task(bench.post()), asyncio.create_task(bench.post())
        await eventually(lambda: gateway.texts)
        gateway.gate.set()
        assert [(await first)[0], (await second)[0]] == [200, 200]
    assert len(gateway.texts) == 1


async def test_a_text_that_outlasts_the_timeout_is_joined_and_not_sent_again(bench, gateway):
    gateway.gate = asyncio.Event()
    async with bench.running(timeout=0.2):
        assert (await bench.post())[0] == 502
        assert bench.count(Result.TIMEOUT) == 1
        retry = asyncio.create_task(bench.post())
        await asyncio.sleep(0.05)
        gateway.gate.set()
        assert (await retry)[0] == 200
        assert await bench.post() == (200, {"results": {"duplicate": 1}})
    assert len(gateway.texts) == 1


class SlowSender:
    """Blocks in threads until released, and remembers how many were inside at once."""

    def __init__(self):
        self.release = threading.Event()
        self.inside = self.most = 0
        self.sent = []
        self._lock = threading.Lock()

    def __call__(self, url, _, **__):
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.release.wait(10)
        with self._lock:
            self.inside -= 1
            self.sent.append(url)
        return Result.SENT


async def test_no_more_than_the_limit_send_at_once(bench):
    slow = SlowSender()
    bench.sender = ThreadedSender(limit=2, send=slow)
    bench.write_urls(*(bench.url("json", f"/{number}") for number in range(5)))
    async with bench.running():
        post = asyncio.create_task(bench.post())
        await eventually(lambda: slow.inside == 2)
        slow.release.set()
        assert await post == (200, {"results": {"sent": 5}})
    assert slow.most == 2


async def test_a_text_that_found_no_free_slot_in_time_is_not_sent_late(bench):
    slow = SlowSender()
    bench.sender = ThreadedSender(limit=1, send=slow)
    bench.write_urls(bench.url("json", "/1"), bench.url("json", "/2"))
    async with bench.running(timeout=0.2):
        assert (await bench.post())[0] == 502
        await eventually(lambda: len(bench.relay._running) == 1)
        slow.release.set()
        await eventually(lambda: not bench.relay._running)
    assert len(slow.sent) == 1


async def test_a_service_that_raises_counts_as_failed(bench, caplog):
    bench.write_urls("json://127.0.0.1:99999999999/x")
    async with bench.running():
        assert (await bench.post())[0] == 502


async def test_too_many_at_once_answer_503(bench, monkeypatch):
    monkeypatch.setattr("exporter.notify.relay.MOST_RUNNING", 0)
    async with bench.running():
        assert await bench.post() == (
            503,
            {"error": "not every URL has the text: 1 unavailable", "code": "busy"},
        )


class BrokenDeliveries:
    """A durable table whose journal is down."""

    give_up = MemoryDeliveries.give_up

    async def sent_after(self, *_):
        raise JournalUnavailable("disk full")

    async def record(self, *_):
        raise JournalUnavailable("disk full")


async def test_an_alert_is_sent_while_the_memory_of_sends_is_broken(bench, gateway):
    bench.deliveries = BrokenDeliveries()
    async with bench.running():
        assert await bench.post() == (200, {"results": {"sent": 1}})
    assert gateway.texts == [TEXT]


# Refusals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "authorization",
    [None, "", TOKEN, f"Basic {TOKEN}", "Bearer", "Bearer ", f"Bearer {TOKEN}x", "Bearer relay-token-4", "Bearer \xff"],
)
async def test_a_wrong_token_answers_401_before_anything_else(bench, gateway, authorization):
    headers = {"Content-Type": "application/json"}
    if authorization is not None:
        headers["Authorization"] = authorization
    async with bench.running(), bench.client.post("/api/v1/notify/nobody", data=b"{", headers=headers) as answer:
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert (await answer.json())["code"] == "unauthorized"
    assert gateway.requests == []


async def test_a_rotated_token_counts_at_once(bench):
    async with bench.running():
        (bench.folder / "token").write_text("another")
        assert (await bench.post())[0] == 401
        assert (await bench.post(token="another"))[0] == 200


@pytest.mark.parametrize("changes", [{"token_file": None}, {"token_file": "/nonexistent"}], ids=["none", "unreadable"])
async def test_without_a_token_nothing_is_open(bench, changes):
    async with bench.running(**changes):
        assert (await bench.post(token="x"))[0] == 503
        assert (await bench.post(token=""))[0] == 503


async def test_an_unknown_target_answers_404_and_makes_no_series(bench):
    async with bench.running():
        status, body = await bench.post(target="nobody")
    assert (status, body["code"]) == (404, "unknown_target")
    assert b"nobody" not in generate_latest(bench.registry)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        pytest.param({"version": "3"}, "$.version", id="another version"),
        pytest.param({"status": "down"}, "$.status", id="an unknown status"),
        pytest.param({"groupKey": ""}, "$.groupKey", id="no group key"),
        pytest.param({"alerts": []}, "$.alerts", id="no alerts"),
        pytest.param({"alerts": {}}, "$.alerts", id="alerts that are no list"),
        pytest.param({"truncatedAlerts": -1}, "$.truncatedAlerts", id="a negative count"),
        pytest.param(webhook(startsAt="yesterday"), "$.alerts[0].startsAt", id="a time that is none"),
        pytest.param(webhook(startsAt="2025-01-28T09:20:00"), "$.alerts[0].startsAt", id="a time without its zone"),
        pytest.param(webhook(labels={"alertname": 1}), "$.alerts[0].labels[...]", id="a label that is no text"),
        pytest.param(webhook(fingerprint=""), "$.alerts[0].fingerprint", id="no fingerprint"),
    ],
)
async def test_a_body_that_is_not_alertmanagers_answers_400_and_says_where(bench, gateway, change, path):
    async with bench.running():
        status, body = await bench.post(webhook() | change)
    assert (status, body["code"]) == (400, "invalid_notification")
    assert f"`{path}`" in body["error"]
    assert gateway.requests == []


@pytest.mark.parametrize("raw", [b"", b"{", b"null", b"[]", b'{"version": "4"}', b"\xff"])
async def test_what_is_no_such_json_answers_400(bench, raw):
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    async with bench.running(), bench.client.post("/api/v1/notify/sms", data=raw, headers=headers) as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, "invalid_notification")


async def test_fields_that_newer_alertmanagers_add_are_ignored(bench):
    async with bench.running():
        assert (await bench.post(webhook() | {"notificationReason": "x", "routeLabels": {}}))[0] == 200


async def test_a_group_of_thousands_of_alerts_is_taken(bench, gateway):
    body = webhook()
    body["alerts"] = [
        entry | {"fingerprint": str(number), "labels": entry["labels"] | {"device_id": str(number)}}
        for entry in body["alerts"]
        for number in range(5000)
    ]
    async with bench.running():
        assert (await bench.post(body))[0] == 200
    assert gateway.texts[0].startswith("5000 perangkat mati (WhatsApp): Kasir, Kasir, ")


@pytest.mark.parametrize(
    "contents",
    [None, "", "# only a comment\n\n", "\udcff", "json://x\n" * 10_000, "".join(f"json://x/{n}\n" for n in range(51))],
    ids=["no file", "empty", "comments", "not UTF-8", "too large", "too many"],
)
async def test_urls_that_cannot_be_read_answer_503(bench, caplog, contents):
    file = bench.folder / "sms"
    file.unlink()
    if contents is not None:
        file.write_bytes(contents.encode(errors="surrogateescape"))
    async with bench.running():
        status, body = await bench.post()
    assert (status, body["code"]) == (503, "target_unavailable")
    assert bench.count(Result.UNAVAILABLE) == 1
    assert "json://x" not in caplog.text


async def test_a_line_that_is_no_url_answers_502_and_the_others_are_sent(bench, gateway):
    bench.write_urls(f"nosuchservice://{URL_SECRET}", URL_SECRET, bench.url("json", "/a"))
    async with bench.running():
        status, body = await bench.post()
    assert (status, body["error"]) == (502, "not every URL has the text: 1 sent, 2 invalid_url")
    assert gateway.texts == [TEXT]


# Privacy ----------------------------------------------------------------------------------------


async def test_neither_urls_nor_tokens_nor_names_reach_a_log_or_a_metric(bench, gateway, caplog, capfd):
    caplog.set_level(logging.NOTSET)
    bench.write_urls(
        bench.url("json", "/a"),
        bench.url("form", "/broken"),
        f"nosuchservice://{URL_SECRET}/x",
        f"json://127.0.0.1:1/{URL_SECRET}",
        f"twilio://{URL_SECRET}:{URL_SECRET}@1/2",
    )
    gateway.statuses["/broken"] = 500
    async with bench.running():
        for token in (TOKEN, "wrong-" + TOKEN):
            await bench.post(token=token)
        metrics = generate_latest(bench.registry).decode()

    written = "\n".join((caplog.text, *map(str, (vars(record) for record in caplog.records)), *capfd.readouterr()))
    assert "not every URL has the text" in written
    for secret in (URL_SECRET, TOKEN, "127.0.0.1:1/", "Kasir", "Toko Makmur"):
        assert secret not in written
        assert secret not in metrics


def test_the_libraries_loggers_stay_shut_after_logging_was_set_up_again(caplog):
    load_apprise()
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})
    logging.getLogger("apprise").error("json://%s", URL_SECRET)
    logging.getLogger("urllib3.connectionpool").warning("GET /%s", URL_SECRET)

    assert URL_SECRET not in caplog.text


async def test_the_series_of_every_target_exist_from_the_start(bench):
    async with bench.running():
        assert [bench.count(result, "other") for result in Result] == [0] * len(Result)


# What was sent before ----------------------------------------------------------------------------------------


async def test_the_route_is_described_as_an_operation(bench):
    async with bench.running():
        (operation,) = operations(bench.relay)
    described = json.loads(document([operation]))["paths"]["/api/v1/notify/{target}"]["post"]

    refused = {"400", "401", "404", "408", "413", "415", "502", "503"}
    assert set(described["responses"]) == {"200", *refused, "default"}
    assert operation.route().method == "POST"


async def test_the_memory_of_sends_is_bounded_and_forgets_the_oldest():
    memory = MemoryDeliveries(limit=3)
    for number in range(5):
        await memory.record(bytes([number]), 100.0 + number)

    assert [await memory.sent_after(bytes([number]), 0.0) for number in range(5)] == [False, False, True, True, True]


@pytest.fixture
def transact(tmp_path):
    connection = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    migrate(connection, [PIECE])

    async def run(_, job):
        return job(SqliteTransaction(connection))

    yield run
    connection.close()


async def test_a_restart_remembers_what_was_sent(bench, gateway, transact):
    bench.deliveries = JournalDeliveries(transact)
    async with bench.running():
        await bench.post()
    again = Bench(bench.folder, bench.port)
    again.deliveries = JournalDeliveries(transact)
    await again.deliveries.load(NOW - 600)
    async with again.running():
        assert await again.post() == (200, {"results": {"duplicate": 1}})
    assert len(gateway.texts) == 1


async def test_the_durable_table_is_bounded_and_holds_digests_only(bench, gateway, transact, monkeypatch):
    monkeypatch.setattr("exporter.notify.deliveries.MOST_DELIVERIES", 3)
    bench.deliveries = JournalDeliveries(transact)
    async with bench.running():
        for second in range(6):
            bench.now = NOW + second
            await bench.post(webhook(start=f"2025-01-28T09:20:0{second}Z"))

    rows = await transact("", lambda transaction: transaction.rows("SELECT key, sent_at FROM notify_delivery"))
    assert sorted(sent_at - NOW for _, sent_at in rows) == [2, 3, 4, 5]
    assert {len(key) for key, _ in rows} == {16}
    later = JournalDeliveries(transact)
    await later.load(NOW + 4)
    assert len(later) == 2
