"""Which Alertmanagers there are: those that the configuration names, and every address of those that it names by DNS.

An URL such as `dns+http://alertmanager:9093` stands for all addresses of its name, as a headless service of Kubernetes
has one for each member of a cluster. The name is looked up again and again. While that fails the addresses of before
are told; each failure counts as a post that did not arrive, so that AlertPushFailing speaks of it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from exporter.lib.address import Address
from exporter.lib.logs import fields
from exporter.lib.waiting import Wake

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from exporter.config import Config
    from exporter.metrics.own import SelfMetrics

log = logging.getLogger(__name__)

BY_DNS: Final = "dns+"
LOOK_UP_INTERVAL: Final = 30.0
PATIENCE: Final = 10.0
"""Seconds for one look at a name."""


class Member(NamedTuple):
    """One Alertmanager."""

    url: str
    server_name: str | None = None
    """Whose certificate it shows, where the URL has only an address."""


class Members:
    """`now` is the answer; `changed` is called when it is another one."""

    def __init__(self, config: Callable[[], Config], metrics: SelfMetrics) -> None:
        self._config = config
        self._metrics = metrics
        self._found: dict[str, tuple[Member, ...]] = {}  # by the configuration's URL
        self._failing: set[str] = set()
        self._wake = Wake()
        self.changed: Callable[[], None] = lambda: None

    @property
    def now(self) -> tuple[Member, ...]:
        """Every Alertmanager once, as far as names have been looked up."""
        urls = self._config().alertmanager.urls
        return tuple(dict.fromkeys(member for url in urls for member in self._of(url)))

    @property
    def unknown(self) -> tuple[str, ...]:
        """URLs whose name has no address that is known now; those of before may still be told."""
        names = [url for url in self._config().alertmanager.urls if url.startswith(BY_DNS)]
        return tuple(url for url in names if url in self._failing or url not in self._found)

    def _of(self, url: str) -> Sequence[Member]:
        return self._found.get(url, ()) if url.startswith(BY_DNS) else (Member(url),)

    async def run(self) -> None:
        """Look names up for ever."""
        while True:
            await self.look_up()
            await self._wake.wait(LOOK_UP_INTERVAL)

    def reconsider(self) -> None:
        """Look at once: the configuration is another."""
        self._wake.set()

    async def look_up(self) -> None:
        """Look every name up once."""
        before = self.now
        names = [url for url in self._config().alertmanager.urls if url.startswith(BY_DNS)]
        await asyncio.gather(*(self._look_up(url) for url in names))
        for gone in self._found.keys() - set(names):
            del self._found[gone]
        self._failing &= set(names)
        present = self.now
        if present != before:
            self._forget(set(before) - set(present))
            told = fields(alertmanagers=",".join(one.url for one in present))
            log.info("the Alertmanagers are others now", extra=told)
            self.changed()

    async def _look_up(self, url: str) -> None:
        try:
            self._found[url] = await members_of(url)
        except (OSError, TimeoutError) as error:
            self._metrics.pushes.labels(url, "error").inc()
            if url not in self._failing:
                told = fields(alertmanager=url, reason=str(error) or "no answer in time")
                log.warning("an Alertmanager's name cannot be looked up", extra=told)
            self._failing.add(url)
        else:
            self._failing.discard(url)

    def _forget(self, gone: set[Member]) -> None:
        for member in gone:
            for result in ("ok", "error"):
                self._metrics.pushes.remove(member.url, result)


async def members_of(url: str) -> tuple[Member, ...]:
    """Return the Alertmanagers that a URL stands for. OSError, TimeoutError: its name has no address now.

    A member of two networks is one member: where there are addresses of IPv4, those of IPv6 are left out.
    """
    if not url.startswith(BY_DNS):
        return (Member(url),)
    parts = urlsplit(url.removeprefix(BY_DNS))
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    async with asyncio.timeout(PATIENCE):
        found = await addresses(host, port)
    wanted = [address for address in found if ":" not in address] or found
    path = parts.path.rstrip("/")
    return tuple(
        Member(f"{parts.scheme}://{Address(address, port)}{path}", host if secure else None) for address in wanted
    )


async def addresses(host: str, port: int) -> list[str]:
    """Return the addresses of a name in a steady order. OSError: it has none."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return sorted({str(target[0]) for _, _, _, _, target in found})
