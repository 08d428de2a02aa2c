"""A tree of plain values in, typed structs out. Every error names the origin and the path of the value.

The only I/O is reading the files that `*_file` keys of secrets name. Relative paths are relative to the configuration
file where they are written in it, else to the working directory.

Types are strict for what YAML gives. Environment variables and flags give text (`Text`), which is read as the type
of its key: lists are comma separated, lists of objects and maps are YAML.
"""

from __future__ import annotations

from pathlib import Path as FilePath
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from exporter.config_errors import suggestion
from exporter.config_schema import COMPUTED, Secret
from exporter.config_yaml import BadYaml, parse_yaml
from exporter.durations import parse_duration, parse_size
from exporter.policy import BUILT_IN, DEFAULT_ENGINE, Policies, Policy

if TYPE_CHECKING:
    from exporter.config_errors import Origins, Path
    from exporter.errors import ConfigError

Tree = dict[str, Any]


class Text(str):
    """A value from the environment or a flag, whose type only its key knows."""

    __slots__ = ()


def field_types(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the keys that a configuration may set in a struct, with their types."""
    return {name: hint for name, hint in get_type_hints(struct, include_extras=True).items() if name not in COMPUTED}


def is_struct(type_: Any) -> bool:  # noqa: ANN401 - any type hint
    """Tell whether a type hint is one of our structs that is written as a YAML mapping of fixed keys."""
    return isinstance(type_, type) and issubclass(type_, msgspec.Struct) and type_ is not Policies


def without_none(type_: Any) -> tuple[Any, bool]:  # noqa: ANN401 - any type hint
    """Return (T, True) for `T | None`, (T, False) for any other T."""
    if get_origin(type_) in (UnionType, Union):
        rest = [option for option in get_args(type_) if option is not NoneType]
        if len(rest) == 1:
            return rest[0], True
    return type_, False


class Builder:
    """Builds one configuration; `origins` says where its values came from."""

    def __init__(self, origins: Origins) -> None:
        self._origins = origins

    def struct(self, type_: type[msgspec.Struct], value: Any, path: Path = ()) -> Any:  # noqa: ANN401
        """Return an instance of a struct type, its defaults filled in."""
        given = self._given(type_, value, path)
        required = {field.name for field in msgspec.structs.fields(type_) if field.required}
        for name in sorted(required - given.keys()):
            raise self._error((*path, name), "is required")
        return type_(**given)

    def policies(self, value: Any, path: Path) -> Policies:  # noqa: ANN401
        """Return the built-in policies with those of the configuration over them, key by key.

        An engine that is not built in takes what it leaves out from `default`. An inherited `escalate_after` moves
        with `alert_after`, so that nobody has to give both.
        """
        entries = {
            engine: self._given(Policy, entry, (*path, engine)) for engine, entry in self._mapping(value, path).items()
        }
        default = _over(BUILT_IN[DEFAULT_ENGINE], entries.pop(DEFAULT_ENGINE, {}))
        found = {**BUILT_IN, DEFAULT_ENGINE: default}
        return Policies(found | {engine: _over(found.get(engine, default), given) for engine, given in entries.items()})

    def _given(self, type_: type[msgspec.Struct], value: Any, path: Path) -> dict[str, Any]:  # noqa: ANN401
        """Return the fields that the configuration gives."""
        tree, types = self._mapping(value, path), field_types(type_)
        for name in tree:
            if name not in types:
                raise self._error((*path, name), f"unknown key{suggestion(name, types)}")
        tree = self._with_secrets(types, tree, path)
        return {name: self.value(types[name], value, (*path, name)) for name, value in tree.items()}

    def value(self, type_: Any, value: Any, path: Path) -> Any:  # noqa: ANN401, PLR0911
        """Return a value of any type that the schema uses."""
        type_, optional = without_none(type_)
        if optional and (value is None or (isinstance(value, Text) and value == "null")):
            return None
        if type_ is Policies:
            return self.policies(value, path)
        if is_struct(type_):
            return self.struct(type_, value, path)
        match get_origin(type_):
            case origin if origin is tuple:
                return self._list(get_args(type_)[0], value, path)
            case origin if origin is dict:
                return self._map(get_args(type_)[1], value, path)
            case origin if origin is Literal:
                return self._choice(get_args(type_), value, path)
            case origin if origin is Annotated:
                return self._quantity(get_args(type_)[1], value, path)
        return self._scalar(type_, value, path)

    def _with_secrets(self, types: dict[str, Any], tree: Tree, path: Path) -> Tree:
        """Return the tree with absolute paths, and with the contents of the files that hold its secrets."""
        result = dict(tree)
        for name in [name for name in tree if name.endswith("_file")]:
            file = self.value(types[name], tree[name], (*path, name))
            if file is None:
                continue
            located = self._located(file, (*path, name))
            result[name] = str(located)
            secret = name.removesuffix("_file")
            if secret in types:
                if secret in tree:
                    raise self._error((*path, name), f"give `{secret}` or `{name}`, not both")
                result[secret] = self._read_secret(types[secret], located, (*path, name))
        return result

    def _located(self, file: str, path: Path) -> FilePath:
        if not file:
            raise self._error(path, "expected the path of a file")
        base = FilePath(self._origins.file or "").parent if self._origins.is_file(path) else FilePath()
        return base / file

    def _read_secret(self, type_: Any, file: FilePath, path: Path) -> Any:  # noqa: ANN401
        """Return a file's text without trailing white space; of a list, its lines without blanks and # comments."""
        try:
            text = file.read_text(encoding="utf-8-sig").rstrip()
        except OSError as error:
            raise self._error(path, f"cannot read {file}: {error.strerror}") from None
        except (UnicodeDecodeError, ValueError):
            raise self._error(path, f"{file} is not a text file in UTF-8") from None
        if type_ is Secret:
            if not text:
                raise self._error(path, f"{file} is empty")
            return text
        lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        if not lines:
            raise self._error(path, f"{file} holds no lines but blanks and comments")
        return lines

    def _mapping(self, value: Any, path: Path) -> Tree:  # noqa: ANN401
        value = self._parsed(value, path)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self._error(path, f"expected keys and values, got {_kind(value)}")
        for key in value:
            if not isinstance(key, str):
                raise self._error(path, f"the key {key!r} must be a string; put it in quotes")
        return value

    def _map(self, item: Any, value: Any, path: Path) -> dict[str, Any]:  # noqa: ANN401
        return {name: self.value(item, entry, (*path, name)) for name, entry in self._mapping(value, path).items()}

    def _list(self, item: Any, value: Any, path: Path) -> tuple[Any, ...]:  # noqa: ANN401
        if isinstance(value, Text) and not is_struct(item):
            value = [Text(part.strip()) for part in value.split(",") if part.strip()]
        value = self._parsed(value, path)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise self._error(path, f"expected a list, got {_kind(value)}")
        return tuple(self.value(item, entry, (*path, f"[{place}]")) for place, entry in enumerate(value))

    def _parsed(self, value: Any, path: Path) -> Any:  # noqa: ANN401
        """Return the tree of YAML text from the environment; other values as they are."""
        if not isinstance(value, Text):
            return value
        try:
            return parse_yaml(value)
        except BadYaml as error:
            raise self._error(path, f"expected YAML: {error}") from None

    def _choice(self, allowed: tuple[str, ...], value: Any, path: Path) -> str:  # noqa: ANN401
        if not isinstance(value, str) or value not in allowed:
            raise self._error(path, f"expected one of {', '.join(allowed)}, got {_shown(value)}")
        return str(value)

    def _quantity(self, what: str, value: Any, path: Path) -> float:  # noqa: ANN401
        parse, example = (parse_duration, "5m") if what == "duration" else (parse_size, "64KiB")
        if type(value) is int and (value == 0 or what == "size") and value >= 0:
            return value
        if not isinstance(value, str):
            raise self._error(path, f"expected a {what} with its unit, such as {example}, got {_shown(value)}")
        try:
            return parse(value)
        except ValueError as error:
            raise self._error(path, str(error)) from None

    def _scalar(self, type_: Any, value: Any, path: Path) -> Any:  # noqa: ANN401
        if type_ is bool:
            return self._boolean(value, path)
        if type_ is float:
            return self._number(value, path)
        if type_ is int:
            return self._whole(value, path)
        if not isinstance(value, str):
            what = _kind(value) if type_ is Secret else _shown(value)
            raise self._error(path, f"expected a string, got {what}; put it in quotes")
        return type_(value)

    def _boolean(self, value: Any, path: Path) -> bool:  # noqa: ANN401
        if isinstance(value, Text) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        if not isinstance(value, bool):
            raise self._error(path, f"expected true or false, got {_shown(value)}")
        return value

    def _number(self, value: Any, path: Path) -> float:  # noqa: ANN401
        if isinstance(value, (int, float, Text)) and not isinstance(value, bool):
            try:
                return float(value)
            except (ValueError, OverflowError):
                pass
        raise self._error(path, f"expected a number, got {_shown(value)}")

    def _error(self, path: Path, message: str) -> ConfigError:
        return self._origins.error(path, message)


def _over(base: Policy, given: dict[str, Any]) -> Policy:
    policy = msgspec.structs.replace(base, **given)
    inherited = policy.escalate_after is not None and "escalate_after" not in given
    if inherited and policy.escalate_after < policy.alert_after:  # type: ignore[operator]
        return msgspec.structs.replace(policy, escalate_after=policy.alert_after)
    return policy


def _kind(value: Any) -> str:  # noqa: ANN401
    """Return what a value is without showing it."""
    kinds = {dict: "keys and values", list: "a list", bool: "true or false", int: "a number", float: "a number"}
    return "nothing" if value is None else kinds.get(type(value), "a text")


def _shown(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return repr(str(value) if len(value) <= 60 else f"{value[:60]}…")
    return str(value)[:60] if isinstance(value, (int, float)) else _kind(value)
