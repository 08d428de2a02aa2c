"""The running exporter: puts the parts together, starts them in order and stops them in reverse.

Order at start: listeners first (they answer 503 until the journal is loaded), then the journal, then the background
rounds. Order at a stop: the public listener stops accepting and drains, then the rest, then a last checkpoint.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, disable_created_metrics

from exporter import __version__
from exporter.alerting.direct import DirectAlerts
from exporter.app.housekeeping import FIRST_PRUNE, PRUNE_INTERVAL, Housekeeping
from exporter.app.pieces import PIECES
from exporter.app.status import status_operation
from exporter.app.terminal import Terminal
from exporter.config import Config, Secret, ensure_webhook_secret
from exporter.conventions import (
    CHANNEL_ACTIVE_CONVERSATIONS,
    CHANNEL_FAILOVER_ACTIVE,
    CHANNEL_FAILOVER_FAILED,
    CHANNEL_FAILOVER_NO_BACKUP,
    CHANNEL_FAILOVER_PENDING,
    CHANNEL_LABELS,
    DEVICE_AFFECTED_CONVERSATIONS,
    DEVICE_ALERT_DELIVERED,
    DEVICE_MAINTENANCE,
    DEVICE_MAINTENANCE_END,
    FAILOVER_LABELS,
    HELP,
)
from exporter.errors import ConfigError, JournalUnavailable
from exporter.failover.sender import HookSender
from exporter.failover.service import FailoverService
from exporter.gateways.csku.gateway import Csku
from exporter.impact.hashing import ConversationHasher, ensure_key
from exporter.impact.service import ImpactService
from exporter.incidents import feature as incidents
from exporter.incidents.service import Incidents
from exporter.journal.sqlite.database import SqliteJournal, storage_path
from exporter.journal.sqlite.reader import Reader as SqliteReader
from exporter.lib.address import parse_address
from exporter.lib.clock import Clock
from exporter.lib.logs import RateLimited, fields, log_loop_errors
from exporter.maintenance.api import MaintenanceApi
from exporter.maintenance.service import Maintenance
from exporter.metrics.exposition import Exposition
from exporter.metrics.own import SelfMetrics
from exporter.metrics.policy import PolicyCollector
from exporter.notify.deliveries import JournalDeliveries
from exporter.notify.http import operations as notify_operations
from exporter.notify.relay import Relay
from exporter.notify.sending import ThreadedSender, load_apprise
from exporter.recording.recorder import Recorder
from exporter.report.availability import Row, availability
from exporter.report.groups import source_by
from exporter.web import descriptors
from exporter.web.admin import admin_app
from exporter.web.instruments import WebInstruments
from exporter.web.listeners import Listener, Listeners, Listening
from exporter.web.public import WEBHOOK_PATH, Door, public_app
from exporter.web.webconfig import WebConfigFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.config.schema import Webhook
    from exporter.domain.fleet import Change
    from exporter.journal.port import Reader

log = logging.getLogger(__name__)

DRAIN = 5.0  # seconds for requests under way at a stop
IMPACT_INTERVAL = 5.0  # seconds; what a SIGKILL may lose of the impact counts


class Exporter:
    """All parts of one process. `start`, `run_until_stopped`, `stop`."""

    def __init__(self, load: Callable[[], Config]) -> None:
        self._load = load
        self.config = load()
        self._clock = Clock()
        self._database = Path(storage_path(self.config.storage.url))
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.metrics = SelfMetrics(self.registry)
        for piece in PIECES:
            self.metrics.failures.labels(piece.name)
        self.recorder = Recorder(
            SqliteJournal(self._database, PIECES),
            self._database,
            lambda: SqliteReader(self._database),
            clock=self._clock,
            metrics=self.metrics,
            retry_span=self.config.storage.retry_span,
        )
        self.secret, self.secret_path = ensure_webhook_secret(self.config, self._database.parent)
        self._webhook = self._webhook_settings()
        self._observe()
        self._deliveries = JournalDeliveries(self.recorder.transact)
        self.relay = Relay(
            self.config.notify,
            self.config.alerts,
            sender=ThreadedSender(),
            deliveries=self._deliveries,
            registry=self.registry,
            clock=self._clock,
        )
        key = ensure_key(self._database.parent)
        self.impact = ImpactService(self.recorder, self.config.impact, ConversationHasher(key))
        self.maintenance = Maintenance(self.recorder, lambda: self.config, changed=self._windows_changed)
        planned_until = self.maintenance.planned_until
        self.alerts = DirectAlerts(
            self.recorder,
            lambda: self.config,
            self.metrics,
            impact=self.impact.facts_of,
            planned_until=planned_until,
        )
        self._hooks = HookSender(self._clock)
        self.failover = FailoverService(
            self.recorder,
            lambda: self.config.failover,
            self._hooks,
            self.registry,
            retention=lambda: self.config.storage.retention,
            planned_until=planned_until,
        )
        self.incidents = Incidents(self.recorder, lambda: self.config.policies, impact=self.impact.facts_of)
        incidents.follow(self.incidents, self.alerts, self.failover)
        self._exposition = Exposition(self.recorder.fleet, self.registry)
        self._housekeeping = Housekeeping(self.recorder, self.metrics, lambda: self.config)
        self._warn = RateLimited(logging.getLogger("exporter.web"))
        self._web_config = WebConfigFile(self.config.web.config_file) if self.config.web.config_file else None
        if self._web_config is not None:
            self._web_config.load()
        self.public, self.admin = self._listeners()
        self._listening = Listeners([self.public, self.admin], drain=DRAIN)
        self._stopping = asyncio.Event()
        self._started = False

    async def start(self) -> None:
        """Listen, load the journal, begin. OSError, ConfigError or JournalUnavailable say why it cannot."""
        loop = asyncio.get_running_loop()
        log_loop_errors(loop, self.metrics.task_failures.labels("loop").inc)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._hung_up, Terminal())
        self._loaded()
        await self._listening.start()
        await self.recorder.start()
        await self.maintenance.start()
        await self.recorder.heartbeat()
        await self.impact.start()
        await self.incidents.start()
        await self.failover.start()
        await self._deliveries.load(self._clock() - self.config.notify.repeat_window)
        if self.config.notify.targets:
            await asyncio.to_thread(load_apprise)  # its first use costs a third of a second
        self._housekeeping.start()
        self._housekeeping.keep("maintenance", self.maintenance.run)
        self._housekeeping.keep("alerts", self.alerts.run)
        self._housekeeping.keep("incidents", self.incidents.run)
        self._housekeeping.every("incident_retention", PRUNE_INTERVAL, self._prune_incidents, first=FIRST_PRUNE)
        self._housekeeping.keep("failover", self.failover.run)
        self._housekeeping.keep("failover_groups", self.failover.groups.run)
        self._housekeeping.every("impact", IMPACT_INTERVAL, self.impact.save)
        self._housekeeping.every("clock", 60.0, self._check_clock)
        self._housekeeping.every("log_summaries", 60.0, self._flush_warnings)
        self._housekeeping.once("first_scrape", self._prepare_scrape)
        self._started = True
        log.info("ready", extra=fields(version=__version__, devices=len(self.recorder.fleet.devices)))

    def _hung_up(self, terminal: Terminal) -> None:
        """End with the terminal in which people started us; a daemon reads its configuration again."""
        if terminal.gone():
            self._stopping.set()
        else:
            self._housekeeping.once("reload", self.reload)

    async def run_until_stopped(self) -> None:
        """Wait for SIGTERM or SIGINT."""
        await self._stopping.wait()

    async def stop(self) -> None:
        """Drain and stop everything; what was acknowledged is on disk in any case."""
        await self._listening.stop()
        await self._housekeeping.stop()
        await self._hooks.close()
        await self.relay.close(DRAIN)
        if self.recorder.ready:
            await self._last_words()
        await self.recorder.stop()
        self._warn.flush(everything=True)
        log.info("stopped")

    async def _last_words(self) -> None:
        try:
            await self.impact.save()
            await self.incidents.flush(final=True)
            await self.failover.groups.save()
            await self.recorder.heartbeat()
        except JournalUnavailable as error:
            log.warning("the journal is unavailable at the stop", extra=fields(error=str(error)))

    async def reload(self) -> None:
        """Read the configuration anew; a bad one raises ConfigError and changes nothing."""
        try:
            config = await asyncio.to_thread(self._load)
            await self.admin.reload()
        except ConfigError as error:
            self.metrics.reload_ok.set(0)
            log.error("the configuration was not reloaded", extra=fields(error=str(error)))  # noqa: TRY400 - a user's error
            raise
        for name in ("storage.url", "webhook.listen_address", "web.listen_address", "web.config_file"):
            section, key = name.split(".")
            if getattr(getattr(config, section), key) != getattr(getattr(self.config, section), key):
                log.warning("a changed setting takes effect at the next start", extra={"setting": name})
        self.config = config
        self._webhook = self._webhook_settings()
        await self.maintenance.reload()
        self.alerts.reconsider()
        self.incidents.reconsider()
        self.relay.reconfigure(config.notify, config.alerts)
        self.failover.reconfigure()
        self._loaded()

    async def _prepare_scrape(self) -> None:
        """Build every line of the exposition, so that the first scrape need not."""
        try:
            await self._exposition.render(self._clock(), openmetrics=False, gzip=True)
        finally:
            _settle_memory()

    def _windows_changed(self) -> None:
        self.alerts.reconsider()
        self.incidents.reconsider()
        self.failover.reconsider()

    def _loaded(self) -> None:
        self.metrics.reload_ok.set(1)
        self.metrics.reload_time.set(self._clock())

    def _webhook_settings(self) -> Webhook:
        """Return the configured settings, with the generated secret where none is configured."""
        settings = self.config.webhook
        if settings.secret:
            return settings
        return msgspec.structs.replace(settings, secret=Secret(self.secret))

    def _observe(self) -> None:
        fleet = self.recorder.fleet
        self.registry.register(PolicyCollector(lambda: self.config.policies, lambda: list(fleet.histograms)))
        self.metrics.devices.set_function(lambda: len(fleet.devices))
        self.metrics.queue.set_function(lambda: self.recorder.queue_depth)
        self.metrics.backlog.set_function(lambda: self.recorder.backlog)
        self.recorder.subscribe(_log_change)

    def _listeners(self) -> tuple[Listener, Listener]:
        gateway = Csku()
        instruments = WebInstruments(self.metrics, gateway.event_types)
        web_config = self._web_config
        exposition = self._exposition
        exposition.add_device_gauge(
            DEVICE_AFFECTED_CONVERSATIONS, HELP[DEVICE_AFFECTED_CONVERSATIONS], self.impact.affected
        )
        exposition.add_gauge(
            CHANNEL_ACTIVE_CONVERSATIONS, HELP[CHANNEL_ACTIVE_CONVERSATIONS], CHANNEL_LABELS, self.impact.active
        )
        exposition.add_device_gauge(DEVICE_MAINTENANCE, HELP[DEVICE_MAINTENANCE], self.maintenance.inside)
        exposition.add_device_gauge(DEVICE_MAINTENANCE_END, HELP[DEVICE_MAINTENANCE_END], self.maintenance.outlasted)
        exposition.add_device_gauge(DEVICE_ALERT_DELIVERED, HELP[DEVICE_ALERT_DELIVERED], self.alerts.delivered)
        failover, with_action = self.failover, (*FAILOVER_LABELS, "action")
        for name, labels, values in (
            (CHANNEL_FAILOVER_ACTIVE, FAILOVER_LABELS, failover.active),
            (CHANNEL_FAILOVER_PENDING, with_action, failover.pending),
            (CHANNEL_FAILOVER_FAILED, with_action, failover.failed),
            (CHANNEL_FAILOVER_NO_BACKUP, FAILOVER_LABELS, failover.no_backup),
        ):
            exposition.add_gauge(name, HELP[name], labels, values)
        public = public_app(
            self.recorder,
            {WEBHOOK_PATH: Door(gateway, lambda: self._webhook)},
            instruments,
            self._warn,
            on_message=self.impact.message,
        )
        incident_operations, incident_pages = incidents.operations_and_routes(
            self.incidents,
            self.recorder.read,
            lambda: self.config,
            self._clock,
            authenticated=lambda: web_config is not None and bool(web_config.config.basic_auth_users),
        )
        maintenance_api = MaintenanceApi(self.maintenance, self.recorder, lambda: self.config.alerts.timezone)

        def ready() -> bool:
            return self._started and self.recorder.ready

        status = status_operation(
            self.recorder, lambda: self.config, self.alerts, ready=ready, last_event=lambda: instruments.last_event
        )
        admin = admin_app(
            self.recorder,
            exposition,
            instruments,
            reload=self.reload,
            account=self.account,
            ready=ready,
            external_url=self.config.web.external_url,
            web_config=web_config,
            operations=[*incident_operations, *maintenance_api.operations(), *notify_operations(self.relay), status],
            routes=incident_pages,
            links=[incidents.LINK],
        )
        webhook_address = parse_address(self.config.webhook.listen_address)
        admin_address = parse_address(self.config.web.listen_address)
        for_public, for_admin = descriptors.limits(descriptors.raised())
        return (
            Listener(Listening("public", webhook_address, public, for_public), instruments, self._warn),
            Listener(Listening("admin", admin_address, admin, for_admin, web_config), instruments, self._warn),
        )

    async def account(self, by: str, start: float, end: float) -> list[Row]:
        """Compute availability from the journal, in a thread: it reads every event of every device."""

        def compute(reader: Reader) -> list[Row]:
            blind = reader.blind_intervals()
            pairs = [(pair.channel, pair.backup) for pair in self.config.failover]
            return availability(
                source_by(by, reader, pairs).histories(),
                blind=blind,
                start=start,
                end=end,
                by=by,
                objective=lambda engine: self.config.policies.for_engine(engine).objective_ratio,
            )

        return await self.recorder.read(compute)

    async def _prune_incidents(self) -> None:
        await self.incidents.prune(self._clock() - self.config.storage.retention)

    async def _check_clock(self) -> None:
        if self._clock.behind > 1:
            self.metrics.task_failures.labels("clock").inc()
            log.warning("the system clock was set back; time stands still", extra=fields(seconds=self._clock.behind))

    async def _flush_warnings(self) -> None:
        self._warn.flush()


def serve(load: Callable[[], Config]) -> int:
    """Run until a signal; return the exit status. ConfigError says why it cannot start."""
    import uvloop  # noqa: PLC0415 - commands that do not serve start faster without it

    disable_created_metrics()  # type: ignore[no-untyped-call] # they double our series
    sys.setswitchinterval(0.001)  # a thread that computes may hold the loop up for this long at a time
    return uvloop.run(_serve(load))


async def _serve(load: Callable[[], Config]) -> int:
    gc.disable()  # a fleet is being loaded, and nothing of it is garbage: see _settle_memory
    exporter = Exporter(load)
    try:
        await exporter.start()
    except OSError as error:
        raise ConfigError(str(error)) from error
    _announce(exporter)
    await exporter.run_until_stopped()
    await exporter.stop()
    return 0


def _announce(exporter: Exporter) -> None:
    """Say where a generated secret is; tell a person at a terminal what to do next."""
    if exporter.secret_path is not None:
        log.info("the webhook secret is in a file", extra=fields(file=exporter.secret_path))
    if not sys.stderr.isatty():
        return
    secret = exporter.secret_path or exporter.config.webhook.secret_file or "the configuration"
    url = f"{exporter.public.url}{WEBHOOK_PATH}"
    value = f"$(cat {secret})" if exporter.secret_path else "SECRET"
    body = (
        '{"event":"device.disconnected","timestamp":\'$(date +%s)\',"status":"disconnected","device":{"id":"device_1",'
        '"name":"Front desk WhatsApp","channel":{"id":"channel_1","name":"WhatsApp Business","engine":"wa"},'
        '"bisnis":{"id":"biz_1","name":"Toko Makmur"},"user":{"id":"merchant_1","name":"Ibu Sari"}}}'
    )
    print(  # noqa: T201 - for the person who ran it
        f"\n  webhook   {url}\n  secret    {secret}\n  metrics   {exporter.admin.url}/metrics\n\n"
        f'  curl -H "Authorization: {value}" -H "Content-Type: application/json" \\\n'
        f"    -d '{body}' {url}\n  curl {exporter.admin.url}/api/v1/devices\n",
        file=sys.stderr,
    )


def _settle_memory() -> None:
    """Take the loaded fleet out of the garbage collector's sight: it lives on, and walking it would stall the loop."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)
    gc.enable()


def _log_change(change: Change) -> None:
    """Write one line a change of state; ids only, no names."""
    if (
        not log.isEnabledFor(logging.INFO)
        or not change.live
        or (change.before and change.after and change.before.up == change.after.up)
    ):
        return
    identity, after = change.device.identity, change.after
    state = "forgotten" if after is None else "up" if after.up else "down"
    log.info(
        f"device {state}",
        extra=fields(
            device_id=identity.device_id,
            engine=identity.engine,
            channel_id=identity.channel_id,
            business_id=identity.business_id,
            since=after.since if after is not None else None,
        ),
    )
