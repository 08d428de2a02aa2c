"""The exporter under systemd: what its supervisor hears from start to stop, and the unit that is shipped."""

from __future__ import annotations

import re
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.e2e.process import ExporterProcess
from tests.patience import patient
from tests.tools import ROOT, require

if TYPE_CHECKING:
    from pathlib import Path

UNIT = ROOT / "deploy" / "systemd" / "device-exporter.service"


def test_systemd_hears_that_it_is_ready_alive_and_at_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(tmp_path / "notify"))
        supervisor.settimeout(patient(20))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "600000")
        exporter = ExporterProcess(tmp_path / "exporter")
        with exporter:
            heard = [supervisor.recv(100) for _ in range(4)]
            assert sorted(heard) == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1", b"WATCHDOG=1"]
            assert exporter.stop() == 0
        while (last := supervisor.recv(100)) == b"WATCHDOG=1":
            pass
        assert last == b"STOPPING=1"


@pytest.mark.binaries
def test_the_shipped_unit_is_one_and_leaves_little_to_attack(tmp_path: Path) -> None:
    analyze = str(require("systemd-analyze"))
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/usr/local/bin/device-exporter", "/bin/true"))
    verified = subprocess.run([analyze, "verify", str(copy)], capture_output=True, text=True, check=False)
    assert UNIT.name not in verified.stderr
    judged = subprocess.run(
        [analyze, "security", "--offline=true", "--no-pager", str(copy)], capture_output=True, text=True, check=False
    )
    found = re.search(r"exposure level for device-exporter.service: ([\d.]+)", judged.stdout)
    assert found is not None, judged.stdout + judged.stderr
    assert float(found[1]) < 2.0
