"""What the chart must know of the exporter's configuration: the schema of `config`, and which keys hold secrets. Pure.

Both come from the exporter's own types, so that a new key is known here as soon as it is there.
"""

from __future__ import annotations

from typing import Any, Final, Literal, get_args, get_origin

import msgspec
import yaml

from exporter.config.build import field_types, is_struct, without_none
from exporter.config.gateways import NAME
from exporter.config.schema import Config, Secret
from exporter.config.sources import ANY, PREFIX, keys
from exporter.conventions import ALERT_LABELS
from exporter.domain.identity import BUILT_IN_GATEWAY
from exporter.domain.policy import Policies, Policy
from exporter.lib.durations import Duration, Size

Tree = dict[str, Any]
Path = tuple[str, ...]

IN_A_LIST: Final = "[]"
_EMPTY: Final = {kind: [kind, "null"] for kind in ("object", "array")}
"""A section without anything in it is null in YAML."""
_KINDS: Final = {bool: "boolean", int: "integer", float: "number", str: "string", Secret: "string"}


def knowledge() -> str:
    """Return what the chart's checks read: files/configuration.yaml."""
    secrets = [{"key": ".".join(path), "variable": variable_of(path)} for path in secret_keys()]
    tree = {
        "secrets": secrets,
        "gatewayName": f"^(?:{NAME.pattern})$",
        "gatewayTaken": BUILT_IN_GATEWAY,
        "labelsTaken": sorted(ALERT_LABELS),
    }
    return yaml.safe_dump(tree, sort_keys=False, width=10**6)


def secret_keys() -> list[Path]:
    """Return the keys that hold secrets: each has a sibling that names a file with it."""
    known = list(keys())
    return [path for path in known if (*path[:-1], f"{path[-1]}_file") in known]


def variable_of(path: Path) -> str:
    """Return a pattern of the environment variables that set a key, or a whole map or list that it is in."""
    chosen = next((place for place, part in enumerate(path) if part in (ANY, IN_A_LIST)), len(path))
    whole, rest = PREFIX + "_".join(path[:chosen]).upper(), path[chosen + 1 :]
    if IN_A_LIST in path or not rest:
        return whole
    return f"{whole}(_.+_{'_'.join(rest).upper()})?"


def schema_of(type_: Any = Config) -> Tree:  # noqa: ANN401, PLR0911 - any type hint; one return a kind
    """Return the JSON schema of a type of the configuration, as YAML gives its values."""
    type_, optional = without_none(type_)
    if optional:
        return _or_null(schema_of(type_))
    if type_ is Policies:
        return {"type": _EMPTY["object"], "additionalProperties": schema_of(Policy)}
    if is_struct(type_):
        return _object(type_)
    if type_ in (Duration, Size):  # 0 needs no unit, bytes neither
        return {"type": ["string", "integer"]}
    if get_origin(type_) is Literal:
        return {"enum": list(get_args(type_))}
    if get_origin(type_) is dict:
        return {"type": _EMPTY["object"], "additionalProperties": schema_of(get_args(type_)[1])}
    if get_origin(type_) is tuple:
        return {"type": _EMPTY["array"], "items": schema_of(get_args(type_)[0])}
    return {} if type_ is Any else {"type": _KINDS[type_]}


def _or_null(schema: Tree) -> Tree:
    """Return the schema that also takes null; "enum" alone has no type."""
    if "enum" in schema:
        return {"enum": [*schema["enum"], None]}
    given = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    return schema | {"type": [*dict.fromkeys([*given, "null"])]}


def _object(type_: type[msgspec.Struct]) -> Tree:
    required = sorted(field.name for field in msgspec.structs.fields(type_) if field.required)
    return {
        "type": _EMPTY["object"],
        "additionalProperties": False,
        "properties": {name: schema_of(hint) for name, hint in field_types(type_).items()},
        **({"required": required} if required else {}),
    }
