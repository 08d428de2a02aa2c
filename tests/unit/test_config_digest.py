"""The number by which exporters over one journal tell that their configurations differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.config import digest, load

if TYPE_CHECKING:
    from pathlib import Path


def of(folder: Path, text: str) -> int:
    file = folder / "exporter.yml"
    file.write_text(text)
    return digest(load(file, {}, {}))


@pytest.mark.parametrize(
    "text",
    [
        "web: {listen_address: ':1'}",
        "webhook: {listen_address: ':2', secret: s}",
        "log: {level: debug}",
        "storage: {retention: 500d}",
        "policies: {}",
    ],
)
def test_where_an_exporter_runs_and_its_secrets_make_no_difference(tmp_path: Path, text: str) -> None:
    assert of(tmp_path, text) == of(tmp_path, "")


@pytest.mark.parametrize(
    "text",
    [
        "policies: {wa: {alert_after: 61s}}",
        "alerts: {language: en}",
        "maintenance: [{match: {engine: wa}, cron: '0 1 * * *', duration: 1h}]",
    ],
)
def test_what_people_are_told_makes_a_difference(tmp_path: Path, text: str) -> None:
    assert of(tmp_path, text) != of(tmp_path, "")


def test_a_float_holds_it_exactly(tmp_path: Path) -> None:
    assert int(float(of(tmp_path, ""))) == of(tmp_path, "") < 2**48
