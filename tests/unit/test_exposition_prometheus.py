"""A real Prometheus scrapes the concatenated gzip members, in both formats."""

import asyncio
import contextlib
import socket

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry

from exporter.domain.fleet import Fleet
from exporter.domain.identity import Identity
from exporter.domain.timeline import Timeline
from exporter.metrics.exposition import Exposition, negotiate
from tests.patience import eventually
from tests.tools import require

START = 1_738_056_000
DEVICES = 500

PROTOCOLS = ("OpenMetricsText1.0.0", "PrometheusText1.0.0", "PrometheusText0.0.4")


def config(port):
    """Return a configuration with one job a protocol."""
    jobs = "".join(
        f"""
  - job_name: {protocol}
    scrape_protocols: [{protocol}]
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]"""
        for protocol in PROTOCOLS
    )
    return f"global: {{scrape_interval: 200ms}}\nscrape_configs:{jobs}\n"


def fleet():
    made = Fleet()
    for number in range(DEVICES):
        identity = Identity(f"d{number}", 'The "big"\n one', "wa", "c", "", f"b{number % 7}", "Kopi é", "", "")
        timeline = Timeline(START, START, number % 5 > 0, START, 3, 60)
        made.put(identity, START, timeline, received_at=START, exposed_at=0.0)
    return made


@contextlib.asynccontextmanager
async def served(seen):
    """Serve the fleet; `seen` collects what was negotiated."""
    exposition = Exposition(fleet(), CollectorRegistry(), chunk_size=16)

    async def metrics(request):
        chosen = negotiate(request.headers.get("Accept"), request.headers.get("Accept-Encoding"))
        seen.add(chosen)
        parts = await exposition.render(START + 100, openmetrics=chosen.openmetrics, gzip=chosen.gzip)
        headers = {"Content-Type": chosen.content_type} | ({"Content-Encoding": "gzip"} if chosen.gzip else {})
        return web.Response(body=b"".join(parts), headers=headers)

    application = web.Application()
    application.router.add_get("/metrics", metrics)
    async with TestServer(application, host="127.0.0.1") as server:
        yield server.port


@contextlib.asynccontextmanager
async def prometheus(folder, config):
    """Run Prometheus; yields its URL."""
    (folder / "prometheus.yml").write_text(config)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    process = await asyncio.create_subprocess_exec(
        require("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield f"http://{address}"
    finally:
        process.terminate()
        await process.wait()


async def query(session, url, expression):
    """Return the value of an expression of one series, None while there is none."""
    try:
        async with session.get(f"{url}/api/v1/query", params={"query": expression}) as response:
            result = (await response.json())["data"]["result"] if response.status == 200 else []
    except aiohttp.ClientConnectionError:
        return None
    return float(result[0]["value"][1]) if result else None


@pytest.mark.binaries
async def test_prometheus_takes_in_every_series_in_every_protocol(tmp_path):
    seen = set()
    async with (
        served(seen) as port,
        prometheus(tmp_path, config(port)) as url,
        aiohttp.ClientSession() as session,
    ):
        for job in PROTOCOLS:
            devices = f'count(device_up{{job="{job}"}})'
            assert await eventually(lambda what=devices: query(session, url, what), devices, 60) == DEVICES
            for expression, expected in (
                (f'count(device_info{{job="{job}"}})', DEVICES),
                (f'sum(fleet_devices{{job="{job}"}})', DEVICES),
                (f'sum(device_downtime_seconds_total{{job="{job}"}})', DEVICES * 60 + DEVICES / 5 * 100),
                (f'device_info{{job="{job}",device_id="d3",device_name="The \\"big\\"\\n one"}}', 1),
                (f'up{{job="{job}"}}', 1),
            ):
                assert await query(session, url, expression) == expected, expression
    assert seen == {
        (True, True, "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8"),
        (False, True, "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8"),
        (False, True, "text/plain; version=0.0.4; charset=utf-8"),
    }
