"""The direction of dependencies, read from the imports: the core is pure, and nothing reaches back."""

from __future__ import annotations

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import PurePath
from typing import TYPE_CHECKING

import pytest

from exporter import conventions
from tests.tools import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PURE = ("conventions", "errors", "domain", "gateways", "lib.durations", "lib.visible")
"""Modules and rooms that know neither clock nor disk."""
HARMLESS = frozenset(
    (
        *(
            "__future__",
            "base64",
            "bisect",
            "collections",
            "collections.abc",
            "dataclasses",
            "enum",
            "functools",
            "hashlib",
            "hmac",
        ),
        *("itertools", "math", "msgspec", "operator", "re", "typing", "urllib.parse"),
    )
)
"""What a pure module may import: neither clock nor chance, neither disk nor network, no logging."""

README = (ROOT / "README.md").read_text(encoding="utf-8")

LAYERS = (
    ("conventions", "errors", "lib"),
    ("domain",),
    ("gateways",),
    ("journal",),
    ("config",),
    ("look", "metrics"),
    ("recording",),
    ("report",),
    ("days",),
    ("web",),
    ("alerting", "failover", "impact", "maintenance", "notify", "sessions"),  # side by side: none imports another
    ("incidents",),
    ("acknowledge", "operators", "status_pages"),  # side by side
    ("telegram",),
    ("assets", "backfill", "simulate"),
    ("app",),
    ("cli",),
    ("__main__",),
)
"""The rooms, floor by floor: a module imports from its own room and from floors below."""


def modules() -> dict[str, Path]:
    """Return every module's name within the package, and its file."""
    package = ROOT / "exporter"
    found = {}
    for file in package.rglob("*.py"):
        name = ".".join(file.relative_to(package).with_suffix("").parts).removesuffix("__init__").rstrip(".")
        if name:
            found[name] = file
    return found


MODULES = modules()


def statements(body: list[ast.stmt], *, late: bool) -> Iterator[ast.stmt]:
    """Yield what runs when a module is imported, and if `late` what its functions run: not what only types need."""
    for statement in body:
        if isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING":
            continue
        yield statement
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)) and not late:
            continue
        for inner in ("body", "orelse", "finalbody"):
            yield from statements(getattr(statement, inner, []), late=late)
        for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
            yield from statements(part.body, late=late)


def imports(file: Path, *, late: bool = False, types: bool = False) -> set[str]:
    """Return the modules that a module imports; those of the package without its name.

    `late`: also what functions import; `types`: all of this, and what only the type checker sees.
    """
    found = set()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for statement in ast.walk(tree) if types else statements(tree.body, late=late):
        if isinstance(statement, ast.Import):
            found |= {alias.name.removeprefix("exporter.") for alias in statement.names}
        elif isinstance(statement, ast.ImportFrom) and statement.module is not None:
            if statement.module.partition(".")[0] != "exporter":
                found.add(statement.module)
                continue
            within = statement.module.removeprefix("exporter").removeprefix(".")
            inner = {f"{within}.{alias.name}".removeprefix(".") for alias in statement.names}
            found |= {name for name in inner if name in MODULES} or ({within} - {""})
    return found


IMPORTS = {name: imports(file) for name, file in MODULES.items()}
LATE_IMPORTS = {name: imports(file, late=True) for name, file in MODULES.items()}
EVERY_IMPORT = {name: imports(file, types=True) for name, file in MODULES.items()}


def room_of(module: str) -> str:
    """Return the folder that a module is in, or its own name at the top level."""
    return module.partition(".")[0]


FLOOR = {room: number for number, rooms in enumerate(LAYERS) for room in rooms}


def is_pure(module: str) -> bool:
    return any(module == part or module.startswith(f"{part}.") for part in PURE)


@pytest.mark.parametrize("module", sorted(filter(is_pure, MODULES)))
def test_the_core_knows_neither_clock_nor_disk_nor_network_nor_log(module: str) -> None:
    assert {name for name in LATE_IMPORTS[module] if name not in HARMLESS and not is_pure(name)} == set()
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert called & {"open", "print", "input"} == set()


def test_each_room_has_a_floor() -> None:
    assert {room_of(module) for module in MODULES} == set(FLOOR)


def test_the_readme_lists_the_rooms_from_the_ground_up() -> None:
    table = README.partition("| room, from the ground up |")[2].partition("\n\n")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `exporter/")]
    rooms = [PurePath(path).stem for cell in cells for path in re.findall(r"`(?:exporter/)?([\w.]+)/?`", cell)]

    assert [FLOOR[room] for room in rooms] == sorted(FLOOR[room] for room in rooms)
    assert set(rooms) == set(FLOOR) - {"__main__"}


def test_no_import_runs_up_or_across_a_floor() -> None:
    wrong = [
        f"{module} -> {imported}"
        for module, found in EVERY_IMPORT.items()
        for imported in sorted(found & MODULES.keys())
        if room_of(imported) != room_of(module) and FLOOR[room_of(imported)] >= FLOOR[room_of(module)] > 0
    ]
    assert wrong == []


def test_no_driver_of_a_database_is_imported_outside_the_journals_room() -> None:
    drivers = {"sqlite3", "psycopg", "asyncpg", "aiosqlite", "sqlalchemy"}
    outside = {name: found for name, found in EVERY_IMPORT.items() if room_of(name) != "journal"}
    assert {name for name, found in outside.items() if {one.partition(".")[0] for one in found} & drivers} == set()


DATABASES = sorted({name.rpartition(".")[0] for name in MODULES if re.fullmatch(r"journal\.\w+\.\w+", name)})


@pytest.mark.parametrize("database", DATABASES)
def test_which_databases_there_are_is_known_to_the_storage_alone(database: str) -> None:
    knows = {
        name
        for name, found in EVERY_IMPORT.items()
        if not name.startswith(database) and any(one.startswith(database) for one in found)
    }
    assert knows == {"journal.storage"}


def test_no_modules_import_each_other_in_a_circle() -> None:
    try:
        TopologicalSorter({name: found & MODULES.keys() for name, found in IMPORTS.items()}).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' -> '.join(error.args[1])}")


def test_no_module_is_longer_than_one_reads_at_once() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in (ROOT / "exporter").rglob("*.py")}
    assert {path: length for path, length in lengths.items() if length > 330} == {}


def test_only_conventions_defines_the_names_of_metrics() -> None:
    elsewhere = [
        f"{module}: {node.value!r}"
        for module, file in MODULES.items()
        if module != "conventions"
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and (node.value in conventions.HELP or _is_own_metric(node.value))
    ]
    assert elsewhere == []


def test_no_metric_goes_into_the_global_registry() -> None:
    assert [module for module, file in MODULES.items() if "REGISTRY" in file.read_text(encoding="utf-8")] == []


def _is_own_metric(value: object) -> bool:
    prefix, suffixes = f"{conventions.SELF_PREFIX}_", ("_total", "_seconds", "_info", "_ratio", "_bytes", "_size")
    return isinstance(value, str) and value.startswith(prefix) and value.endswith(suffixes)
