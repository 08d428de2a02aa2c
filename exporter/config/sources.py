"""The three places of a configuration, merged into one tree: flags over environment over file.

A key `a.b.c` is the environment variable DEVICE_EXPORTER_A_B_C. A variable with our prefix that names no key is an
error; an empty one counts as not set, because Compose passes empty ones for what is unset.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, get_args, get_origin

from exporter.config.build import Tree, field_types, is_struct, without_none
from exporter.config.errors import Mistake, Origins, Path, suggestion
from exporter.config.schema import Config
from exporter.config.values import Text
from exporter.domain.policy import BUILT_IN, Policies, Policy
from exporter.errors import ConfigError
from exporter.lib.yaml import BadYaml, parse_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path as FilePath

PREFIX: Final = "DEVICE_EXPORTER_"
CONFIG_FILE_VARIABLE: Final = PREFIX + "CONFIG_FILE"
"""Names the configuration file itself, for containers; the flag --config.file wins."""

ANY: Final = "*"
"""Stands in a key for a name that the operator chooses: an engine, a target."""

# Kubernetes puts these into every pod for each service; a service called device-exporter would collide with us.
_KUBERNETES = re.compile(r".*_?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)?)")


def keys(type_: Any = Config, path: Path = ()) -> Iterator[Path]:  # noqa: ANN401 - any type hint
    """Yield every key that takes a value; a part `*` stands for a chosen name, `[]` for a place in a list."""
    type_, _ = without_none(type_)
    if is_struct(type_):
        for name, field in field_types(type_).items():
            yield from keys(field, (*path, name))
    elif type_ is Policies:
        yield from keys(Policy, (*path, ANY))
    elif get_origin(type_) is dict:
        yield from keys(get_args(type_)[1], (*path, ANY))
    elif get_origin(type_) is tuple and is_struct(get_args(type_)[0]):
        yield from keys(get_args(type_)[0], (*path, "[]"))
    else:
        yield path


def _settable() -> list[Path]:
    """Return the keys that one text can set: leaves, whole lists of objects and whole maps."""
    whole = {path[: path.index(part)] for path in keys() for part in (ANY, "[]") if part in path}
    return sorted(whole | {path for path in keys() if "[]" not in path}, key=lambda path: (len(path), path))


SETTABLE: Final = tuple(_settable())


def variable(path: Path) -> str:
    """Return the environment variable of a key."""
    return PREFIX + "_".join(path).upper()


def read_file(file: FilePath) -> Tree:
    """Return the tree of a configuration file. Raises ConfigError."""
    try:
        tree = parse_yaml(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: is not UTF-8 at byte {error.start}") from None
    except BadYaml as error:
        raise ConfigError(f"{file}: {error}") from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{file}: expected sections such as `webhook:` at the top")
    return tree


def merged(tree: Tree, environ: Mapping[str, str], overrides: Mapping[str, str], origins: Origins) -> Tree:
    """Return the tree with environment and flags put over it; `origins` learns where each came from."""
    variables, flags = [], []
    for name, value in sorted(environ.items()):
        if _is_ours(name):
            with origins.mistakes.collecting():
                variables.append((_path_of_variable(name, tree), value, f"environment variable {name}"))
    for name, value in overrides.items():
        with origins.mistakes.collecting():
            flags.append((_path_of_flag(name), value, f"flag --{_flag(name)}"))
    for layer in ([entry for entry in variables if entry[1].strip()], flags):
        _refuse_pairs(layer)
        for path, value, origin in sorted(layer, key=lambda entry: len(entry[0])):  # whole maps before keys inside
            tree = _put(tree, path, Text(value), origins)
            origins.record(path, origin)
    return tree


def _refuse_pairs(layer: list[tuple[Path, str, str]]) -> None:
    """Refuse a secret and its file from the same place; a higher place simply replaces either by either."""
    origins = {path: origin for path, _, origin in layer}
    for path, origin in origins.items():
        sibling = origins.get((*path[:-1], path[-1] + "_file"))
        if sibling:
            raise ConfigError(f"{origin} and {sibling}: give one of them, not both")


def _is_ours(name: str) -> bool:
    if not name.startswith(PREFIX) or name == CONFIG_FILE_VARIABLE:
        return False
    return _KUBERNETES.fullmatch(name.removeprefix(PREFIX)) is None


def _path_of_variable(name: str, tree: Tree) -> Path:
    for path in SETTABLE:
        if ANY not in path:
            if variable(path) == name:
                return path
            continue
        start = variable(path[: path.index(ANY)]) + "_"
        end = "".join(f"_{part}" for part in path[path.index(ANY) + 1 :]).upper()
        chosen = name.removeprefix(start).removesuffix(end)
        if len(chosen) == len(name) - len(start) - len(end) > 0:
            parents, rest = path[: path.index(ANY)], path[path.index(ANY) + 1 :]
            return (*parents, _chosen_name(chosen, parents, tree), *rest)
    known = [variable(path).replace(ANY, engine.upper()) for path in SETTABLE for engine in ("default", *BUILT_IN)]
    raise Mistake(f"environment variable {name}: no such key{suggestion(name, known)}")


def _chosen_name(chosen: str, parents: Path, tree: Tree) -> str:
    """Return the name in the file that a variable's part stands for, else the part in lower case."""
    node: Any = tree
    for part in parents:
        node = node.get(part) if isinstance(node, dict) else None
    names = [name for name in node if isinstance(name, str)] if isinstance(node, dict) else []
    return next((name for name in names if re.sub(r"\W", "_", name).upper() == chosen), chosen.lower())


def _flag(name: str) -> str:
    return name.replace("_", "-")


def _path_of_flag(name: str) -> Path:
    path = tuple(name.replace("-", "_").split("."))
    if path not in SETTABLE:
        raise Mistake(f"flag --{_flag(name)}: no such key{suggestion(name, ['.'.join(key) for key in SETTABLE])}")
    return path


def _put(tree: Any, path: Path, value: Text, origins: Origins, done: Path = ()) -> Tree:  # noqa: ANN401
    """Return a copy of the tree with the value at the path; `done` is the way to this tree."""
    if isinstance(tree, Text):  # a whole map from the environment, and now a single key inside it
        try:
            tree = parse_yaml(tree)
        except BadYaml as error:
            raise origins.error(done, f"expected YAML: {error}") from None
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        raise origins.error(done, "expected keys and values")
    name, rest = path[0], path[1:]
    if rest:
        return {**tree, name: _put(tree.get(name), rest, value, origins, (*done, name))}
    return {key: old for key, old in tree.items() if key not in (name + "_file", name.removesuffix("_file"))} | {
        name: value
    }
