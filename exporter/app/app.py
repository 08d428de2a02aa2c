"""The running exporter: puts the parts together, starts them in order and stops them in reverse.

Order at start: listeners first (they answer 503 until the journal is loaded), then the journal, the features in their
order, and the background tasks. At a stop the listeners stop accepting and drain, then the rest in reverse order.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector

from exporter import __version__
from exporter.app.doors import doors
from exporter.app.feature import Answers, Draws, Measures, Publishes, Reloads, Starts, Stops, Works
from exporter.app.features import PIECES, Features
from exporter.app.housekeeping import Housekeeping, rounds
from exporter.app.leadership import Leadership
from exporter.app.observing import observe
from exporter.app.opening import opened
from exporter.app.reports import Reports
from exporter.app.settings import Settings
from exporter.app.status import status_operation
from exporter.app.terminal import Terminal
from exporter.config import digest
from exporter.conventions import HELP
from exporter.errors import ConfigError, JournalUnavailable
from exporter.gateways.csku.gateway import Csku
from exporter.gateways.preset import Preset
from exporter.impact.hashing import ensure_key
from exporter.journal.storage import data_directory, open_storage
from exporter.lib import systemd
from exporter.lib.address import parse_address
from exporter.lib.clock import Clock
from exporter.lib.logs import RateLimited, fields, log_loop_errors
from exporter.lib.logs import setup as setup_logging
from exporter.lib.pace import Pace
from exporter.lib.tasks import Task
from exporter.metrics.exposition import Exposition
from exporter.metrics.gauges import OfDevices
from exporter.metrics.own import SelfMetrics
from exporter.recording.recorder import Recorder
from exporter.web import descriptors
from exporter.web.admin import admin_app
from exporter.web.instruments import WebInstruments
from exporter.web.listeners import Listener, Listeners, Listening
from exporter.web.pages import pages_app
from exporter.web.public import public_app
from exporter.web.webconfig import WebConfigFile

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator

    from exporter.config import Config
    from exporter.metrics.gauges import Gauge

log = logging.getLogger(__name__)

DRAIN = 5.0  # seconds for requests under way at a stop


class Exporter:
    """All parts of one process. `start`, `run_until_stopped`, `stop`."""

    def __init__(self, load: Callable[[], Config]) -> None:
        self.settings = Settings(load, lambda config: data_directory(config.storage.url))
        config = self.settings.current()
        self._clock = Clock(self._clock_jumped)
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.metrics = SelfMetrics(self.registry, operations=[piece.name for piece in PIECES])
        self.recorder = Recorder(
            open_storage(config.storage.url, self._clock, PIECES),
            self._clock,
            self.metrics,
            retry_span=config.storage.retry_span,
        )
        self.recorder.ceilings = config.fleet
        self.recorder.following.on_diverged(self._diverged)
        observe(self.recorder, self.settings.current, self.metrics)
        self._web_config = WebConfigFile(config.web.config_file) if config.web.config_file else None
        if self._web_config is not None:
            self._web_config.load()
        self.features = Features(
            self.recorder,
            self.settings.current,
            self.metrics,
            conversation_key=ensure_key(data_directory(config.storage.url), config.webhook.secret),
            authenticated=self._authenticated,
        )
        self._exposition = Exposition(
            self.recorder.fleet,
            self.registry,
            pace=Pace(turn=self.recorder.give_way),
            silent=lambda: self.recorder.following.silent,
        )
        for feature in self.features.all:
            if isinstance(feature, Measures):
                self._expose(feature.gauges())
        self._housekeeping = Housekeeping(self.metrics)
        self._warn = RateLimited(logging.getLogger("exporter.web"))
        self.public, self.admin, self.pages = self._listeners()
        self._listening = Listeners(list(filter(None, (self.public, self.admin, self.pages))), drain=DRAIN)
        self._to_stop = AsyncExitStack()
        self._stopping = asyncio.Event()
        self._reloading = asyncio.Lock()
        self._anew = False
        self.started = False  # for good where the journal could not be opened before it was to stop

    # -- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen, load the journal, begin. OSError, ConfigError or JournalUnavailable say why it cannot."""
        loop = asyncio.get_running_loop()
        log_loop_errors(loop, self.metrics.task_failures.labels("loop").inc)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._hung_up, Terminal())
        self._loaded()
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        if self.started:
            systemd.tell(systemd.READY)
            log.info("ready", extra=fields(version=__version__, devices=len(self.recorder.fleet.devices)))

    async def _start(self) -> None:
        """Start everything in its order; what is stopped goes onto the stack where it was started."""
        await self._listening.start()
        self._to_stop.push_async_callback(self.recorder.stop)
        if not await opened(self.recorder, self._stopping, self._warn):
            return
        self._to_stop.push_async_callback(self._finish, self.recorder.heartbeat)
        for feature in self.features.all:
            if isinstance(feature, Starts):
                await feature.start()
            if isinstance(feature, Stops):
                self._to_stop.push_async_callback(self._finish, feature.stop)
        newest = max(self.recorder.fleet.newest_event, self.features.impact.service.conversations.newest)
        self._instruments.heard_before(min(newest, self._clock()))
        self._follow_settings()
        self._to_stop.push_async_callback(self._housekeeping.stop)
        tasks = list(self.tasks())
        for task in tasks:
            if not task.leading:
                self._housekeeping.run(task)
        leading = self.recorder.leading
        leadership = Leadership(leading, self.features.all)
        self._housekeeping.lead(leading, leadership.begin, [task for task in tasks if task.leading])
        self._housekeeping.once("first_scrape", self._prepare_scrape)
        self.started = True

    async def run_until_stopped(self) -> bool:
        """Wait for SIGTERM or SIGINT; True: for the need to begin anew, as the journal has another past than we."""
        await self._stopping.wait()
        return self._anew

    def _diverged(self) -> None:
        self.metrics.divergence.inc()
        self._anew = True
        self._stopping.set()

    def _hung_up(self, terminal: Terminal) -> None:
        """End with the terminal in which people started us; a daemon reads its configuration again."""
        if terminal.gone():
            self._stopping.set()
        else:
            self._housekeeping.once("reload", self.reload)

    async def stop(self) -> None:
        """Drain and stop everything; what was acknowledged is on disk in any case."""
        await self._stop()
        log.info("stopped")

    async def _stop(self) -> None:
        systemd.tell(systemd.STOPPING)
        await self._listening.stop()  # first: what still comes in is answered while everything works
        await self._to_stop.aclose()
        self._warn.flush(everything=True)

    async def _finish(self, last: Callable[[], Awaitable[None]]) -> None:
        """Do one of the last things; without a journal the others are done all the same."""
        try:
            await last()
        except JournalUnavailable as error:
            log.warning("the journal is unavailable at the stop", extra=fields(error=str(error)))

    # -- the configuration --------------------------------------------------------------------------------------------

    async def reload(self) -> None:
        """Read the configuration anew; a bad one raises ConfigError and changes nothing."""
        async with self._reloading:
            try:
                config = await self.settings.read()
                await self.admin.reload()
            except ConfigError as error:
                self.metrics.reload_ok.set(0)
                log.error("the configuration was not reloaded", extra=fields(error=str(error)))  # noqa: TRY400 - a user's error
                raise
            await self.settings.take(config)
            self._loaded()

    def _follow_settings(self) -> None:
        """Let everybody hear of a new configuration who keeps something made of it."""
        self.settings.changed(self._take)
        for feature in self.features.all:
            if isinstance(feature, Reloads):
                self.settings.changed(feature.reload)

    async def _take(self, config: Config) -> None:
        setup_logging(config.log.level, config.log.format)
        self.recorder.retry_span = config.storage.retry_span
        self.recorder.ceilings = config.fleet
        self._public.open(doors(self.settings.current, self._clock))

    def _loaded(self) -> None:
        self.metrics.reload_ok.set(1)
        self.metrics.reload_time.set(self._clock())
        self.metrics.config_digest.set(digest(self.settings.current()))

    # -- what the features have ---------------------------------------------------------------------------------------

    def _expose(self, gauges: Iterable[Gauge]) -> None:
        for gauge in gauges:
            if isinstance(gauge, OfDevices):
                self._exposition.add_device_gauge(gauge.name, HELP[gauge.name], gauge.values)
            else:
                self._exposition.add_gauge(gauge.name, HELP[gauge.name], gauge.labels, gauge.values)

    def tasks(self) -> Iterator[Task]:
        """Yield the background tasks of all parts."""
        yield from rounds(self.recorder, self.metrics, self.settings.current)
        for feature in self.features.all:
            if isinstance(feature, Works):
                yield from feature.tasks()
        yield Task("log_summaries", self._flush_warnings, 60.0)

    def _listeners(self) -> tuple[Listener, Listener, Listener | None]:
        instruments = self._instruments = WebInstruments(self.metrics, Csku.event_types | Preset.event_types)
        current = self.settings.current
        answering = [feature for feature in self.features.all if isinstance(feature, Answers)]

        def loaded() -> bool:
            return self.started and self.recorder.ready

        def ready() -> bool:
            return loaded() and self.recorder.healthy and self.recorder.following.right

        public = self._public = public_app(
            self.recorder,
            doors(current, self._clock),
            instruments,
            self._warn,
            on_message=self.features.impact.service.message,
            on_state=self.features.sessions.service.take,
            ready=ready,
        )

        alerting = self.features.alerting
        status = status_operation(
            self.recorder, current, alerting, loaded=loaded, ready=ready, last_event=lambda: instruments.last_event
        )
        admin = admin_app(
            self.recorder,
            self._exposition,
            instruments,
            reload=self.reload,
            account=Reports(self.recorder, current).answer,
            reason_of=self.features.sessions.service.reasons.of,
            ready=ready,
            loaded=loaded,
            settings=lambda: current().web,
            web_config=self._web_config,
            operations=[*(operation for feature in answering for operation in feature.operations()), status],
            routes=[route for one in self.features.all if isinstance(one, Draws) for route in one.routes()],
            pages=self.features.operators.renderer,
        )
        webhook_address = parse_address(current().webhook.listen_address)
        admin_address = parse_address(current().web.listen_address)
        outside = current().pages.listen_address
        for_public, for_admin, for_pages = descriptors.limits(descriptors.raised(), pages=outside is not None)

        def listener(what: Listening) -> Listener:
            return Listener(what, instruments, self._warn)

        pages = None
        if outside is not None:
            published = [route for one in self.features.all if isinstance(one, Publishes) for route in one.outside()]
            app = pages_app(published, own_hosts=lambda: current().pages.own_hosts, loaded=loaded)
            pages = listener(Listening("pages", parse_address(outside), app, for_pages))
        return (
            listener(Listening("public", webhook_address, public, for_public)),
            listener(Listening("admin", admin_address, admin, for_admin, self._web_config)),
            pages,
        )

    # -- parts of its own ---------------------------------------------------------------------------------------------

    async def _prepare_scrape(self) -> None:
        """Build every line of the exposition, so that the first scrape need not."""
        try:
            await self._exposition.render(self._clock(), openmetrics=False, gzip=True)
        finally:
            _settle_memory()

    def _authenticated(self) -> bool:
        return self._web_config is not None and bool(self._web_config.config.basic_auth_users)

    def _clock_jumped(self, seconds: float) -> None:
        self.metrics.clock_jumps.inc()
        log.warning("the system clock jumped", extra=fields(seconds=round(seconds, 3)))

    async def _flush_warnings(self) -> None:
        self._warn.flush()


def _settle_memory() -> None:
    """Take the loaded fleet out of the garbage collector's sight: it lives on, and walking it would stall the loop."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)
    gc.enable()
