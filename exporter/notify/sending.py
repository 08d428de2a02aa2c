"""Sending one text to one URL by Apprise, without ever writing that URL to a log.

Apprise is synchronous: each send runs in a daemon thread of its own, so that a gateway that never answers can neither
block the event loop nor the end of the process. The URL holds credentials, and Apprise, requests and urllib3 log URLs:
their loggers are shut.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import warnings
from contextlib import suppress
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from exporter.errors import ExporterError
from exporter.lib.logs import fields

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

log = logging.getLogger(__name__)

LARGEST_URLS_FILE: Final = 64 * 1024
MOST_URLS: Final = 50

_loading = threading.Lock()
_TALKATIVE: Final = ("apprise", "requests", "urllib3", "requests_oauthlib", "oauthlib", "charset_normalizer")


class Result(StrEnum):
    """What became of one text at one URL; the label `result` of device_exporter_notify_total."""

    SENT = "sent"
    DUPLICATE = "duplicate"
    HELD = "held"
    """Held back, as the target has had its texts of this hour."""
    FAILED = "failed"
    TIMEOUT = "timeout"
    INVALID_URL = "invalid_url"
    UNAVAILABLE = "unavailable"
    ELSEWHERE = "elsewhere"
    """Another exporter is sending it; Alertmanager asks again, and hears what became of it."""


SUCCESSES: Final = frozenset({Result.SENT, Result.DUPLICATE, Result.HELD})
"""What Alertmanager need not try again."""


class TargetUnavailable(ExporterError):
    """The URLs of a target cannot be had now. Transient: the file may be in the middle of a rotation."""

    code = "target_unavailable"


def read_urls(path: str) -> tuple[str, ...]:
    """Return the URLs of a file, one a line; blank lines and lines that start with # are skipped.

    Raises TargetUnavailable, whose message never holds the contents.
    """
    try:
        with Path(path).open("rb") as file:
            raw = file.read(LARGEST_URLS_FILE + 1)
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise TargetUnavailable(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise TargetUnavailable(f"{path} is not UTF-8") from None
    if len(raw) > LARGEST_URLS_FILE:
        raise TargetUnavailable(f"{path} is larger than {LARGEST_URLS_FILE} bytes")
    lines = (line.strip() for line in text.splitlines())
    urls = tuple(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
    if not 0 < len(urls) <= MOST_URLS:
        raise TargetUnavailable(f"{path} must hold 1 to {MOST_URLS} URLs, one a line")
    return urls


def shut_loggers() -> None:
    """Keep every record of the libraries that see URLs away from all handlers."""
    for name in _TALKATIVE:
        library = logging.getLogger(name)
        library.propagate = False
        library.setLevel(logging.CRITICAL + 1)
        library.addHandler(logging.NullHandler())  # without a handler, logging's last resort would print warnings
    logging.getLogger("apprise").disabled = True


def send_now(url: str, text: str, *, resolved: bool) -> Result:
    """Send and wait; blocks for as long as the service takes. Never raises."""
    try:
        return _send(url, text, resolved=resolved)
    except Exception as error:
        log.error("sending a notification failed", extra=fields(error=type(error).__name__))  # noqa: TRY400
        return Result.FAILED


@cache
def load_apprise() -> ModuleType:
    """Return the library with its services loaded; the first call takes about 0.3 s and 25 MiB."""
    shut_loggers()
    with _loading, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of 170 services some always use what is deprecated
        import apprise  # noqa: PLC0415 - only installations with targets pay for it

        apprise.Apprise.instantiate("json://localhost")
        return apprise


def _send(url: str, text: str, *, resolved: bool) -> Result:
    apprise = load_apprise()
    asset = apprise.AppriseAsset(
        app_id="device-exporter",
        app_desc="device-exporter",
        async_mode=False,  # one service, in this thread
        service_timeout=0,  # the relay has its own
        storage_mode="memory",
        pgp_autogen=False,
        pem_autogen=False,
    )
    service = apprise.Apprise.instantiate(url, asset=asset)
    if service is None:
        return Result.INVALID_URL
    outbox = apprise.Apprise(asset=asset)
    outbox.add(service)
    kind = apprise.NotifyType.SUCCESS if resolved else apprise.NotifyType.WARNING
    sent = outbox.notify(body=text, body_format=apprise.NotifyFormat.TEXT, notify_type=kind)
    return Result.SENT if sent else Result.FAILED


class ThreadedSender:
    """Sends from the event loop, at most `limit` at once."""

    def __init__(self, limit: int = 8, send: Callable[..., Result] = send_now) -> None:
        self._slots = asyncio.Semaphore(limit)
        self._send = send

    async def send(self, url: str, text: str, *, resolved: bool, patience: float) -> Result:
        """Send one text and wait until the service has answered, however long that takes.

        Only the wait for a free slot is bounded by `patience` seconds; then TIMEOUT says that nothing was sent.
        """
        try:
            async with asyncio.timeout(patience):
                await self._slots.acquire()
        except TimeoutError:
            return Result.TIMEOUT
        try:
            return await self._in_thread(url, text, resolved=resolved)
        finally:
            self._slots.release()

    async def _in_thread(self, url: str, text: str, *, resolved: bool) -> Result:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Result] = loop.create_future()

        def settle(result: Result) -> None:
            if not answer.done():
                answer.set_result(result)

        def work() -> None:
            result = self._send(url, text, resolved=resolved)
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle, result)

        threading.Thread(target=work, name="notify-send", daemon=True).start()
        return await answer
