"""A configuration as YAML for people, with every secret hidden. Pure."""

from __future__ import annotations

import hashlib
from typing import Any, Final, get_args, get_origin

import msgspec
import yaml

from exporter.config.build import field_types, is_struct, without_none
from exporter.config.schema import Config, Secret
from exporter.domain.policy import DEFAULT_ENGINE, Policies, Policy
from exporter.lib.durations import Duration, Size, format_duration, format_size

HIDDEN: Final = "<secret>"
_OF_ONE_EXPORTER: Final = ("storage", "webhook", "web", "log")
"""Sections about where an exporter runs; exporters over one journal must agree in the others."""


def describe(config: Config) -> str:
    """Return the effective configuration, defaults included, as YAML; secrets read `<secret>`."""
    tree = _struct(Config, config)
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=120)


def digest(config: Config) -> int:
    """Return a number that is the same for configurations which tell people the same; no secret is part of it.

    A float holds it exactly.
    """
    tree = {name: value for name, value in _struct(Config, config).items() if name not in _OF_ONE_EXPORTER}
    return int.from_bytes(hashlib.blake2b(msgspec.json.encode(tree, order="sorted"), digest_size=6).digest())


def _struct(type_: type[msgspec.Struct], value: msgspec.Struct) -> dict[str, Any]:
    return {name: _plain(hint, getattr(value, name)) for name, hint in field_types(type_).items()}


def _plain(type_: Any, value: Any) -> Any:  # noqa: ANN401, PLR0911 - any type hint; one return a type
    type_, _ = without_none(type_)
    if value is None:
        return None
    if isinstance(value, Secret):
        return _hidden(value)
    if isinstance(value, Policies):
        order = (DEFAULT_ENGINE, *value.engines)
        return {engine: _struct(Policy, value.by_engine[engine]) for engine in order}
    if is_struct(type_):
        return _struct(type_, value)
    if get_origin(type_) is dict:
        return {name: _plain(get_args(type_)[1], entry) for name, entry in value.items()}
    if get_origin(type_) is tuple:
        return [_plain(get_args(type_)[0], entry) for entry in value]
    if type_ == Duration:
        return format_duration(value).replace(" ", "")
    return format_size(value) if type_ == Size else value


def _hidden(secret: Secret) -> str:
    """Return `<secret>`, nothing for an unset one, and the URL of a file as it is."""
    if not secret:
        return ""
    return str(secret) if secret.startswith("sqlite:///") else HIDDEN
