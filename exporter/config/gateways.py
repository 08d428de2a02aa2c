"""Gateways of the configuration: the preset with the file's own mapping over it, and what goes together.

Reads the presets, which are files of this package.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import msgspec

from exporter.domain.identity import BUILT_IN_GATEWAY, ENGINE_LENGTH
from exporter.gateways.mapping import BadMapping, Mapping, laid_over, parse_mapping
from exporter.gateways.preset import Options, Preset
from exporter.gateways.preset import Owner as Business
from exporter.gateways.state_api import StateReader, api_at
from exporter.lib.durations import format_duration
from exporter.lib.times import parse_time, zone_of
from exporter.lib.visible import shows
from exporter.lib.yaml import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.config.checks import Checks
    from exporter.config.errors import Path
    from exporter.config.schema import Gateway, Owner

_PRESETS: Final = "exporter.gateways.presets"
NAME: Final = re.compile(r"[a-z0-9-]{1,32}")
LEAST_PATH_SECRET: Final = 16
LONGEST_SOFT: Final = 3600.0
LEAST_INTERVAL: Final = 5.0
LEAST_SILENCE: Final = 600.0


@cache
def preset_names() -> tuple[str, ...]:
    """Return the names of the presets, in alphabetical order."""
    found = (PurePath(file.name) for file in files(_PRESETS).iterdir())
    return tuple(sorted(file.stem for file in found if file.suffix == ".yaml"))


@cache
def preset(name: str) -> dict[str, Any]:
    """Return the tree of a preset."""
    tree = parse_yaml(files(_PRESETS).joinpath(f"{name}.yaml").read_text(encoding="utf-8"))
    assert isinstance(tree, dict)  # noqa: S101 - a file of this package
    return tree


def checked(gateways: dict[str, Gateway], checks: Checks) -> dict[str, Gateway]:
    """Return the gateways that can be used, with what their presets fill in; mistakes are noted."""
    found = {}
    for name, gateway in gateways.items():
        complete = _complete(name, gateway, ("gateways", name), checks)
        if complete is not None:
            found[name] = complete
    return found


def _complete(name: str, gateway: Gateway, path: Path, checks: Checks) -> Gateway | None:
    if not NAME.fullmatch(name) or name == BUILT_IN_GATEWAY:
        checks.wrong(path, f"a gateway's name has 1 to 32 of a-z, 0-9 and -, and is not {BUILT_IN_GATEWAY}")
        return None
    if gateway.preset not in preset_names():
        checks.wrong((*path, "preset"), f"expected one of {', '.join(preset_names())}, got {gateway.preset!r}")
        return None
    try:
        mapping = parse_mapping(laid_over(preset(gateway.preset), gateway.mapping))
    except BadMapping as error:
        checks.wrong((*path, "mapping", *error.path), str(error))
        return None
    complete = msgspec.structs.replace(
        gateway,
        reading=mapping,
        secret=checks.secret(gateway.secret, (*path, "secret")),
        auth=gateway.auth or mapping.proof.auth,
        timezone=checks.zone(gateway.timezone, (*path, "timezone")).key if gateway.timezone else "",
        soft_after=mapping.soft_after if gateway.soft_after is None else gateway.soft_after,
        state=_with_interval(gateway, mapping),
    )
    _check(complete, mapping, path, checks)
    return complete


def _with_interval(gateway: Gateway, mapping: Mapping) -> Any:  # noqa: ANN401
    api, state = mapping.api, gateway.state
    if state is None or state.every is not None or api is None:
        return state
    return msgspec.structs.replace(state, every=max(api.every, 60.0))


def _check(gateway: Gateway, mapping: Mapping, path: Path, checks: Checks) -> None:
    if mapping.webhook and not gateway.secret:
        checks.wrong((*path, "secret_file"), "is required: the gateway must prove itself")
    if gateway.auth == "path" and gateway.secret:
        _check_path_secret(gateway.secret, path, checks)
    if gateway.auth == "hmac" and not mapping.proof.hmac_header:
        checks.wrong((*path, "auth"), f"the preset {gateway.preset} signs nothing; expected header, path or jwt")
    if len(gateway.engine) > ENGINE_LENGTH:
        checks.wrong((*path, "engine"), f"must have at most {ENGINE_LENGTH} characters")
    if not 0 <= (gateway.soft_after or 0) <= LONGEST_SOFT:
        checks.wrong((*path, "soft_after"), f"must be at most {format_duration(LONGEST_SOFT)}")
    owners: dict[Path, Owner | None] = {("businesses", name): owner for name, owner in gateway.businesses.items()}
    for key, owner in {("business",): gateway.business, **owners}.items():
        if owner is not None and not (shows(owner.id) and owner.id.isprintable()):
            checks.wrong((*path, *key, "id"), "must be a printable text")
    _check_state(gateway, mapping, path, checks)


def _check_path_secret(secret: str, path: Path, checks: Checks) -> None:
    if quote(secret, safe="~") != secret or len(secret) < LEAST_PATH_SECRET:
        message = f"stands in a path: expected at least {LEAST_PATH_SECRET} of A-Z, a-z, 0-9 and -._~"
        checks.wrong((*path, "secret"), message)


def _check_state(gateway: Gateway, mapping: Mapping, path: Path, checks: Checks) -> None:
    state = gateway.state
    if state is None:
        if not mapping.webhook:
            checks.wrong((*path, "state"), f"is required: {gateway.preset} sends no webhooks")
        return
    path = (*path, "state")
    if mapping.api is None:
        checks.wrong(path, f"the preset {gateway.preset} has no state API")
        return
    parts = checks.url(state.url, (*path, "url"))
    if parts.username is not None or parts.query or parts.fragment:
        checks.wrong((*path, "url"), "expected a URL without credentials, ? and #; keys go into key_file")
    checks.at_least(state.every or 0, LEAST_INTERVAL, (*path, "every"))
    if state.silent_after is not None:
        checks.at_least(state.silent_after, LEAST_SILENCE, (*path, "silent_after"))
        api = api_at(mapping, state.url)
        if api is None or not api.activity:
            checks.wrong((*path, "silent_after"), "this state API does not tell whether a session has messages")


def preset_of(name: str, gateway: Gateway, clock: Callable[[], float]) -> Preset:
    """Return a configured gateway."""
    assert gateway.reading is not None  # noqa: S101 - the configuration is checked
    owner = gateway.business
    options = Options(
        auth=gateway.auth or "header",
        business=Business(name, name) if owner is None else Business(owner.id, owner.name),
        businesses={session: Business(one.id, one.name) for session, one in gateway.businesses.items()},
        read_local=read_local(gateway),
        clock=clock,
        engine=gateway.engine,
    )
    return Preset(name, gateway.reading, options)


def read_local(gateway: Gateway) -> Callable[[str], float]:
    """Return what reads an ISO time that the gateway writes, in its zone where it names none."""
    zone = zone_of(gateway.timezone or "UTC")
    return lambda text: parse_time(text, zone)


def state_reader(gateway: Gateway) -> StateReader | None:
    """Return what reads the gateway's own state API; None where it is not to be asked."""
    if gateway.reading is None or gateway.state is None:
        return None
    return StateReader(gateway.reading, gateway.state.url, gateway.state.key, read_local(gateway))
