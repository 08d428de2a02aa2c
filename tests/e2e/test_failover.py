"""Failover of the real exporter process, with a hook on loopback: signatures, failures, and SIGKILL at any moment."""

from __future__ import annotations

import hashlib
import hmac
import json
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.bodies import DEVICE_EVENT
from tests.e2e.process import ExporterProcess, run_command
from tests.patience import patient, wait_for
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = "failover-hook-secret-51c7"
PAIR = {"channel_id": "channel_a", "backup_channel_id": "channel_b"}


class Call(NamedTuple):
    key: str
    verified: bool
    body: dict[str, Any]


class Hook:
    """A hook as a customer would write it: verifies, remembers keys, acts once a key."""

    def __init__(self, port: int = 0) -> None:
        self.calls: list[Call] = []
        self.acted: dict[str, str] = {}
        self.status = 200
        self.acts = True
        self.answering = Event()
        self.answering.set()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                signed = self.headers["X-Failover-Timestamp"].encode() + b"." + body
                expected = "sha256=" + hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
                fresh = abs(time.time() - int(self.headers["X-Failover-Timestamp"])) < 300
                verified = fresh and hmac.compare_digest(expected, self.headers["X-Failover-Signature"])
                call = Call(self.headers["Idempotency-Key"], verified, json.loads(body))
                hook.calls.append(call)
                if hook.acts:
                    hook.acted.setdefault(call.key, call.body["action"])
                hook.answering.wait(20)
                try:
                    self.send_response(hook.status)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                except ConnectionError:
                    pass

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

        self._server = Server(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/switch?token=in-the-url"
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.answering.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def actions(self) -> list[str]:
        return [call.body["action"] for call in self.calls]


@pytest.fixture
def hook() -> Iterator[Hook]:
    found = Hook()
    yield found
    found.close()


def configured(folder: Path, url: str, **settings: str) -> ExporterProcess:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hook-secret").write_text(SECRET + "\n")
    pair = {"channel": "channel_a", "backup": "channel_b", "hook": {"url": url, "secret_file": "hook-secret"}}
    (folder / "exporter.yml").write_text(json.dumps({"failover": [pair | settings]}))
    return ExporterProcess(folder, "--config.file", str(folder / "exporter.yml"))


def send(exporter: ExporterProcess, device: str, at: int, *, up: bool) -> None:
    """Report a device of the channel that its name ends with."""
    status = "connected" if up else "disconnected"
    channel = DEVICE_EVENT["device"]["channel"] | {"id": f"channel_{device[-1]}"}
    identity = DEVICE_EVENT["device"] | {"id": device, "channel": channel}
    body = {"event": f"device.{status}", "timestamp": at, "device": identity, "status": status}
    answer = exporter.post(body)
    assert answer.status == 200, answer


def both_up(exporter: ExporterProcess) -> int:
    """Return now, both channels having been up for long, and failover being at work."""
    wait_for(lambda: active(exporter) is not None, "failover")
    now = int(time.time())
    send(exporter, "device_a", now - 5000, up=True)
    send(exporter, "device_b", now - 5000, up=True)
    return now


def order(exporter: ExporterProcess) -> dict[str, Any] | None:
    """Return the outstanding call as the journal's file has it."""
    with closing(sqlite3.connect(f"file:{exporter.database}?mode=ro", uri=True)) as connection:
        row = connection.execute("SELECT state FROM failover_state").fetchone()
    return json.loads(row[0])["order"] if row is not None else None


def active(exporter: ExporterProcess) -> float | None:
    return exporter.sample("channel_failover_active", **PAIR)


def test_an_outage_switches_and_a_stable_channel_switches_back(hook: Hook, tmp_path: Path) -> None:
    with configured(tmp_path / "exporter", hook.url, switch_back_after="2s") as exporter:
        now = both_up(exporter)
        assert active(exporter) == 0
        send(exporter, "device_a", now - 10, up=False)
        wait_for(lambda: active(exporter) == 1, "the switch")
        (call,) = hook.calls
        assert call.verified
        assert call.body == {
            "action": "switch",
            "channel": "channel_a",
            "backup": "channel_b",
            "at": call.body["at"],
            "reason": "channel_down",
            "since": now - 10,
            "sequence": 1,
        }
        up_at = int(time.time())
        send(exporter, "device_a", up_at, up=True)
        wait_for(lambda: active(exporter) == 0, "the switch back")
        assert hook.actions == ["switch", "switch_back"]
        assert time.time() >= up_at + 2
        assert exporter.sample("device_exporter_failover_calls_total", action="switch", result="ok") == 1
        assert exporter.sample("failover_group_downtime_seconds_total", **PAIR) == 0
        assert SECRET not in exporter.log
        assert "in-the-url" not in exporter.log


def test_nobody_is_switched_to_a_backup_that_is_down(hook: Hook, tmp_path: Path) -> None:
    with configured(tmp_path / "exporter", hook.url) as exporter:
        now = both_up(exporter)
        send(exporter, "device_b", now - 20, up=False)
        send(exporter, "device_a", now - 10, up=False)
        assert exporter.sample("channel_failover_no_backup", **PAIR) == 1
        wait_for(lambda: (exporter.sample("failover_group_downtime_seconds_total", **PAIR) or 0) >= 10, "the downtime")
        assert hook.calls == []
        send(exporter, "device_b", now, up=True)
        wait_for(lambda: active(exporter) == 1, "the switch")
        assert exporter.sample("channel_failover_no_backup", **PAIR) == 0


def test_a_failing_hook_is_tried_until_it_is_given_up_and_again_after_a_reload(hook: Hook, tmp_path: Path) -> None:
    hook.status, hook.acts = 500, False
    with configured(tmp_path / "exporter", hook.url, give_up_after="2s") as exporter:
        now = both_up(exporter)
        send(exporter, "device_a", now, up=False)
        failed = {**PAIR, "action": "switch"}
        wait_for(lambda: exporter.sample("channel_failover_failed", **failed) == 1, "giving up")
        tried = len(hook.calls)
        assert tried >= 2
        assert active(exporter) == 0
        hook.status, hook.acts = 200, True
        assert exporter.get("/-/reload", method="POST").status == 200
        wait_for(lambda: active(exporter) == 1, "the switch")
        assert exporter.sample("channel_failover_failed", **failed) == 0
        assert len(hook.calls) == tried + 1
        assert len({call.key for call in hook.calls}) == 1
        assert all(call.verified for call in hook.calls)


def test_killed_between_the_call_and_its_answer_it_calls_again_under_the_same_key(hook: Hook, tmp_path: Path) -> None:
    hook.answering.clear()
    exporter = configured(tmp_path / "exporter", hook.url)
    with exporter:
        now = both_up(exporter)
        send(exporter, "device_a", now, up=False)
        wait_for(lambda: hook.calls, "the first call")
        exporter.kill()
    hook.answering.set()
    with exporter:
        wait_for(lambda: active(exporter) == 1, "the switch")
        assert len(hook.calls) == 2
        assert hook.calls[0].key == hook.calls[1].key
        assert hook.calls[0].body == hook.calls[1].body
        assert list(hook.acted.values()) == ["switch"]


def test_killed_before_a_call_that_may_have_worked_it_settles_where_the_traffic_is(hook: Hook, tmp_path: Path) -> None:
    hook.answering.clear()
    exporter = configured(tmp_path / "exporter", hook.url, switch_back_after="1s")
    with exporter:
        now = both_up(exporter)
        send(exporter, "device_a", now, up=False)
        wait_for(lambda: hook.calls, "the first call")
        send(exporter, "device_a", now + 1, up=True)
        exporter.kill()
    hook.answering.set()
    with exporter:
        wait_for(lambda: "switch_back" in hook.actions, "the switch back")
        wait_for(lambda: active(exporter) == 0, "the end")
        assert list(hook.acted.values()) == ["switch", "switch_back"]


def test_killed_while_the_hook_cannot_be_reached_it_calls_after_the_restart(tmp_path: Path) -> None:
    port = free_port()
    exporter = configured(tmp_path / "exporter", f"http://127.0.0.1:{port}/switch")
    with exporter:
        now = both_up(exporter)
        send(exporter, "device_a", now, up=False)
        decided = wait_for(lambda: order(exporter), "the decision")
        exporter.kill()
    hook = Hook(port)
    try:
        with exporter:
            wait_for(lambda: active(exporter) == 1, "the switch")
            assert {call.key for call in hook.calls} == {decided["key"]}
    finally:
        hook.close()


MOMENTS = [0.0, *(pytest.param(at, marks=pytest.mark.slow) for at in (0.001, 0.002, 0.004)), 0.006, 0.01, 0.02]


@pytest.mark.parametrize("delay", MOMENTS)
def test_killed_at_any_moment_no_call_is_lost_and_none_has_two_keys(hook: Hook, tmp_path: Path, delay: float) -> None:
    exporter = configured(tmp_path / "exporter", hook.url)
    with exporter:
        now = both_up(exporter)
        send(exporter, "device_a", now, up=False)  # acknowledged: from here on the switch is owed
        time.sleep(delay)
        exporter.kill()
    with exporter:
        wait_for(lambda: active(exporter) == 1, "the switch")
        exporter.stop()
    assert hook.actions
    assert list(hook.acted.values()) == ["switch"]
    assert {call.body["sequence"] for call in hook.calls} == {1}


def test_a_report_and_the_api_count_the_group_as_up_while_either_is(hook: Hook, tmp_path: Path) -> None:
    with configured(tmp_path / "exporter", hook.url) as exporter:
        now = both_up(exporter)
        for device, at, up in (("device_a", 1000, False), ("device_b", 600, False), ("device_b", 500, True)):
            send(exporter, device, now - at, up=up)
        (row,) = exporter.api(f"availability?by=group&end={now}")["rows"]
        assert (row["key"], row["downtime_seconds"], row["observed_seconds"]) == ("channel_a+channel_b", 100, 5000)
        by_channel = {row["key"]: row for row in exporter.api(f"availability?by=channel&end={now}")["rows"]}
        assert by_channel["channel_a"]["downtime_seconds"] == 1000
    config = str(exporter.folder / "exporter.yml")
    done = run_command(
        *("report", "--by", "group", "--format", "json", "--config.file", config, "--storage.url", exporter.storage_url)
    )
    assert done.returncode == 0, done.stderr
    assert [row["key"] for row in json.loads(done.stdout)["rows"]] == ["channel_a+channel_b"]


@pytest.mark.slow  # it waits for a window's end
def test_planned_work_is_switched_only_when_its_window_has_ended(hook: Hook, tmp_path: Path) -> None:
    end = int(time.time() + patient(10))
    exporter = configured(tmp_path / "exporter", hook.url)
    config = json.loads((exporter.folder / "exporter.yml").read_text())
    window = {"match": {"channel_id": "channel_a"}, "timezone": "UTC"}
    window |= {name: datetime.fromtimestamp(at, UTC).isoformat() for name, at in (("start", end - 60), ("end", end))}
    (exporter.folder / "exporter.yml").write_text(json.dumps(config | {"maintenance": [window]}))
    with exporter:
        now = both_up(exporter)
        send(exporter, "device_a", now, up=False)
        send(exporter, "device_b", now, up=False)
        assert exporter.sample("channel_failover_no_backup", **PAIR) == 0
        send(exporter, "device_b", now + 1, up=True)
        wait_for(lambda: active(exporter) == 1, "the switch", 20)
        (call,) = hook.calls
        assert call.body["at"] >= end


def test_the_incident_of_the_channel_shows_when_it_was_switched_over_a_kill_too(hook: Hook, tmp_path: Path) -> None:
    exporter = configured(tmp_path / "exporter", hook.url)
    with exporter:
        now = both_up(exporter)
        send(exporter, "device_a", now, up=False)
        wait_for(lambda: active(exporter) == 1, "the switch")
        exporter.kill()  # the incident's entry may not be on disk yet; the switch is
    with exporter:

        def timeline() -> list[str]:
            (incident,) = exporter.api("incidents")["incidents"]
            return [entry["kind"] for entry in exporter.api(f"incidents/{incident['number']}")["timeline"]]

        wait_for(lambda: exporter.api("incidents")["incidents"], "the incident")
        wait_for(lambda: "switched" in timeline(), "the entry")
        assert timeline().count("switched") == 1
        assert hook.actions == ["switch"]
