"""`notify-test` by the ways that are Alertmanager's own, with a real Alertmanager and what is shipped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.cli.main import main
from tests.e2e.harness import Alertmanager, running, shipped_config, sinks

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.binaries


def run(folder: Path, way: str, url: str) -> int:
    (folder / "exporter.yml").write_text(f"alertmanager: {{urls: ['{url}']}}\nalerts: {{labels: {{fleet: jakarta}}}}\n")
    return main(["notify-test", way, "--config.file", str(folder / "exporter.yml")])


def test_each_way_gets_its_test_and_nobody_else_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with sinks(tmp_path) as where:
        program = Alertmanager(tmp_path / "alertmanager", shipped_config(where))
        with running(program):
            assert run(tmp_path, "email", program.url) == 0
            assert (len(where.emails()), where.slack(), where.sms()) == (1, [], [])
            (alert,) = program.alerts("alertname=NotifyTest")
            assert alert["labels"]["fleet"] == "jakarta"  # routes may ask for it, as an AlertmanagerConfig's do
            assert "Uji coba: pesan lewat email sampai" in where.emails()[0]["subject"]
            assert run(tmp_path, "telegram", program.url) == 0
            assert any("Uji coba: pesan lewat telegram sampai" in text for text in where.telegram())
            where.http.status = 503  # which Alertmanager would try again for minutes
            assert run(tmp_path, "slack", program.url) == 1
    shown = capsys.readouterr().out
    assert "Alertmanager 1 (email): sent\nAlertmanager 1 (telegram): sent\n" in shown
    assert "Alertmanager 1 (slack): Alertmanager could not send it" in shown


def test_a_way_that_is_not_switched_on_and_an_alertmanager_that_is_away_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = Alertmanager(tmp_path / "alertmanager", "route: {receiver: chat}\nreceivers: [{name: chat}]\n")
    with running(program):
        assert run(tmp_path, "slack", program.url) == 1
    assert run(tmp_path, "slack", program.url) == 1
    shown = capsys.readouterr().out
    assert "no receiver for it is switched on in Alertmanager" in shown
    assert "it cannot be reached" in shown
