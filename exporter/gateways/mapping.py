"""The vocabulary in which a gateway is described as data: where things are in a body, and what its words mean. Pure.

No expressions: pointers, tables of words and decisions are all there is, because bodies are hostile input. A preset is
such a description that comes with the program; keys of `gateways.NAME.mapping` are laid over it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from exporter.gateways.pointer import Pointer, compile_pointer
from exporter.gateways.reasons import CONNECTION_LOST, REASONS, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Mapping as AnyMapping

Auth = Literal["header", "path", "hmac", "jwt"]
State = Literal["up", "hard", "soft", "gone", "ignored"]
STATES: Final = ("up", "hard", "soft", "gone", "ignored")
Where = str | list[str]
"""A pointer, or several of which the first that finds something counts."""


class Given(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What every part of a mapping is: keys that are not known are mistakes."""


class Decision(Given, frozen=True, rename={"is_": "is", "otherwise": "else"}):
    """What a value means: `up`, `hard`, `soft`, `gone` or `ignored`; hard and soft with a reason class behind them."""

    by: Where
    is_: dict[str, str | Decision]
    otherwise: str = "ignored"


class Proof(Given, frozen=True):
    """How the sender can prove itself. `auth` is what counts where the configuration does not choose."""

    auth: Auth = "header"
    header: str = "Authorization"
    hmac_header: str = ""
    hash: Literal["sha256", "sha512"] = "sha256"
    prefix: str = ""
    """What stands before the hex digits of the signature."""


class Time(Given, frozen=True):
    """When it happened: Unix time in any unit, or ISO 8601, of which `local` does not believe the zone.

    Nothing found: when it arrived.
    """

    at: Where
    format: Literal["any", "local"] = "any"


class Table(Given, frozen=True, rename={"is_": "is"}):
    """A value by another value."""

    by: Where
    is_: dict[str, str]


class Owner(Given, frozen=True):
    """Whose session it is, where the event says so."""

    id: Where
    name: Where = ()  # type: ignore[assignment]


class Api(Given, frozen=True):
    """The gateway's own state API: one request, or one for each session where the path has `{session}`.

    `{key}` in the path stands for the key, which else goes into `header`. `format` is `prometheus:<metric>` where the
    answer is an exposition: then its samples with the value 1 are the list, their labels the fields.
    """

    path: str
    session: Where
    state: Decision
    method: Literal["GET", "POST"] = "GET"
    header: str = ""
    prefix: str = ""
    basic: bool = False
    list: str = ""
    format: str = "json"
    name: Where = ()  # type: ignore[assignment]
    time: Time | None = None
    """When it went down, where the gateway tells."""
    activity: Where = ()  # type: ignore[assignment]
    """What changes with each message of a session, such as a time or a count, where the gateway tells."""
    settings_path: str = ""
    """Where the gateway tells its webhook settings of a session."""
    settings_url: Where = ()  # type: ignore[assignment]
    every: float = 60.0
    """The shortest interval, seconds."""


class Mapping(Given, frozen=True):
    """A gateway, as data."""

    session: Where
    state: Decision
    body: str = "json"
    """`json`, or `form:<field>` for a form of which one field holds the JSON."""
    split: str = ""
    """Where a list of transitions is: each is looked at as `/item`."""
    session_in_path: bool = False
    """Whether what follows the gateway's path names the session if the body does not."""
    name: Where = ()  # type: ignore[assignment]
    engine: str | Table = "wa"
    business: Owner | None = None
    time: Time | None = None
    soft_after: float = 60.0
    max_body: int = 256 * 1024
    proof: Proof = Proof()
    webhook: bool = True
    """Whether the gateway calls us at all."""
    api: Api | None = None
    metrics: Api | None = None
    """The same by an exposition, for a `state.url` that ends with /metrics."""


class BadMapping(ValueError):
    """A mapping that cannot be used; `path` are the keys to the mistake."""

    def __init__(self, path: tuple[str, ...], message: str) -> None:
        super().__init__(message)
        self.path = path


def laid_over(base: AnyMapping[str, Any], given: AnyMapping[str, Any]) -> dict[str, Any]:
    """Return a tree with another one over it, key by key; nothing (null) takes a key away."""
    merged = dict(base)
    for key, value in given.items():
        below = merged.get(key)
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict) and isinstance(below, dict):
            merged[key] = laid_over(below, value)
        else:
            merged[key] = value
    return merged


def parse_mapping(tree: AnyMapping[str, Any]) -> Mapping:
    """Return a mapping that can be used. Raises BadMapping."""
    try:
        mapping = msgspec.convert(_with_text_keys(tree), Mapping)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        raise BadMapping(tuple(place.rstrip("`").lstrip(".").split(".")) if place else (), message) from None
    _check(mapping, ())
    return mapping


def meaning(words: str) -> tuple[State, str]:
    """Return the state and the reason class of words such as `hard banned`. Raises ValueError."""
    state, _, reason = words.partition(" ")
    if state not in STATES or (reason and (reason not in REASONS or state not in ("hard", "soft"))):
        raise ValueError(
            f"expected {', '.join(STATES)}, after hard and soft perhaps one of {', '.join(REASONS)}; got {words[:40]!r}"
        )
    return state, reason or (CONNECTION_LOST if state == "soft" else UNKNOWN)  # type: ignore[return-value]


def pointers(where: Where) -> tuple[Pointer, ...]:
    """Return the compiled pointers. Raises ValueError."""
    return tuple(compile_pointer(text) for text in ([where] if isinstance(where, str) else where))


def _with_text_keys(value: Any) -> Any:  # noqa: ANN401 - a tree of plain values
    """Return a tree in which 401 and true are as good as keys as "401" and "true"."""
    if isinstance(value, dict):
        return {str(key).lower() if isinstance(key, bool) else str(key): _with_text_keys(v) for key, v in value.items()}
    return value


def _check(part: Given, path: tuple[str, ...]) -> None:
    """Check what the types cannot say, in every part."""
    for field in msgspec.structs.fields(type(part)):
        value, at = getattr(part, field.name), (*path, field.encode_name)
        try:
            if field.name in _WHERE:
                pointers(value)
            elif field.name in ("list", "split") and value:
                compile_pointer(value)
            elif field.name == "otherwise":
                meaning(value)
        except ValueError as error:
            raise BadMapping(at, str(error)) from None
        if isinstance(value, Given):
            _check(value, at)
    if isinstance(part, Decision):
        _check_decision(part, path)


_WHERE: Final = frozenset(("session", "name", "by", "at", "id", "settings_url"))


def _check_decision(decision: Decision, path: tuple[str, ...]) -> None:
    for word, inner in decision.is_.items():
        at = (*path, "is", word)
        if isinstance(inner, Decision):
            _check(inner, at)
            continue
        try:
            meaning(inner)
        except ValueError as error:
            raise BadMapping(at, str(error)) from None
