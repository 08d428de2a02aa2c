"""Storage URLs: which database each names, and what a person reads who wrote one that cannot be used."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from exporter.errors import ConfigError
from exporter.journal import storage

if TYPE_CHECKING:
    from pathlib import Path

POSTGRES = "postgresql://exporter:sesame@db.example.id/exporter"


@pytest.mark.parametrize("url", ["", "exporter.db", "sqlite", "mysql://db.example.id/exporter", "SQLITE:///a.db"])
def test_a_url_of_no_database_that_is_known_is_told_what_is_expected(url: str) -> None:
    with pytest.raises(ConfigError, match=r"storage\.url: expected sqlite:///path/of/file\.db or postgresql://"):
        storage.check(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://exporter:ses@me@db.example.id/exporter",
        "postgresql://exporter:ses/ame@db.example.id/exporter",
        "postgresql://exporter:ses%ame@db.example.id/exporter",
        "postgresql://[db.example.id/exporter",
        "postgresql://db.example.id:many/exporter",
        "postgresql://db.example.id/exporter?sslmodus=off",
        "postgresql://exporter:sesame@db.example.id",
    ],
)
def test_an_address_that_a_server_cannot_have_is_refused_without_showing_its_password(url: str) -> None:
    with pytest.raises(ConfigError, match=r"HOST:PORT/DATABASE") as refused:
        storage.check(url)
    assert "ame" not in str(refused.value).replace("names", "")


def without(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let PostgreSQL's part be imported anew as if a package were not installed."""
    for name in [name for name in sys.modules if name.startswith("exporter.journal.postgres")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)


def test_without_the_driver_the_package_to_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    without("psycopg", monkeypatch)
    with pytest.raises(ConfigError, match=r"pip install 'chat-device-exporter\[postgres\]'"):
        storage.check(POSTGRES)


def test_a_module_that_lacks_something_else_is_a_fault_and_no_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    without("msgspec", monkeypatch)
    with pytest.raises(ModuleNotFoundError, match="msgspec"):
        storage.check(POSTGRES)


def test_a_server_keeps_no_files_beside_us_and_is_backed_up_by_its_own_means(tmp_path: Path) -> None:
    assert storage.data_directory(POSTGRES) is None
    with pytest.raises(ConfigError, match="pg_dump"):
        storage.backup(POSTGRES, tmp_path / "copy.db")
    assert not list(tmp_path.iterdir())


def test_the_folder_of_a_file_is_made_and_one_that_cannot_be_is_named(tmp_path: Path) -> None:
    assert storage.data_directory(f"sqlite:///{tmp_path}/data/exporter.db") == tmp_path / "data"
    assert (tmp_path / "data").is_dir()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match=rf"storage\.url: cannot write in {tmp_path}/file/data: Not a directory"):
        storage.data_directory(f"sqlite:///{tmp_path}/file/data/exporter.db")
