"""The relay behind a real Alertmanager: its own webhook body, its own retries."""

import asyncio
from datetime import UTC, datetime

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry

from exporter.config.schema import Alerts, Notify, Target
from exporter.notify.deliveries import MemoryDeliveries
from exporter.notify.http import operations
from exporter.notify.relay import Relay
from exporter.notify.sending import ThreadedSender
from tests.patience import eventually
from tests.ports import free_port
from tests.tools import require

pytestmark = pytest.mark.binaries

CONFIG = """
route: {{receiver: sms, group_by: [device_id], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}
receivers:
  - name: sms
    webhook_configs:
      - url: http://127.0.0.1:{relay}/api/v1/notify/sms
        http_config: {{authorization: {{credentials_file: {folder}/token}}}}
"""


class Stack:
    """A gateway, the relay and Alertmanager, all on the loopback."""

    def __init__(self):
        self.texts = []
        self.refuse = 0
        """How many texts the gateway refuses before it takes one."""

    async def gateway(self, request):
        if self.refuse > 0:
            self.refuse -= 1
            return web.Response(status=503)
        self.texts.append((await request.json())["message"])
        return web.Response()

    async def alert(self, *, ended=False, **labels):
        now = datetime.now(UTC)
        known = {"alertname": "DeviceDown", "device_id": "d1", "device_name": "Kasir", "engine": "wa"}
        entry = {"labels": known | labels, "annotations": {"affected_conversations": "12"}, "startsAt": self.started}
        entry["endsAt"] = now.isoformat() if ended else datetime.fromtimestamp(now.timestamp() + 60, UTC).isoformat()
        url = f"{self.alertmanager}/api/v2/alerts"
        async with ClientSession() as session, session.post(url, json=[entry]) as answer:
            assert answer.status == 200

    async def until_texts(self, number):
        await eventually(lambda: len(self.texts) >= number, f"{number} texts", 20)


async def _ready(address):
    async def answers():
        try:
            async with session.get(f"{address}/-/ready") as answer:
                return answer.status == 200
        except OSError:
            return False

    async with ClientSession() as session:
        await eventually(answers, "Alertmanager is ready", 20)


@pytest.fixture
async def stack(tmp_path):
    program = require("alertmanager")
    made = Stack()
    made.started = datetime.now(UTC).isoformat()
    sink = web.Application()
    sink.router.add_post("/sms", made.gateway)
    async with TestServer(sink, host="127.0.0.1") as gateway:
        (tmp_path / "urls").write_text(f"json://127.0.0.1:{gateway.port}/sms\n")
        (tmp_path / "token").write_text("relay-token\n")
        relay = Relay(
            Notify(token_file=str(tmp_path / "token"), targets={"sms": Target(urls_file=str(tmp_path / "urls"))}),
            Alerts(),
            sender=ThreadedSender(),
            deliveries=MemoryDeliveries(),
            registry=CollectorRegistry(),
            clock=lambda: datetime.now(UTC).timestamp(),
        )
        app = web.Application()
        app.add_routes(operation.route() for operation in operations(relay))
        async with TestServer(app, host="127.0.0.1") as admin:
            (tmp_path / "alertmanager.yml").write_text(CONFIG.format(relay=admin.port, folder=tmp_path))
            port = free_port()
            process = await asyncio.create_subprocess_exec(
                program,
                f"--config.file={tmp_path}/alertmanager.yml",
                f"--storage.path={tmp_path}/data",
                f"--web.listen-address=127.0.0.1:{port}",
                "--cluster.listen-address=",
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            made.alertmanager = f"http://127.0.0.1:{port}"
            try:
                await _ready(made.alertmanager)
                yield made
            finally:
                process.terminate()
                await process.wait()
                await relay.close(1.0)


async def test_alertmanagers_notification_arrives_as_a_text_and_once(stack):
    await stack.alert()
    await stack.until_texts(1)
    await stack.alert()
    await stack.alert(ended=True)
    await stack.until_texts(2)

    down, back = stack.texts
    assert down.startswith("MATI: Kasir, WhatsApp, sejak ")
    assert down.endswith(". 12 percakapan terdampak.")
    assert back.startswith("PULIH: Kasir, WhatsApp. Mati selama ")


async def test_alertmanager_retries_what_the_gateway_refused(stack):
    stack.refuse = 2
    await stack.alert()
    await stack.until_texts(1)

    assert stack.refuse == 0
    assert stack.texts[0].startswith("MATI: Kasir")
