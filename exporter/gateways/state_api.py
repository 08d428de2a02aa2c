"""A gateway's own state API, by its mapping: which request to make, and what the answer says. Pure.

The address is the configuration's and nothing of a body's. A key goes into a header, into basic auth, or where the API
wants it, into the path: such an address must never be logged.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote, urlsplit

import msgspec

from exporter.gateways.mapping import pointers
from exporter.gateways.pointer import compile_pointer, find, text_at
from exporter.gateways.preset import When, decide
from exporter.gateways.reasons import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.gateways.mapping import Api, Mapping, State

LABELS: Final = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"')


class BadAnswer(ValueError):
    """The answer is not what the API gives. The message shows nothing of it."""


class Call(NamedTuple):
    """A request."""

    method: str
    url: str
    headers: dict[str, str]


class Reading(NamedTuple):
    """What the gateway says of one session. `at`: when it went down, Unix seconds, where it tells.

    Ignored: it is there, and nothing else is known of it. A session of the list without a name is "".
    """

    session: str
    name: str
    state: State
    reason: str
    at: float | None
    root: Any
    """The session's part of the answer."""
    activity: str = ""
    """What changes with each message; "" where the gateway does not tell."""


class StateReader:
    """Makes requests and reads answers of one gateway."""

    def __init__(self, mapping: Mapping, url: str, key: str, read_local: Callable[[str], float]) -> None:
        api = api_at(mapping, url)
        assert api is not None  # noqa: S101 - the configuration is checked
        self._api: Api = api
        self._base = url.rstrip("/").removesuffix(_METRICS) if api is mapping.metrics else url.rstrip("/")
        lines = [line.split(None, 1) for line in key.splitlines() if line.strip()]
        self._keys = {line[0]: line[1].strip() for line in lines if len(line) == 2}
        self._key = "" if self._keys else key.strip()
        self._list = compile_pointer(api.list) if api.list else ()
        self._session, self._name = pointers(api.session), pointers(api.name)
        self._activity = pointers(api.activity)
        self._decide = decide(api.state)
        self._when = None if api.time is None else When(api.time, read_local)
        self._settings_url = pointers(api.settings_url)

    @property
    def one_by_one(self) -> bool:
        """Whether each session is asked for by itself."""
        return "{session}" in self._api.path

    @property
    def tells_settings(self) -> bool:
        """Whether the gateway tells where it sends its webhooks to."""
        return bool(self._api.settings_path)

    def call(self, session: str = "") -> Call:
        """Return the request for the states, of one session where they are asked for one by one."""
        return self._call(self._api.method, self._api.path, session)

    def settings_call(self, session: str) -> Call:
        """Return the request for the webhook settings of a session."""
        return self._call("GET", self._api.settings_path, session)

    def read(self, body: bytes, session: str = "") -> list[Reading]:
        """Return what an answer says; one of a single session says it of that session. Raises BadAnswer."""
        if self._api.format.startswith("prometheus:"):
            return self._of_samples(_samples(body, self._api.format.partition(":")[2]))
        root = _decoded(body)
        if self.one_by_one:
            return [self._reading({**root, "session": session})] if isinstance(root, dict) else []
        items = find(root, self._list)
        if not isinstance(items, list):
            raise BadAnswer("the answer has no list of sessions")
        return [self._reading(item) for item in items]

    def settings_of(self, body: bytes) -> str:
        """Return where the webhooks of a session go; "" where nowhere. Raises BadAnswer."""
        return text_at(_decoded(body), self._settings_url)

    def _of_samples(self, samples: list[tuple[Any, bool]]) -> list[Reading]:
        """Return what samples say: those with the value 1 are the sessions' states, the others name sessions."""
        found = [self._reading(labels) for labels, one in samples if one]
        others = {text_at(labels, self._session) for labels, _ in samples} - {reading.session for reading in found}
        return found + [Reading(session, "", "ignored", UNKNOWN, None, None) for session in others]

    def _reading(self, item: Any) -> Reading:  # noqa: ANN401 - any JSON value
        session, (state, reason) = text_at(item, self._session), self._decide(item)
        if not session or state in ("ignored", "gone"):
            return Reading(session, "", "ignored", UNKNOWN, None, item)
        at = None if self._when is None else self._when.read(item)
        name, activity = text_at(item, self._name), text_at(item, self._activity)
        return Reading(session, name, state, reason, at, item, activity)

    def _call(self, method: str, path: str, session: str) -> Call:
        api, key = self._api, self._keys.get(session, self._key)
        headers = {"Accept": "*/*"}
        if key and api.basic:
            headers["Authorization"] = f"Basic {base64.b64encode(key.encode()).decode()}"
        elif key and api.header:
            headers[api.header] = f"{api.prefix}{key}"
        filled = path.replace("{session}", quote(session, safe="")).replace("{key}", quote(key, safe=""))
        return Call(method, self._base + filled, headers)


_METRICS: Final = "/metrics"


def api_at(mapping: Mapping, url: str) -> Api | None:
    """Return which of a gateway's state APIs an address is of."""
    by_metrics = mapping.metrics is not None and urlsplit(url).path.rstrip("/").endswith(_METRICS)
    return mapping.metrics if by_metrics else mapping.api


def _decoded(body: bytes) -> Any:  # noqa: ANN401
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        raise BadAnswer("the answer is not JSON") from None


def _samples(body: bytes, metric: str) -> list[tuple[Any, bool]]:
    """Return the labels of a metric's samples, and whether the value is 1."""
    found = []
    for line in body.decode("utf-8", "replace").splitlines():
        if line.startswith(metric + "{"):
            labels, _, value = line.removeprefix(metric).rpartition("} ")
            found.append((dict(LABELS.findall(labels)), value.split()[:1] in (["1"], ["1.0"])))
    if not found and metric not in body.decode("utf-8", "replace"):
        raise BadAnswer(f"the answer has no {metric}")
    return found
