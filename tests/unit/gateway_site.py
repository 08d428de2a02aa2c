"""Gateways for tests, made from a configuration as an operator writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exporter.config import load
from exporter.config.gateways import preset_of
from exporter.lib.yaml import parse_yaml

if TYPE_CHECKING:
    from pathlib import Path

    from exporter.config.schema import Gateway
    from exporter.gateways.preset import Preset

SECRET = "SECRET-IN-THE-PATH"
NOW = 1_788_231_846.0


def configured(tmp_path: Path, gateways: dict[str, Any]) -> dict[str, Gateway]:
    """Return the checked gateways of a configuration."""
    import json  # noqa: PLC0415

    file = tmp_path / "exporter.yml"
    file.write_text(json.dumps({"gateways": gateways}))
    assert parse_yaml(file.read_text())
    return load(file, {}, {}).gateways


def gateway(tmp_path: Path, preset: str, *, now: float = NOW, **settings: Any) -> Preset:
    """Return a gateway called `gw` with a secret."""
    usual: dict[str, Any] = {"preset": preset, "secret": SECRET}
    if preset == "gowa":
        usual = {"preset": preset, "state": {"url": "http://gowa:3000"}}
    return preset_of("gw", configured(tmp_path, {"gw": usual | settings})["gw"], lambda: now)
