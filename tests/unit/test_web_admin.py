"""The admin listener: metrics, health, reload, the API, and its OpenAPI document."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import re
from typing import Any
from urllib.parse import quote

import aiohttp
import jsonschema
import msgspec
import pytest
from aiohttp import web
from openapi_spec_validator import validate
from yarl import URL

from exporter.domain.timeline import Outage
from exporter.errors import ConfigError, JournalUnavailable
from exporter.report.availability import Row
from exporter.web.api_types import Availability
from exporter.web.operations import Operation
from tests.patience import patient
from tests.unit.web_site import NOW, FakeRecorder, Site, WebNames, exchange, running

T = int(NOW)


async def call(site: Site, path: str, method: str = "GET", **options: Any) -> tuple[int, Any, Any]:
    """Return status, decoded body and headers; the path is sent as it is written."""
    url = URL(f"http://{site.admin}{path}", encoded=True)
    async with aiohttp.ClientSession() as session, session.request(method, url, **options) as answer:
        body = await answer.read()
        is_json = answer.content_type == "application/json"
        return answer.status, json.loads(body) if is_json else body.decode(), answer.headers


def fill(recorder: FakeRecorder) -> None:
    recorder.put("a", (T - 1000, True), (T - 600, False), (T - 500, True), (T - 100, False))
    recorder.put("b", (T - 1000, True), engine="telegram", business="biz_1")
    recorder.put("c", (T - 50, False))


# Metrics, health, reload ------------------------------------------------------------------------------------------
async def test_metrics_are_plain_text_for_a_client_that_asks_for_nothing():
    async with running() as site:
        fill(site.recorder)
        status, text, headers = await call(site, "/metrics", headers={"Accept-Encoding": "identity"})

        assert (status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
        values = [line.split()[-1] for line in text.splitlines() if line.startswith("device_up{")]
        assert sorted(values) == ["0.0", "0.0", "1.0"]
        assert "device_exporter_build_info" in text


async def test_metrics_are_compressed_openmetrics_for_prometheus():
    request = (
        b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n"
        b"Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5\r\n\r\n"
    )
    async with running() as site:
        fill(site.recorder)
        answer = await exchange(site.admin, request)

        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
        assert gzip.decompress(answer.body).endswith(b"# EOF\n")


async def test_a_scrape_is_measured():
    async with running() as site:
        await call(site, "/metrics")

        assert site.registry.get_sample_value("device_exporter_scrape_duration_seconds_count") == 1


async def test_metrics_are_refused_until_the_whole_fleet_is_known():
    async with running() as site:
        site.recorder.ready = False
        status, body, headers = await call(site, "/metrics")
        assert (status, body["code"], "Retry-After" in headers) == (503, "not_ready", True)
        site.recorder.ready = True
        assert (await call(site, "/metrics"))[0] == 200


async def test_health_and_readiness_are_told_apart():
    async with running() as site:
        site.recorder.ready = False
        assert (await call(site, "/-/healthy"))[:2] == (200, "OK")
        assert (await call(site, "/-/ready"))[0] == 503
        site.recorder.ready, site.recorder.healthy = True, False
        status, body, _ = await call(site, "/-/healthy")
        assert (status, body["code"]) == (503, "unhealthy")
        assert (await call(site, "/-/ready"))[:2] == (200, "OK")


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_reload_is_done_before_it_is_answered(method):
    done: list[str] = []

    async def reload() -> None:
        done.append("reloaded")

    async with running(admin={"reload": reload}) as site:
        assert (await call(site, "/-/reload", method))[:2] == (200, "OK")
        assert done == ["reloaded"]
        assert (await call(site, "/-/reload"))[0] == 405


async def test_a_reload_of_a_bad_file_tells_what_is_wrong():
    async def reload() -> None:
        raise ConfigError("exporter.yml: policies.wa.severity: must be one of warning, critical")

    async with running(admin={"reload": reload}) as site:
        status, body, _ = await call(site, "/-/reload", "POST")

        assert (status, body["code"]) == (500, "config")
        assert "policies.wa.severity" in body["error"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({}, 200, id="a program"),
        pytest.param({"Origin": "http://{host}"}, 200, id="our own page"),
        pytest.param({"Origin": "https://ops.example"}, 200, id="our page behind a proxy"),
        pytest.param({"Sec-Fetch-Site": "same-origin"}, 200, id="our own page, without an origin"),
        pytest.param({"Sec-Fetch-Site": "none"}, 200, id="typed by the user"),
        pytest.param({"Origin": "http://evil.example"}, 403, id="another site"),
        pytest.param({"Origin": "null"}, 403, id="a sandboxed page"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, 403, id="another site, without an origin"),
        pytest.param({"Sec-Fetch-Site": "same-site"}, 403, id="a sister site"),
    ],
)
async def test_other_web_sites_may_not_change_anything(headers, status):
    async with running(admin={"settings": lambda: WebNames(external_url="https://ops.example/exporter/")}) as site:
        headers = {name: value.format(host=site.admin) for name, value in headers.items()}

        assert (await call(site, "/-/reload", "POST", headers=headers))[0] == status
        assert (await call(site, "/api/v1/devices", headers=headers))[0] == 200


NAMES = WebNames("monitor.example:9877", "https://ops.example/exporter/", ("exporter.monitoring.svc", ".internal"))


@pytest.mark.parametrize(
    ("host", "status"),
    [
        pytest.param("127.0.0.1:9877", 200, id="an address"),
        pytest.param("[::1]:9877", 200, id="an IPv6 address"),
        pytest.param("localhost", 200, id="this machine"),
        pytest.param("a.localhost:80", 200, id="below localhost"),
        pytest.param("exporter-admin:9877", 200, id="a service of Compose"),
        pytest.param("monitor.example:9877", 200, id="where it listens"),
        pytest.param("OPS.example", 200, id="where a proxy shows it"),
        pytest.param("exporter.monitoring.svc.:9877", 200, id="a name that is allowed"),
        pytest.param("eu.exporter.internal", 200, id="below a name that is allowed"),
        pytest.param("evil.example:9877", 403, id="a foreign name"),
        pytest.param("evil-ops.example", 403, id="a name that ends like ours"),
        pytest.param("ops.example.evil.example", 403, id="a name that begins like ours"),
        pytest.param("127.0.0.1.evil.example", 403, id="a name that begins like an address"),
        pytest.param("127.0.0.1:80:80", 403, id="no name at all"),
    ],
)
@pytest.mark.parametrize("path", ["/metrics", "/nowhere"])
async def test_only_our_own_names_are_answered(path, host, status):
    async with running(admin={"settings": lambda: NAMES}) as site:
        answer = await exchange(site.admin, f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())

        assert answer.status == (404 if (path, status) == ("/nowhere", 200) else status)
        assert status == 200 or answer.code == "host_not_allowed"


async def test_a_program_need_not_say_whom_it_asks():
    async with running() as site:
        assert (await exchange(site.admin, b"GET /-/ready HTTP/1.0\r\n\r\n")).status == 200


# Devices ----------------------------------------------------------------------------------------------------------
async def test_a_device_is_shown_as_it_is_now():
    async with running() as site:
        fill(site.recorder)

        status, body, _ = await call(site, "/api/v1/devices/a")

        assert (status, body) == (
            200,
            {
                "device_id": "a",
                "device_name": "name of a",
                "engine": "wa",
                "gateway": "csku",
                "channel_id": "channel_wa",
                "channel_name": "",
                "business_id": "biz_9",
                "business_name": "",
                "state": "down",
                "reason": "unknown",
                "since": T - 100,
                "first_seen": T - 1000,
                "disconnects": 2,
                "downtime_seconds": 200.0,
            },
        )


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", ["a", "b", "c"]),
        ("?state=up", ["b"]),
        ("?state=down", ["a", "c"]),
        ("?engine=wa", ["a", "c"]),
        ("?business_id=biz_1", ["b"]),
        ("?channel_id=channel_telegram", ["b"]),
        ("?engine=wa&state=up", []),
        ("?engine=", []),
    ],
)
async def test_devices_are_filtered(query, ids):
    async with running() as site:
        fill(site.recorder)

        _, body, _ = await call(site, f"/api/v1/devices{query}")

        assert [device["device_id"] for device in body["devices"]] == ids
        assert body["next"] is None


async def test_pages_follow_each_other_without_gap_or_repetition_while_devices_come_and_go():
    async with running() as site:
        wanted = [f"device {number:03} é/{number}" for number in range(25)]
        for device_id in reversed(wanted):
            site.recorder.put(device_id, (T - 10, True))
        seen: list[str] = []
        cursor = ""
        for _ in range(5):
            _, body, _ = await call(site, f"/api/v1/devices?limit=5{cursor}")
            seen += [device["device_id"] for device in body["devices"]]
            await site.recorder.forget(seen[-1])
            cursor = f"&cursor={body['next']}"

        assert seen == wanted
        assert body["next"] is None


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/api/v1/devices?limit=0", "limit"),
        ("/api/v1/devices?limit=1001", "limit"),
        ("/api/v1/devices?limit=ten", "limit"),
        ("/api/v1/devices?limit=1e2", "limit"),
        ("/api/v1/devices?state=broken", "state must be one of up, down"),
        ("/api/v1/devices?cursor=%21%21", "cursor"),
        ("/api/v1/devices?cursor=_w", "cursor"),
        ("/api/v1/devices?busines_id=x", "unknown parameter 'busines_id'"),
        ("/api/v1/devices?state=up&state=down", "more than once"),
        ("/api/v1/devices/a/outages?start=yesterday", "start must be a time"),
        ("/api/v1/devices/a/outages?start=nan", "start must be a time"),
        ("/api/v1/devices/a/outages?start=2025-01-28T09:20:00", "start must be a time"),
        ("/api/v1/devices/a/outages?start=5&end=5", "start must be before end"),
        ("/api/v1/availability?by=colour", "by must be one of"),
        (f"/api/v1/availability?start={T + 5}", "start must be before end"),
        ("/api/v1/availability?end=-1", "end must be a time"),
    ],
)
async def test_a_bad_parameter_is_refused_with_its_name(path, named):
    async with running() as site:
        fill(site.recorder)

        status, body, _ = await call(site, path)

        assert (status, body["code"]) == (400, "bad_parameter")
        assert named in body["error"]


ODD_IDS = ["a/b", "..", ".", "a b", "100%", "%2F", "{x}", "a?b#c", 'q"\\', "é📱", "a+b", "outages", "x" * 256]


@pytest.mark.parametrize("device_id", ODD_IDS)
async def test_a_device_is_found_by_any_id(device_id):
    async with running() as site:
        site.recorder.put(device_id, (T - 10, False))
        site.recorder.known_outages[device_id] = [Outage(T - 10, None)]
        path = f"/api/v1/devices/{quote(device_id, safe='').replace('.', '%2E')}"

        assert (await call(site, path))[1]["device_id"] == device_id
        assert (await call(site, f"{path}/outages"))[1]["device_id"] == device_id
        assert (await call(site, path, "DELETE"))[0] == 204
        assert (await call(site, path, "DELETE"))[0] == 404
        assert (await call(site, path))[0] == 404


OUTAGES = [Outage(100, 200), Outage(300, 300), Outage(400, 500), Outage(T - 60, None)]


@pytest.mark.parametrize(
    ("query", "starts"),
    [
        ("", [100, 300, 400, T - 60]),
        ("?start=200", [300, 400, T - 60]),
        ("?start=199", [100, 300, 400, T - 60]),
        ("?end=400", [100, 300]),
        ("?end=401", [100, 300, 400]),
        ("?start=300&end=301", [300]),
        ("?start=301&end=400", []),
        ("?start=1970-01-01T00:06:40Z&end=1970-01-01T07:08:00%2B07:00", [400]),
    ],
)
async def test_outages_that_overlap_the_window_are_listed_at_their_full_length(query, starts):
    async with running() as site:
        site.recorder.known_outages["a"] = OUTAGES

        _, body, _ = await call(site, f"/api/v1/devices/a/outages{query}")

        assert [outage["start"] for outage in body["outages"]] == starts


async def test_a_running_outage_lasts_until_now():
    async with running() as site:
        site.recorder.known_outages["a"] = OUTAGES
        site.recorder.known_reasons[T - 60] = "banned"

        _, body, _ = await call(site, "/api/v1/devices/a/outages")

        assert body["outages"][-1] == {"start": T - 60, "end": None, "duration_seconds": 60.0, "reason": "banned"}
        assert body["outages"][1] == {"start": 300, "end": 300, "duration_seconds": 0.0, "reason": "unknown"}


async def test_what_the_journal_cannot_do_now_is_a_503():
    async with running() as site:
        fill(site.recorder)
        site.recorder.failure = JournalUnavailable("disk full")

        status, body, headers = await call(site, "/api/v1/devices/a", "DELETE")

        assert (status, body["code"], headers["Retry-After"]) == (503, "journal_unavailable", "30")


# Availability -----------------------------------------------------------------------------------------------------
ROW = Row("wa", "wa", 2, "wa", None, 0.99, 10.0, 1000.0, 5.0, 0.0, 2, 8.0, None, 495.0, 0.995, -1.0, -5.0)


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("", ("engine", NOW - 30 * 86400, NOW)),
        ("?by=device&start=1000&end=2000.5", ("device", 1000.0, 2000.5)),
        (f"?end={T + 1000}", ("engine", NOW - 30 * 86400, NOW)),
        ("?end=86400", ("engine", 0.0, 86400.0)),
    ],
    ids=["the last 30 days", "a given window", "a window into the future ends now", "never before 1970"],
)
async def test_availability_is_computed_for_the_window_that_is_asked_for(query, asked):
    seen: list[tuple[str, float, float]] = []

    async def account(by: str, start: float, end: float) -> bytes:
        seen.append((by, start, end))
        return msgspec.json.encode(Availability(start, end, by, [ROW]))

    async with running(admin={"account": account}) as site:
        status, body, _ = await call(site, f"/api/v1/availability{query}")

        assert (status, seen) == (200, [asked])
        assert (body["by"], body["start"], body["end"]) == asked
        assert body["rows"][0]["key"] == "wa"
        assert body["rows"][0]["mttr_seconds"] is None


async def test_availability_is_not_computed_for_a_client_that_went_away(caplog):
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def account(_by: str, _start: float, _end: float) -> bytes:
        begun.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return b""

    caplog.set_level(logging.DEBUG, "exporter.web.protocol")
    async with running(admin={"account": account}) as site:
        _, writer = await asyncio.open_connection(*str(site.admin).split(":"))
        writer.write(b"GET /api/v1/availability HTTP/1.1\r\nHost: x\r\n\r\n")
        await begun.wait()
        writer.close()
        async with asyncio.timeout(patient(20)):
            await cancelled.wait()
    assert [record.message for record in caplog.records] == ["the client went away"]


# OpenAPI ----------------------------------------------------------------------------------------------------------
async def document_of(site: Site) -> dict[str, Any]:
    _, document, _ = await call(site, "/api/v1/openapi.json")
    assert isinstance(document, dict)
    return document


async def test_the_document_is_valid_openapi():
    async with running() as site:
        validate(await document_of(site))


async def test_every_route_is_in_the_document_and_the_reverse():
    async with running() as site:
        document = await document_of(site)
        described = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
        for method, path in described:
            # An OPTIONS request names the methods that a path has.
            _, _, headers = await call(site, path.replace("{device_id}", "x"), "OPTIONS")
            assert method in headers["Allow"].split(",")
            has = {name for name in headers["Allow"].split(",") if name != "HEAD"}
            assert has == {other for other, where in described if where == path}


async def test_a_feature_adds_routes_with_their_description():
    async def handle(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    more = [Operation("GET", "/api/v1/greetings/{name}", handle, "Say hello", {200: "text/plain"})]
    async with running(admin={"operations": more, "routes": [web.get("/page", handle)]}) as site:
        document = await document_of(site)

        validate(document)
        assert "/api/v1/greetings/{name}" in document["paths"]
        assert (await call(site, "/api/v1/greetings/a%2Fb"))[1] == "hello"
        assert (await call(site, "/page"))[1] == "hello"


EXAMPLES = [
    ("GET", "/api/v1/devices", "/api/v1/devices?limit=2", 200),
    ("GET", "/api/v1/devices", "/api/v1/devices?limit=none", 400),
    ("GET", "/api/v1/devices/{device_id}", "/api/v1/devices/a", 200),
    ("GET", "/api/v1/devices/{device_id}", "/api/v1/devices/nobody", 404),
    ("GET", "/api/v1/devices/{device_id}/outages", "/api/v1/devices/a/outages", 200),
    ("GET", "/api/v1/devices/{device_id}/outages", "/api/v1/devices/nobody/outages", 404),
    ("GET", "/api/v1/availability", "/api/v1/availability", 200),
    ("GET", "/api/v1/availability", "/api/v1/availability?by=x", 400),
    ("GET", "/api/v1/openapi.json", "/api/v1/openapi.json", 200),
    ("DELETE", "/api/v1/devices/{device_id}", "/api/v1/devices/nobody", 404),
]


@pytest.mark.parametrize(("method", "template", "path", "status"), EXAMPLES)
async def test_answers_are_as_the_document_says(method, template, path, status):
    async def account(by: str, start: float, end: float) -> bytes:
        return msgspec.json.encode(Availability(start, end, by, [ROW]))

    async with running(admin={"account": account}) as site:
        fill(site.recorder)
        site.recorder.known_outages["a"] = OUTAGES
        document = await document_of(site)

        answered, body, _ = await call(site, path, method)

        assert answered == status
        schema = document["paths"][template][method.lower()]["responses"][str(status)]["content"]["application/json"]
        jsonschema.validate(body, {**schema["schema"], "components": document["components"]})


ODD_VALUES = [
    *(
        "",
        " ",
        "0",
        "-0",
        "-1",
        "+1",
        "1",
        "5.5",
        "1e9",
        "1_000",
        " 5",
        "nan",
        "inf",
        "1" * 11,
        "1" * 13,
        "1001",
        "\uff10",
    ),
    *("2025-01-28T09:20:00Z", "2025-01-28t09:20:00.5z", "2025-01-28 09:20+07:00", "2025-01-28T09:20:00", "2025-01-28"),
    *("20250128T092000Z", "2025-W05-2", "2025-13-01T00:00:00Z", "yesterday", "wa", "up", "down", "device", "!!", "a=b"),
    *("YQ", "a b", "csv", "id"),
]

BEYOND_SCHEMAS = re.compile("before end|that a page gave")
"""Refusals that no schema of one parameter can express."""


def accepts(schema: dict[str, Any], text: str) -> bool:
    """Return whether a schema takes a text from a query; a number is written as such."""
    value = int(text) if schema["type"] == "integer" and re.fullmatch(r"-?[0-9]+", text) else text
    return jsonschema.Draft202012Validator(schema).is_valid(value)


async def test_the_document_takes_no_value_of_a_parameter_that_the_handler_refuses():
    looser = []
    async with running() as site:
        fill(site.recorder)
        site.recorder.known_outages["a"] = OUTAGES
        for path, item in (await document_of(site))["paths"].items():
            for parameter in (item.get("get") or {}).get("parameters", ()):
                for text in ODD_VALUES if parameter["in"] == "query" else ():
                    query = f"{parameter['name']}={quote(text)}"
                    status, body, _ = await call(site, f"{path.replace('{device_id}', 'a')}?{query}")
                    told = body["error"] if status == 400 else ""
                    if told and not BEYOND_SCHEMAS.search(told) and accepts(parameter["schema"], text):
                        looser.append(query)

    assert looser == []


async def test_unknown_paths_and_methods_have_the_error_shape():
    async with running() as site:
        assert (await call(site, "/api/v1/nothing"))[:2] == (404, {"error": "no such page", "code": "not_found"})
        status, body, headers = await call(site, "/metrics", "DELETE")
        assert (status, body["code"], headers["Allow"]) == (405, "method_not_allowed", "GET,HEAD")
        assert (await call(site, "/webhook", "POST"))[0] == 404
