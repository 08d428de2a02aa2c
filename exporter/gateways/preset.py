"""A gateway that is described by a mapping: bytes of its webhooks in, states of its sessions out. Pure.

Values of a body reach no further than ids and names of bounded length, words that a table knows, and times. Of a body
that cannot be understood the quarantine keeps the mapping's own fields and nothing else: never a key, a token or a QR
code. A time that cannot be believed is replaced by the time of arrival: a wrong clock must not cost an outage.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qs

import msgspec

from exporter.conventions import OTHER_EVENT
from exporter.domain.identity import ENGINE_LENGTH, ID_LENGTH, NAME_LENGTH, Identity
from exporter.errors import InvalidEvent
from exporter.gateways import proof
from exporter.gateways.events import STATE_EVENTS, IgnoredEvent, SessionEvent
from exporter.gateways.every_sender import EARLIEST, mend_surrogates
from exporter.gateways.gateway import JSON
from exporter.gateways.mapping import Decision, Mapping, Table, Time, Where, meaning, pointers
from exporter.gateways.pointer import Pointer, compile_pointer, find, text_at
from exporter.lib.visible import shows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from collections.abc import Mapping as AnyMapping

    from exporter.gateways.events import Known, Seen
    from exporter.gateways.mapping import Auth, State

FORM: Final = frozenset(("application/x-www-form-urlencoded",))
ZONE_STEP: Final = 900
"""Zones differ by multiples of a quarter of an hour."""
ZONE_LEAST: Final = 3300
"""Seconds that no retry is late by: a time that is further off by whole zones was written in a wrong one."""
ZONE_SLACK: Final = 60
KEPT_LENGTH: Final = 64
ITEMS: Final = 50
"""Transitions of one body that are looked at, newest last."""


class Owner(NamedTuple):
    """A business."""

    id: str
    name: str


class Options(NamedTuple):
    """What the configuration says of one gateway."""

    auth: Auth
    business: Owner
    businesses: AnyMapping[str, Owner]
    read_local: Callable[[str], float]
    """Unix seconds of an ISO time without an offset, in the zone of the gateway. ValueError, OverflowError."""
    clock: Callable[[], float]
    engine: str = ""


class Preset:
    """Implements Gateway."""

    event_types = frozenset(STATE_EVENTS.values())
    refuses_invalid = False

    def __init__(self, name: str, mapping: Mapping, options: Options) -> None:
        self.name = name
        self.media_types = JSON if mapping.body == "json" else FORM | JSON
        self._form_field = mapping.body.partition(":")[2]
        self._mapping, self._options = mapping, options
        self.signs_body = options.auth == "hmac"
        self._session, self._name = pointers(mapping.session), pointers(mapping.name)
        self._split = compile_pointer(mapping.split) if mapping.split else None
        self._read_state = decide(mapping.state)
        self._read_time = None if mapping.time is None else When(mapping.time, options.read_local)
        self._engine = _engine(mapping.engine, options.engine)
        owner = mapping.business
        self._owner = ((), ()) if owner is None else (pointers(owner.id), pointers(owner.name))
        self._kept = tuple(dict.fromkeys(_all_pointers(mapping)))

    def proves(self, path: str, headers: AnyMapping[str, str], body: bytes, secret: str) -> bool:
        """See Gateway."""
        match self._options.auth:
            case "path":
                return proof.by_path(path, secret)
            case "hmac":
                return proof.by_signature(headers, body, secret, self._mapping.proof)
            case "jwt":
                return proof.by_token(headers, secret, self._options.clock())
        return proof.by_header(headers, self._mapping.proof.header, secret)

    def read(self, body: bytes, *, now: float, latest: float, known: Known, path: str) -> Sequence[Seen]:
        """See Gateway."""
        root = self._decoded(body)
        items = find(root, self._split) if self._split else None
        if not isinstance(items, list) or not items:
            return (self._one(root, now, latest, known, path),)
        return [self._one({**root, "item": item}, now, latest, known, path) for item in items[-ITEMS:]]

    def type_of(self, body: bytes) -> str:  # noqa: ARG002
        """See Gateway."""
        return OTHER_EVENT

    def redact(self, body: bytes) -> tuple[bytes | None, str]:
        """See Gateway."""
        digest = hashlib.sha256(body).hexdigest()
        try:
            root = self._decoded(body)
        except InvalidEvent:
            return None, digest
        found = {"/" + "/".join(pointer): text_at(root, (pointer,))[:KEPT_LENGTH] for pointer in self._kept}
        kept = {"gateway": self.name, **{place: text for place, text in found.items() if text}}
        return msgspec.json.encode(kept), digest

    def session_of(self, device_id: str) -> str:
        """Return what the gateway itself calls a device."""
        return device_id.removeprefix(f"{self.name}:")

    def identify(self, session: str, name: str, business: Owner | None, engine: str, known: Known) -> Identity:
        """Return who a session is. What the gateway did not say now stays as it was. InvalidEvent."""
        device_id = f"{self.name}:{session}"
        _check(session, device_id, ID_LENGTH, "session")
        _check(engine, engine, ENGINE_LENGTH, "engine")
        present = known(device_id)
        options = self._options
        owner = business or options.businesses.get(session) or self._known_owner(present) or options.business
        _check(owner.id, owner.id, ID_LENGTH, "business")
        called = clean_name(name) or (present.device_name if present is not None else "") or session
        identity = Identity(
            *(device_id, called, engine, device_id, called, owner.id, clean_name(owner.name), "", ""), self.name
        )
        return present if present == identity and present is not None else identity

    def _known_owner(self, present: Identity | None) -> Owner | None:
        """Return the business that a device has by now, where its gateway can name one and may have done so."""
        if present is None or self._mapping.business is None or present.business_id == self.name:
            return None  # its gateway's name is what a business is called that nobody named
        return Owner(present.business_id, present.business_name)

    def engine_of(self, root: Any) -> str:  # noqa: ANN401 - any JSON value
        """Return the engine of a session that a body tells of."""
        return self._engine(root)

    def _one(self, root: Any, now: float, latest: float, known: Known, path: str) -> Seen:  # noqa: ANN401
        state, reason = self._read_state(root)
        if state == "ignored":
            return _IGNORED
        session = text_at(root, self._session)
        if not session and self._mapping.session_in_path:
            session = self._session_in(path)
        if not session:
            raise InvalidEvent("missing_field", "is missing", f"session: {_shown(self._mapping.session)}")
        at, shift, heard = (now, 0, True) if self._read_time is None else self._read_time(root, now, latest)
        owner = Owner(text_at(root, self._owner[0]), text_at(root, self._owner[1]))
        name = text_at(root, self._name)
        identity = self.identify(session, name, owner if owner.id else None, self._engine(root), known)
        return SessionEvent(round(at * 1000), state, identity, reason, heard=heard, shift=shift)

    def _session_in(self, path: str) -> str:
        parts = path.split("/")[1 if self._options.auth == "path" else 0 :]
        return parts[0] if parts else ""

    def _decoded(self, body: bytes) -> dict[str, Any]:
        try:
            text = body.decode()
            if self._form_field and not text.lstrip().startswith("{"):
                text = parse_qs(text, max_num_fields=50).get(self._form_field, [""])[0]
            root = msgspec.json.decode(mend_surrogates(text))
        except UnicodeDecodeError as error:
            raise InvalidEvent("invalid_utf8", f"the body is not UTF-8 at byte {error.start}") from None
        except RecursionError:
            raise InvalidEvent("too_deep", "the body is nested too deeply") from None
        except ValueError:
            raise InvalidEvent("invalid_json", "the body is not JSON") from None
        if not isinstance(root, dict):
            raise InvalidEvent("invalid_type", "expected an object", "body")
        return root


_IGNORED: Final = IgnoredEvent()
_ZONE: Final = re.compile(r"(Z|[+-]\d\d:?\d\d)$")


def decide(decision: Decision) -> Callable[[Any], tuple[State, str]]:
    """Return the compiled decision: a body in, its state and reason class out."""
    by, other = pointers(decision.by), meaning(decision.otherwise)
    table: dict[str, Callable[[Any], tuple[State, str]] | tuple[State, str]] = {
        word: decide(inner) if isinstance(inner, Decision) else meaning(inner) for word, inner in decision.is_.items()
    }

    def decided(root: Any) -> tuple[State, str]:  # noqa: ANN401
        found = table.get(text_at(root, by), other)
        return found if isinstance(found, tuple) else found(root)

    return decided


class When:
    """Reads the time of an event, and does not believe everything."""

    def __init__(self, time: Time, read_local: Callable[[str], float]) -> None:
        self._at, self._format, self._read_local = pointers(time.at), time.format, read_local

    def __call__(self, root: Any, now: float, latest: float) -> tuple[float, int, bool]:  # noqa: ANN401
        """Return Unix seconds, by how many whole zones the gateway's time was off, and whether it told none."""
        at = self.read(root)
        if at is None:
            return now, 0, True
        shift = round((at - now) / ZONE_STEP) * ZONE_STEP
        if self._format == "local" and abs(at - now) > ZONE_LEAST and abs(at - now - shift) < ZONE_SLACK:
            return now, shift, False
        return (at if EARLIEST <= at <= latest else now), 0, False

    def read(self, root: Any) -> float | None:  # noqa: ANN401
        """Return Unix seconds; None where there is no time."""
        text = text_at(root, self._at)[:40]
        try:
            if text.isascii() and text.replace(".", "", 1).isdigit():
                return _unix(float(text))
            return self._read_local(_ZONE.sub("", text) if self._format == "local" else text)
        except (ValueError, OverflowError):
            return None


def _unix(value: float) -> float | None:
    """Return seconds of a number that may be seconds, milliseconds or finer."""
    for least, divisor in ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3)):
        if value >= least:
            return value / divisor
    return value if value >= EARLIEST else None


def _engine(given: str | Table, configured: str) -> Callable[[Any], str]:
    if configured or isinstance(given, str):
        constant = configured or str(given)
        return lambda _root: constant
    by, table = pointers(given.by), given.is_
    default = next(iter(table.values()), "wa")
    return lambda root: table.get(text_at(root, by), default)


def _all_pointers(mapping: Mapping) -> list[Pointer]:
    """Return where a mapping looks for what may be kept: the session, the state, the time."""
    found = [*pointers(mapping.session), *_pointers_of(mapping.state)]
    return [*found, *pointers(mapping.time.at)] if mapping.time is not None else found


def _pointers_of(decision: Decision) -> list[Pointer]:
    inner = [one for one in decision.is_.values() if isinstance(one, Decision)]
    return [*pointers(decision.by), *(pointer for one in inner for pointer in _pointers_of(one))]


def _check(text: str, whole: str, length: int, what: str) -> None:
    if not shows(text) or len(whole) > length or not text.isprintable() or "\ufffd" in text:
        raise InvalidEvent("invalid_id", f"must have 1 to {length} printable characters", what)


def clean_name(name: str) -> str:
    """Return a name that can be shown: without control characters, not too long; empty where nothing is to be seen."""
    cleaned = "".join(letter if letter.isprintable() else " " for letter in name[:NAME_LENGTH]).strip()
    return cleaned if shows(cleaned) else ""


def _shown(where: Where) -> str:
    return where if isinstance(where, str) else " or ".join(where)
