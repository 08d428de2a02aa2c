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

from exporter.config.errors import Mistake, suggestion
from exporter.config.schema import COMPUTED, Secret
from exporter.config.secret import read_secret, read_secrets
from exporter.config.values import Text, choice, kind, quantity, scalar
from exporter.domain.policy import BUILT_IN, DEFAULT_ENGINE, Policies, Policy
from exporter.lib.yaml import BadYaml, parse_yaml

if TYPE_CHECKING:
    from exporter.config.errors import Origins, Path

Tree = dict[str, Any]


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
        self._mistakes = origins.mistakes

    def struct(self, type_: type[msgspec.Struct], value: Any, path: Path = ()) -> Any:  # noqa: ANN401
        """Return an instance of a struct type, its defaults filled in."""
        given = self._given(type_, value, path)
        required = {field.name for field in msgspec.structs.fields(type_) if field.required}
        missing = sorted(required - given.keys())
        for name in missing:
            if name not in self._mapping(value, path):  # else it was given and is noted as wrong
                self._mistakes.add(self._error((*path, name), "is required"))
        if missing:
            raise Mistake("")  # there is nothing to go on with, and nothing more to say
        return type_(**given)

    def policies(self, value: Any, path: Path) -> Policies:  # noqa: ANN401
        """Return the built-in policies with those of the configuration over them, key by key.

        An engine that is not built in takes what it leaves out from `default`. An inherited `escalate_after` moves
        with `alert_after`, so that nobody has to give both. The one of `escalate` and `escalate_after` that is given
        goes over the other.
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
                self._mistakes.add(self._error((*path, name), f"unknown key{suggestion(name, types)}"))
        tree = self._with_secrets(types, {name: tree[name] for name in tree if name in types}, path)
        found = {}
        for name, one in tree.items():
            with self._mistakes.collecting():
                found[name] = self.value(types[name], one, (*path, name))
        return found

    def value(self, type_: Any, value: Any, path: Path) -> Any:  # noqa: ANN401
        """Return a value of any type that the schema uses."""
        type_, optional = without_none(type_)
        if optional and (value is None or (isinstance(value, Text) and value == "null")):
            return None
        if type_ is Policies:
            return self.policies(value, path)
        if is_struct(type_):
            return self.struct(type_, value, path)
        if get_origin(type_) is tuple:
            return self._list(get_args(type_)[0], value, path)
        if get_origin(type_) is dict:
            return self._map(get_args(type_)[1], value, path)
        return self._leaf(type_, value, path)

    def _with_secrets(self, types: dict[str, Any], tree: Tree, path: Path) -> Tree:
        """Return the tree with absolute paths, and with the contents of the files that hold its secrets."""
        result = dict(tree)
        for name in [name for name in tree if name.endswith("_file")]:
            del result[name]
            with self._mistakes.collecting():
                file = self.value(types[name], tree[name], (*path, name))
                result |= {} if file is None else self._from_file(types, tree, (*path, name), file)
        return result

    def _from_file(self, types: dict[str, Any], tree: Tree, path: Path, file: str) -> Tree:
        located, name = self._located(file, path), path[-1]
        secret = name.removesuffix("_file")
        if secret not in types:
            return {name: str(located)}
        if secret in tree:
            raise self._error(path, f"give `{secret}` or `{name}`, not both")
        found = self._secret(types[secret], located, path)
        self._origins.record((*path[:-1], secret), str(located))
        return {name: str(located), secret: found}

    def _located(self, file: str, path: Path) -> FilePath:
        if not file:
            raise self._error(path, "expected the path of a file")
        base = FilePath(self._origins.file or "").parent if self._origins.is_file(path) else FilePath()
        return base / file

    def _secret(self, type_: Any, file: FilePath, path: Path) -> str | list[str]:  # noqa: ANN401
        try:
            return read_secret(file) if type_ is Secret else read_secrets(file)
        except ValueError as error:
            raise self._error(path, str(error)) from None

    def _mapping(self, value: Any, path: Path) -> Tree:  # noqa: ANN401
        value = self._parsed(value, path)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self._error(path, f"expected keys and values, got {kind(value)}")
        for key in value:
            if not isinstance(key, str):
                raise self._error(path, f"the key {key!r} must be a string; put it in quotes")
        return value

    def _map(self, item: Any, value: Any, path: Path) -> dict[str, Any]:  # noqa: ANN401
        found = {}
        for name, entry in self._mapping(value, path).items():
            with self._mistakes.collecting():
                found[name] = self.value(item, entry, (*path, name))
        return found

    def _list(self, item: Any, value: Any, path: Path) -> tuple[Any, ...]:  # noqa: ANN401
        if isinstance(value, Text) and not is_struct(item):
            value = [Text(part.strip()) for part in value.split(",") if part.strip()]
        value = self._parsed(value, path)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise self._error(path, f"expected a list, got {kind(value)}")
        found = []
        for place, entry in enumerate(value):
            with self._mistakes.collecting():
                found.append(self.value(item, entry, (*path, f"[{place}]")))
        return tuple(found) if len(found) == len(value) else ()  # a part of it would have other places

    def _parsed(self, value: Any, path: Path) -> Any:  # noqa: ANN401
        """Return the tree of YAML text from the environment; other values as they are."""
        if not isinstance(value, Text):
            return value
        try:
            return parse_yaml(value)
        except BadYaml as error:
            raise self._error(path, f"expected YAML: {error}") from None

    def _leaf(self, type_: Any, value: Any, path: Path) -> Any:  # noqa: ANN401
        if type_ is Any:  # what `mapping` says is looked at as a whole
            return value
        try:
            match get_origin(type_):
                case origin if origin is Literal:
                    return choice(get_args(type_), value)
                case origin if origin is Annotated:
                    return quantity(get_args(type_)[1], value)
            return scalar(type_, value)
        except ValueError as error:
            raise self._error(path, str(error)) from None

    def _error(self, path: Path, message: str) -> Mistake:
        return self._origins.error(path, message)


def _over(base: Policy, given: dict[str, Any]) -> Policy:
    if given.get("escalate") is not None:
        given = {"escalate_after": None, **given}
    elif "escalate_after" in given:
        given = {"escalate": None, **given}
    policy = msgspec.structs.replace(base, **given)
    inherited = policy.escalate_after is not None and "escalate_after" not in given
    if inherited and policy.escalate_after < policy.alert_after:  # type: ignore[operator]
        return msgspec.structs.replace(policy, escalate_after=policy.alert_after)
    return policy
