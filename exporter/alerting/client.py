"""One Alertmanager over HTTP: post alerts, and ask which it has. API v2."""

from __future__ import annotations

import contextlib
import ssl
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import msgspec

from exporter import __version__
from exporter.alerting.alert import INHIBITORS, RULES_SOURCE, SOURCE
from exporter.domain.thresholds import OF_ALERTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from exporter.config.schema import Alertmanager

_REFUSED: Final = frozenset({400, 413, 422})
_OURS: Final = "|".join(sorted({*INHIBITORS, *OF_ALERTS}))
_FILTER: Final = [("filter", f'alertname=~"{_OURS}"'), ("filter", f'source=~"{SOURCE}|{RULES_SOURCE}"')]


class Unavailable(Exception):
    """It did not answer, or not as it should: to be tried again."""


class Refused(Exception):
    """It does not take these alerts and never will."""


class Standing(msgspec.Struct, frozen=True, rename="camel"):
    """An alert that an Alertmanager has, muted ones included."""

    labels: dict[str, str]
    starts_at: datetime

    def agrees(self, labels: Mapping[str, str]) -> bool:
        """Tell whether it has no other values of these labels, and so may be of this fleet."""
        return all(self.labels.get(name, value) == value for name, value in labels.items())

    def without(self, labels: Mapping[str, str]) -> Standing:
        """Return it without these labels."""
        kept = {name: value for name, value in self.labels.items() if name not in labels}
        return msgspec.structs.replace(self, labels=kept)


class _Configuration(msgspec.Struct):
    original: str


class _Status(msgspec.Struct):
    config: _Configuration


class Client:
    """Talks to the Alertmanager at `url`; `server_name` is whose certificate it shows, where the URL does not say."""

    def __init__(self, url: str, session: aiohttp.ClientSession, server_name: str | None = None) -> None:
        self.url = url
        self._server_name = server_name
        self._api = f"{url.rstrip('/')}/api/v2"
        self._metrics = f"{url.rstrip('/')}/metrics"
        self._session = session
        self._decoder = msgspec.json.Decoder(list[Standing])

    async def post(self, alerts: list[dict[str, Any]]) -> None:
        """Post alerts. Raises Unavailable, Refused."""
        body = msgspec.json.encode(alerts)
        status, _ = await self._request("POST", "/alerts", data=body, headers={"Content-Type": "application/json"})
        if status in _REFUSED:
            raise Refused(f"status {status}")
        if status >= 300:  # a redirected POST would become a GET and tell nobody
            raise Unavailable(f"status {status}")

    async def standing(self) -> list[Standing]:
        """Return the device alerts that it has, ours and those of Prometheus' rules. Raises Unavailable.

        None where it does not let us ask: then we post without asking.
        """
        status, body = await self._request("GET", "/alerts", params=_FILTER)
        if 400 <= status < 500:
            return []
        if status >= 300:
            raise Unavailable(f"status {status}")
        try:
            return self._decoder.decode(body)
        except msgspec.DecodeError as error:
            raise Unavailable("the answer is not a list of alerts") from error

    async def configuration(self) -> str:
        """Return the YAML that it runs with, secrets left out. Raises Unavailable."""
        status, body = await self._request("GET", "/status")
        try:
            if status == 200:
                return msgspec.json.decode(body, type=_Status).config.original
        except msgspec.DecodeError as error:
            raise Unavailable("the answer is not a status") from error
        raise Unavailable(f"status {status}")

    async def metrics(self) -> str:
        """Return its own metrics. Raises Unavailable."""
        status, body = await self._ask("GET", self._metrics)
        if status != 200:
            raise Unavailable(f"status {status}")
        return body.decode(errors="replace")

    async def _request(self, method: str, path: str, **arguments: Any) -> tuple[int, bytes]:  # noqa: ANN401 - aiohttp's own
        return await self._ask(method, self._api + path, **arguments)

    async def _ask(self, method: str, url: str, **arguments: Any) -> tuple[int, bytes]:  # noqa: ANN401 - aiohttp's own
        try:
            async with self._session.request(
                method, url, allow_redirects=False, server_hostname=self._server_name, **arguments
            ) as answer:
                return answer.status, await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(str(error) or type(error).__name__) from error


@contextlib.asynccontextmanager
async def session(settings: Alertmanager) -> AsyncIterator[aiohttp.ClientSession]:
    """Give a client session with the configured time-out, credentials and trust. OSError: a file cannot be read."""
    headers = {"User-Agent": f"device-exporter/{__version__}"}
    if settings.basic_auth is not None:
        given = settings.basic_auth
        headers["Authorization"] = aiohttp.encode_basic_auth(given.username, given.password, "utf-8")
    trust: ssl.SSLContext | bool = True
    if settings.tls is not None:
        trust = ssl.create_default_context(cafile=settings.tls.ca_file)
        if settings.tls.cert_file:
            trust.load_cert_chain(settings.tls.cert_file, settings.tls.key_file)
        if settings.tls.insecure_skip_verify:
            trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    timeout = aiohttp.ClientTimeout(total=settings.timeout)
    connector = aiohttp.TCPConnector(ssl=trust, keepalive_timeout=120)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout, connector=connector) as opened:
        yield opened
