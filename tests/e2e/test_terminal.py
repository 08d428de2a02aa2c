"""The exporter in somebody's terminal: it ends with it, and only with it."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.e2e.process import environment
from tests.patience import wait_for
from tests.tools import ROOT, require

if TYPE_CHECKING:
    from pathlib import Path


def test_a_hangup_reloads_while_the_terminal_is_there_and_ends_once_it_is_closed(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    config, log = tmp_path / "exporter.yml", tmp_path / "log"
    config.write_text("webhook: {listen_address: '127.0.0.1:0'}\nweb: {listen_address: '127.0.0.1:0'}\n")
    command = [sys.executable, "-m", "exporter", "--config.file", str(config)]
    storage = ["--storage.url", f"sqlite:///{tmp_path}/new/exporter.db"]
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [require("setsid"), "-c", *command, *storage],
            stdin=slave,
            stdout=slave,
            stderr=stderr,
            cwd=ROOT,
            env=environment(),
        )
    os.close(slave)
    try:
        wait_for(lambda: "msg=ready " in log.read_text(), "the exporter is ready", 60)
        assert f"folder={tmp_path}/new" in log.read_text()
        config.write_text("web: {no_such_key: 1}\n")
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: "the configuration was not reloaded" in log.read_text(), "the file is read again", 30)
        assert process.poll() is None
        os.close(master)
        assert process.wait(30) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert "msg=stopped" in log.read_text()
