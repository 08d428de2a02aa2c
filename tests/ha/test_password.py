"""The password of the database: nobody is shown it, whatever goes wrong."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.e2e.process import device_event, run_command
from tests.ha.nodes import Node, Place
from tests.patience import wait_for
from tests.postgres import shared_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWORD = "ge:heim 7/x@%"
BY_COMMAND = Place(inside=("env",))
"""As a person starts it, with a command that is shown in the list of processes."""
FORMS = {PASSWORD, quote(PASSWORD, safe=""), PASSWORD[:7]}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """An exporter, not started, whose user of the database must say a password."""
    server = shared_cluster()
    url = server.database()
    server.execute("DROP ROLE IF EXISTS asks", f"CREATE ROLE asks LOGIN SUPERUSER PASSWORD '{PASSWORD}'")
    url_there = url.replace("postgres@", f"asks:{quote(PASSWORD, safe='')}@")
    found = Node(tmp_path / "node", url_there, "http://127.0.0.1:1", BY_COMMAND)
    with found:
        yield found
    server.execute("DROP OWNED BY asks", "DROP ROLE asks", database=url.rpartition("/")[2])


def test_a_password_is_in_no_log_metric_error_or_list_of_processes(node: Node) -> None:
    listed = subprocess.run(
        ["ps", "-ww", "-o", "args", "-p", str(node.pid)], capture_output=True, text=True, check=True
    )
    shown = [listed.stdout]
    assert "--config.file" in shown[0]
    node.send(("d1", int(time.time()), True))
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'asks'"
    shared_cluster().execute("ALTER ROLE asks PASSWORD 'another'", ended)
    wait_for(lambda: "the password is wrong" in node.get("/-/ready").text, "it says what is wrong", 20)
    assert node.post(device_event("d1", int(time.time()), up=False)).status == 503
    shown += [node.get(path).text for path in ("/metrics", "/-/ready", "/", "/api/v1/status", "/api/v1/devices")]
    shown.append(node.log)
    config, file = node.folder / "exporter.yml", node.folder / "storage_url"
    asked = [[*words, "--config.file", str(config)] for words in (["report"], ["quarantine", "list"])]
    asked.append(["migrate", "--from-file", str(file), "--to", f"sqlite:///{node.folder}/new.db"])
    for arguments in asked:
        done = run_command(*arguments)
        assert "the password is wrong" in done.stderr
        shown.append(done.stdout + done.stderr)
    shown.append(run_command("check-config", "--config.file", str(config)).stdout)
    node.kill()
    flags = [f"--{listener}.listen-address=127.0.0.1:0" for listener in ("webhook", "web")]
    started = run_command("--config.file", str(config), *flags)
    assert "the password is wrong" in started.stderr
    shown += [started.stdout, started.stderr, node.log]

    assert [(form, text) for text in shown for form in FORMS if form in text] == []
