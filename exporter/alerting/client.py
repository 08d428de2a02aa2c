"""One Alertmanager over HTTP: post alerts, and ask which it has. API v2."""

from __future__ import annotations

import contextlib
import re
import ssl
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

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
_IN_FORCE: Final = {"active": "true", "pending": "false", "expired": "false"}
_FILTER: Final = [("filter", f'alertname=~"{_OURS}"'), ("filter", f'source=~"{SOURCE}|{RULES_SOURCE}"')]


class Unavailable(Exception):
    """It did not answer, or not as it should: to be tried again."""


class Refused(Exception):
    """It does not take these alerts and never will."""


class Standing(msgspec.Struct, frozen=True, rename="camel"):
    """An alert that an Alertmanager has, muted ones included."""

    labels: dict[str, str]
    starts_at: datetime
    beside: dict[str, str] = {}
    """Those of its labels that the configuration gave it."""

    def agrees(self, labels: Mapping[str, str]) -> bool:
        """Tell whether it has no other values of these labels, and so may be of this fleet."""
        return all(self.labels.get(name, value) == value for name, value in labels.items())

    def without(self, labels: Mapping[str, str]) -> Standing:
        """Return it with what it has of these labels beside its own."""
        kept = {name: value for name, value in self.labels.items() if name not in labels}
        beside = {name: value for name, value in self.labels.items() if name in labels}
        return msgspec.structs.replace(self, labels=kept, beside=beside)


class Matcher(msgspec.Struct, frozen=True, rename="camel"):
    """One condition of a silence."""

    name: str
    value: str
    is_regex: bool = False
    is_equal: bool = True

    def plain(self) -> dict[str, object]:
        """Return it as the API takes it."""
        return {"name": self.name, "value": self.value, "isRegex": self.is_regex, "isEqual": self.is_equal}

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Tell whether an alert with these labels meets it; what cannot be read is not met."""
        value = labels.get(self.name, "")
        try:
            found = re.fullmatch(self.value, value) is not None if self.is_regex else value == self.value
        except (re.error, RecursionError):
            return False
        return found == self.is_equal


class _SilenceStatus(msgspec.Struct, frozen=True):
    state: str = "active"


class _Made(msgspec.Struct):
    silence_id: str = msgspec.field(name="silenceID")


class Silence(msgspec.Struct, frozen=True, rename="camel"):
    """A silence that an Alertmanager has."""

    id: str
    matchers: list[Matcher]
    starts_at: datetime
    ends_at: datetime
    status: _SilenceStatus = _SilenceStatus()
    created_by: str = ""
    comment: str = ""


class _Configuration(msgspec.Struct):
    original: str


class _Status(msgspec.Struct):
    config: _Configuration
    uptime: str = ""
    """Since when it runs."""


class Client:
    """Talks to the Alertmanager at `url`; `server_name` is whose certificate it shows, where the URL does not say."""

    def __init__(self, url: str, session: aiohttp.ClientSession, server_name: str | None = None) -> None:
        self.url = url
        self._server_name = server_name
        self._api = f"{url.rstrip('/')}/api/v2"
        self._metrics = f"{url.rstrip('/')}/metrics"
        self._session = session
        self._decoder = msgspec.json.Decoder(list[Standing])
        self._silences = msgspec.json.Decoder(list[Silence])

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

    async def silences(self) -> list[Silence]:
        """Return the silences that are in force. Raises Unavailable."""
        status, body = await self._request("GET", "/silences", params=_IN_FORCE)
        if status != 200:
            raise Unavailable(f"status {status}")
        try:
            return [one for one in self._silences.decode(body) if one.status.state == "active"]
        except msgspec.DecodeError as error:
            raise Unavailable("the answer is not a list of silences") from error

    async def silence(self, body: dict[str, Any]) -> str:
        """Make a silence, or renew the one with its id; return its id, which may be another.

        Raises Unavailable, also where the one to be renewed is gone, and Refused.
        """
        headers = {"Content-Type": "application/json"}
        data = msgspec.json.encode(body)
        status, answer = await self._request("POST", "/silences", data=data, headers=headers)
        if status in _REFUSED:
            raise Refused(f"status {status}")
        if status >= 300:
            raise Unavailable(f"status {status}")
        try:
            return msgspec.json.decode(answer, type=_Made).silence_id
        except msgspec.DecodeError as error:
            raise Unavailable("the answer names no silence") from error

    async def end_silence(self, number: str) -> None:
        """End a silence; one that is over or not there is ended. Raises Unavailable."""
        status, body = await self._request("DELETE", f"/silence/{quote(number, safe='')}")
        if status >= 300 and status != 404 and b"already expired" not in body:
            raise Unavailable(f"status {status}")

    async def configuration(self) -> str:
        """Return the YAML that it runs with, secrets left out. Raises Unavailable."""
        if (status := await self._status()) is None:
            raise Unavailable("it does not let us ask for its status")
        return status.config.original

    async def run(self) -> str:
        """Return a word that is another after each of its starts; empty where it does not let us ask. Unavailable."""
        status = await self._status()
        return status.uptime if status is not None else ""

    async def _status(self) -> _Status | None:
        status, body = await self._request("GET", "/status")
        if 400 <= status < 500:
            return None
        try:
            if status == 200:
                return msgspec.json.decode(body, type=_Status)
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
