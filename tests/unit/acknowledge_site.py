"""What acknowledges, on a real journal, with its page on loopback and an Alertmanager that does as it is told."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web

from exporter.app.features import Features
from exporter.config.schema import Alertmanager, Alerts, Config, Pages, Secret
from exporter.domain.policy import Policies, Policy
from exporter.incidents.view import Filter, View
from exporter.web.pages import pages_app
from tests.patience import eventually
from tests.unit.alerting_site import FakeAlertmanager
from tests.unit.journal_site import Site, event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from exporter.incidents.model import Entry, Incident

EXTERNAL = "https://status.example.id"
AT_ONCE = Policy(alert_after=0.0, severity="critical", escalate_after=1800.0)


class Answer:
    """What a browser got."""

    def __init__(self, status: int, headers: Any, text: str) -> None:
        self.status = status
        self.headers = headers
        self.text = text


class Desk:
    """The parts of one start."""

    def __init__(
        self, site: Site, alertmanager: FakeAlertmanager, policy: Policy = AT_ONCE, told_within: float = 0.0
    ) -> None:
        self.site = site
        self.alertmanager = alertmanager
        self.config = Config(
            policies=Policies({"default": policy}),
            alertmanager=Alertmanager((alertmanager.url,), resend_interval=3600.0, told_within=told_within),
            alerts=Alerts(language="id"),
            pages=Pages(listen_address="127.0.0.1:0", external_url=f"{EXTERNAL}/", secret=Secret("key\nformer")),
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Desk]:
        recorder = await self.site.start()
        self.features = Features(
            recorder, lambda: self.config, self.site.metrics, conversation_key=bytes(32), authenticated=lambda: False
        )
        self.service = self.features.acknowledge.service
        self.alerts = self.features.alerting.service
        for feature in (self.features.maintenance, self.features.impact, self.features.incidents):
            await feature.start()
        await self.features.acknowledge.start()
        runs = (self.alerts.run, self.features.incidents.service.run, self.service.run)
        tasks = [asyncio.create_task(run()) for run in runs]
        runner = web.AppRunner(pages_app(self.features.acknowledge.outside()), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            async with aiohttp.ClientSession() as self.browser:
                await eventually(self._is_ready, "the Alertmanager was reached")
                yield self
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await runner.cleanup()
            with suppress(Exception):
                await self.site.kill()

    def _is_ready(self) -> bool:
        """Whether what comes is told: what came before is what a start finds, and that ends what may be over."""
        return any(outbox.reached_at is not None for outbox in self.alerts.outboxes)

    # -- what happens -------------------------------------------------------------------------------------------------

    async def down(self, device_id: str = "d1", *, ago: int = 0, **names: str) -> str:
        """Let a device go down; return the path of its link once its alert is there."""
        at = int(self.site.clock() - ago)
        await self.site.recorder.submit(event(at, up=False, device_id=device_id, **names))
        path = await self.linked(device_id)
        await eventually(lambda: device_id in self.features.incidents.service.open.by_device)
        await self.features.incidents.service.flush()
        return path

    async def up(self, device_id: str = "d1", **names: str) -> None:
        self.site.clock.now += 1
        await self.site.recorder.submit(event(int(self.site.clock()), up=True, device_id=device_id, **names))
        await self.features.incidents.service.flush()

    async def later(self, seconds: float) -> None:
        """Let time pass, and what is due be done."""
        self.site.clock.now += seconds
        await self.service.expire()
        self.alerts.reconsider()

    def look(self) -> None:
        """Let the silences be looked at now."""
        for silences in self.alerts._silences:
            silences.reconsider()

    def link(self, device_id: str, name: str = "DeviceDown") -> str:
        """Return the path of the newest link in an alert about a device."""
        for post in reversed(self.alertmanager.posts):
            for alert in post:
                if alert["labels"].get("device_id", device_id) == device_id and alert["labels"]["alertname"] == name:
                    return str(alert["annotations"].get("ack_url", "")).removeprefix(EXTERNAL)
        return ""

    async def linked(self, device_id: str, name: str = "DeviceDown") -> str:
        """Return the path of the link in an alert about a device once it is posted: what mutes it is posted before."""
        path: str = await eventually(lambda: self.link(device_id, name), f"{name} has a link")
        return path

    async def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        async with self.browser.request(method, self.url + path, headers=headers) as answer:
            return Answer(answer.status, answer.headers, await answer.text())

    async def post(self, path: str, **form: str) -> Answer:
        async with self.browser.post(self.url + path, data=form, allow_redirects=False) as answer:
            return Answer(answer.status, answer.headers, await answer.text())

    async def take(self, path: str, by: str = "Sari", lasting: str = "1h", note: str = "") -> Answer:
        """Say that somebody has it."""
        return await self.post(path, **{"by": by, "for": lasting, "note": note})

    async def told(self, name: str, count: int = 1) -> list[dict[str, Any]]:
        """Return the alerts of a name that were posted, once there are so many."""

        def found() -> list[dict[str, Any]]:
            every = [alert for post in self.alertmanager.posts for alert in post]
            ours = {str(alert["labels"]): alert for alert in every if alert["labels"]["alertname"] == name}
            return list(ours.values()) if len(ours) >= count else []

        return list(await eventually(found, f"{count} x {name}"))

    # -- what is there ------------------------------------------------------------------------------------------------

    async def incident(self) -> tuple[Incident, list[Entry]]:
        """Return the newest incident and its timeline."""
        now = self.site.clock()

        def read(tables: Any) -> tuple[Incident, list[Entry]]:
            view = View(tables)
            one = view.page(Filter(), now, limit=1)[0]
            return one, view.timelines([one.number])[one.number]

        return await self.site.recorder.read(read)

    async def kinds(self) -> list[str]:
        return [entry.kind for entry in (await self.incident())[1]]


@asynccontextmanager
async def desk_of(folder: Path, policy: Policy = AT_ONCE, told_within: float = 0.0) -> AsyncIterator[Desk]:
    """Start the parts."""
    site = Site(folder)
    async with (
        FakeAlertmanager(clock=site.clock).running() as alertmanager,
        Desk(site, alertmanager, policy, told_within).running() as desk,
    ):
        yield desk
