"""The real exporter process: what a newcomer, the platform, an operator and a full disk meet."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import subprocess
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from exporter.domain.records import Append
from exporter.domain.timeline import Kind
from exporter.journal.sqlite.database import Database
from exporter.journal.storage import open_reader
from tests.bodies import DEVICE_EVENT, device_event
from tests.e2e.harness import Prometheus, running
from tests.e2e.process import Client, ExporterProcess, run_command
from tests.patience import patient, wait_for, wait_for_counts
from tests.ports import free_port
from tests.tools import require
from tests.unit.journal_site import identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PROMETHEUS_ACCEPT = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
"""What Prometheus 3 sends by default."""

ANYWHERE = ("--webhook.listen-address", "127.0.0.1:0", "--web.listen-address", "127.0.0.1:0")


@pytest.fixture
def exporter(tmp_path: Path) -> Iterator[ExporterProcess]:
    with ExporterProcess(tmp_path / "exporter") as started:
        yield started


class TestNewcomer:
    def test_the_example_payload_is_an_outage_in_the_metrics_and_in_the_api(self, exporter: ExporterProcess) -> None:
        answer = exporter.post(DEVICE_EVENT)
        assert (answer.status, answer.text) == (200, "OK")
        labels = {"device_id": "device_7f3a", "engine": "wa", "channel_id": "channel_11", "business_id": "biz_9"}
        samples = exporter.samples()
        assert samples["device_up"] == [(labels, 0.0)]
        assert samples["device_disconnect_total"] == [(labels, 1.0)]
        assert ({"engine": "wa", "business_id": "biz_9", "state": "down"}, 1.0) in samples["fleet_devices"]
        (outage,) = exporter.api("devices/device_7f3a/outages")["outages"]
        assert (outage["start"], outage["end"]) == (1738056000, None)
        device = exporter.api("devices/device_7f3a")
        assert (device["state"], device["since"], device["business_name"]) == ("down", 1738056000, "Toko Makmur")

    @pytest.mark.binaries
    def test_a_real_prometheus_shows_the_device_down(self, exporter: ExporterProcess, tmp_path: Path) -> None:
        exporter.post(DEVICE_EVENT)
        target = exporter.admin_url.removeprefix("http://")
        prometheus = Prometheus(tmp_path / "prometheus", targets={"exporter": target}, rules=[], alertmanagers=[])
        with running(prometheus):
            (down,) = wait_for(lambda: prometheus.query("device_up == 0"), "device_up == 0 in Prometheus", 30)
            assert down["metric"]["device_id"] == "device_7f3a"
            assert down["metric"]["business_id"] == "biz_9"
            (info,) = prometheus.query("device_up * on (device_id) group_left (device_name) device_info")
            assert info["metric"]["device_name"] == "Front desk WhatsApp"

    def test_it_speaks_openmetrics_and_gzip_with_those_who_ask(self, exporter: ExporterProcess) -> None:
        exporter.post(DEVICE_EVENT)
        prometheus = exporter.get("/metrics", Accept=PROMETHEUS_ACCEPT, Accept_Encoding="gzip")
        assert prometheus.headers["Content-Encoding"] == "gzip"
        assert prometheus.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        assert prometheus.text.endswith("# EOF\n")
        curl = exporter.get("/metrics", Accept="*/*")
        assert "Content-Encoding" not in curl.headers
        assert curl.headers["Content-Type"].startswith("text/plain; version=0.0.4")

    @pytest.mark.binaries
    def test_promtool_finds_nothing_to_complain_about_in_a_scrape(self, exporter: ExporterProcess) -> None:
        now = int(time.time())
        exporter.send(("up", now - 60, True), ("down", now - 60, False), ("flap", now - 60, False), ("flap", now, True))
        exporter.post(b"{broken")
        exporter.get("/metrics")
        checked = subprocess.run(
            [require("promtool"), "check", "metrics"],
            input=exporter.get("/metrics").body,
            capture_output=True,
            timeout=patient(60),
            check=False,
        )
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")

    def test_the_first_start_makes_a_secret_for_its_owner_only_and_says_where(self, exporter: ExporterProcess) -> None:
        file = exporter.folder / "webhook-secret"
        assert oct(file.stat().st_mode & 0o777) == "0o600"
        assert exporter.post(DEVICE_EVENT, secret="").status == 401
        wait_for(lambda: f"secret_is_in={file}" in exporter.log, "the log names the file")
        [line] = [line for line in exporter.log.splitlines() if "secret_is_in=" in line]
        assert re.search(r" webhook=http://127\.0\.0\.1:\d+/webhook ", line)
        assert re.search(r" page=http://127\.0\.0\.1:\d+/$", line)
        assert exporter.secret not in exporter.log
        first = exporter.secret
        exporter.stop()
        exporter.start()
        assert exporter.secret == first

    def test_nothing_that_it_writes_can_be_read_by_others(self, exporter: ExporterProcess) -> None:
        exporter.post(DEVICE_EVENT)
        open_to_others = [path.name for path in exporter.folder.iterdir() if path.stat().st_mode & 0o077]
        assert [name for name in open_to_others if name != "exporter.db.lock"] == []


class TestPlatform:
    def test_an_event_sent_again_after_a_refusal_counts_once_with_its_own_time(self, exporter: ExporterProcess) -> None:
        now = int(time.time())
        exporter.send(("d1", now - 600, True))
        exporter.fill_disk()
        refused = exporter.post(device_event("d1", now - 300, up=False))
        assert refused.status == 503
        assert int(refused.headers["Retry-After"]) > 0
        exporter.free_disk()
        assert exporter.post(device_event("d1", now - 300, up=False), secret="wrong").status == 401
        for _ in range(3):
            exporter.send(("d1", now - 300, False))
        exporter.send(("d1", now - 240, True))
        assert _account(exporter, "d1") == (1, 60.0, "up")
        assert exporter.sample("device_exporter_events_total", outcome="duplicate") == 2

    def test_a_disconnect_that_arrives_after_its_connect_is_an_outage_of_exact_length(
        self, exporter: ExporterProcess
    ) -> None:
        now = int(time.time())
        exporter.send(("d1", now - 600, True), ("d1", now - 100, True), ("d1", now - 137, False))
        assert _account(exporter, "d1") == (1, 37.0, "up")
        assert exporter.sample("device_downtime_seconds_total", device_id="d1") == 37
        assert exporter.sample("fleet_downtime_seconds_total") == 37
        assert exporter.sample("fleet_outage_duration_seconds_sum") == 37
        (outage,) = exporter.api("devices/d1/outages")["outages"]
        assert (outage["start"], outage["end"], outage["duration_seconds"]) == (now - 137, now - 100, 37)

    def test_the_connection_test_and_events_of_the_future_are_answered_and_counted(
        self, exporter: ExporterProcess
    ) -> None:
        now = int(time.time())
        assert exporter.post({"event": "test", "timestamp": now}).status == 200
        assert exporter.post({"event": "device.rebooted", "timestamp": now}).status == 200
        assert exporter.sample("device_exporter_events_total", event="test", outcome="accepted") == 1
        assert exporter.sample("device_exporter_events_total", event="other", outcome="ignored") == 1


def test_a_restart_remembers_when_a_device_was_last_heard_of(tmp_path: Path) -> None:
    at = int(time.time()) - 7 * 3600
    with ExporterProcess(tmp_path) as exporter:
        exporter.send(("d1", at, True))
        exporter.stop()
        exporter.start()

        assert exporter.sample("device_exporter_last_event_timestamp_seconds") == at


def test_what_is_down_has_a_series_with_its_names_and_what_is_back_has_none(tmp_path: Path) -> None:
    at = int(time.time()) - 100
    with ExporterProcess(tmp_path) as exporter:
        exporter.send(("d1", at, False), ("d2", at, False), ("d2", at + 50, True))

        (line,) = [text for text in exporter.get("/metrics").text.splitlines() if text.startswith("device_down_since_")]

    assert 'device_id="d1"' in line
    assert f'device_name="{DEVICE_EVENT["device"]["name"]}"' in line
    assert float(line.split()[-1]) == at


def test_a_correction_lowers_what_is_known_at_once_and_never_the_counter(tmp_path: Path) -> None:
    now = int(time.time())
    with ExporterProcess(tmp_path) as exporter:
        exporter.send(("d1", now - 7200, True), ("d1", now - 3600, False), ("d1", now - 600, True))
        exporter.get("/metrics")
        exporter.send(("d1", now - 3000, True))

        assert exporter.sample("fleet_downtime_known_seconds") == 600
        assert exporter.sample("fleet_downtime_seconds_total") == 3000


@pytest.mark.binaries
def test_increase_agrees_with_the_journal_across_a_kill_and_late_and_duplicate_events(tmp_path: Path) -> None:
    port = free_port()
    exporter = ExporterProcess(tmp_path / "exporter", admin_port=port)
    prometheus = Prometheus(
        tmp_path / "prometheus",
        targets={"exporter": f"127.0.0.1:{port}"},
        rules=[],
        alertmanagers=[],
        interval="1s",
    )
    series = 'device_downtime_seconds_total{device_id="d1"}'

    def values() -> list[tuple[float, float]]:
        found = prometheus.query(f"{series}[10m]")
        return [(float(at), float(value)) for at, value in found[0]["values"]] if found else []

    with exporter, running(prometheus):
        begin = int(time.time())
        exporter.send(("d1", begin - 60, True))
        wait_for(values, "the first sample", 30)

        down = int(time.time())
        exporter.send(("d1", down, False))
        wait_for(lambda: values()[-1][1] >= 1, "the running outage in Prometheus", 30)
        exporter.kill()
        exporter.start()
        exporter.send(("d1", down, False))  # the platform's retry
        back = max(int(time.time()), down + 2)
        exporter.send(("d1", back, True), ("d1", back, True))

        exporter.send(("d1", begin - 45, True), ("d1", begin - 50, False))  # an outage of 5 s, back to front

        again = back + 1
        exporter.send(("d1", again, False))
        closed = values()[-1][1]
        wait_for(lambda: values()[-1][1] >= closed + 2, "the second outage in Prometheus", 30)
        exporter.send(("d1", again + 1, True))  # it had been over for a while: the counter has to stand still
        exporter.send(("d1", begin - 40, False), ("d1", begin - 10, True))  # until the truth overtakes it

        outages = exporter.api("devices/d1/outages")["outages"]
        exact = sum(outage["end"] - outage["start"] for outage in outages)
        assert exact == 5 + 30 + (back - down) + 1
        wait_for_counts(lambda: {"seconds": values()[-1][1]}, {"seconds": exact}, "downtime in Prometheus", 30)

        samples = values()
        assert [value for _, value in samples] == sorted(value for _, value in samples)
        (start, first), (end, _) = samples[0], samples[-1]
        assert first == 0
        (increase,) = prometheus.query(f"increase({series}[{int(end - start) + 1}s] @ {end})")
        assert abs(float(increase["value"][1]) - exact) <= 1


class TestLife:
    def test_a_stop_answers_what_is_under_way_writes_a_checkpoint_and_exits_with_0(
        self, exporter: ExporterProcess
    ) -> None:
        now = int(time.time())
        exporter.send(("d1", now - 600, True))
        clients = {now - 500 + number: exporter.platform() for number in range(8)}
        with closing(sqlite3.connect(exporter.database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # commits wait
            for at, client in clients.items():
                client.send("POST", "/webhook", json.dumps(device_event("d1", at, up=bool(at % 2))).encode())
            assert _accepts(exporter)  # it has seen all that was sent before
            exporter.signal(signal.SIGTERM)
            wait_for(lambda: not _accepts(exporter), "it stops accepting")
            other.execute("ROLLBACK")
        statuses = {at: client.answer().status for at, client in clients.items()}
        for client in clients.values():
            client.close()
        assert exporter.wait(within=10) == 0
        stored = {timestamp for _, timestamp, _ in journalled(exporter.database)}
        assert set(statuses.values()) <= {200, 503}  # 503: the machine was so busy that the lock lasted too long
        assert {at for at, status in statuses.items() if status == 200} == stored - {now - 600}
        with closing(sqlite3.connect(exporter.database)) as connection:
            query = "SELECT max(seq) <= (SELECT value FROM meta WHERE key = 'checkpoint_seq') FROM event"
            assert connection.execute(query).fetchone() == (1,)
        assert exporter.lines[-1].rstrip().endswith("msg=stopped")

    def test_how_long_nobody_has_sent_anything_is_known_over_a_restart(self, exporter: ExporterProcess) -> None:
        before = int(time.time()) - 5000
        exporter.send(("d1", before, True))
        exporter.kill()
        exporter.start()
        assert exporter.sample("device_exporter_last_event_timestamp_seconds") == before

    def test_it_is_not_ready_until_the_journal_is_loaded_and_tells_senders_to_retry(self, tmp_path: Path) -> None:
        exporter = ExporterProcess(tmp_path / "exporter")
        _fill_journal(exporter.database, devices=2_000, events=60_000)
        exporter.start(wait=False)
        try:
            loading = exporter.get("/-/ready")
            early = exporter.post(device_event("d1", int(time.time()), up=False))
            assert (loading.status, loading.json["code"]) == (503, "not_ready")
            assert (early.status, early.json["code"]) == (503, "journal_unavailable")
            assert "Retry-After" in early.headers
            wait_for(exporter.ready, "the journal is loaded", 60)
            assert exporter.sample("device_exporter_devices") == 2_000
        finally:
            exporter.kill()

    def test_a_second_exporter_on_the_same_journal_is_told_so(self, exporter: ExporterProcess) -> None:
        second = run_command(*ANYWHERE, "--storage.url", exporter.storage_url)
        assert second.returncode == 2
        assert f"another exporter (pid {exporter.process.pid}) is using" in second.stderr
        assert "Traceback" not in second.stderr

    def test_a_file_that_is_no_journal_is_named_without_a_traceback(self, tmp_path: Path) -> None:
        file = tmp_path / "photo.db"
        file.write_bytes(b"not a database" * 100)
        started = run_command(*ANYWHERE, "--storage.url", f"sqlite:///{file}")
        assert started.returncode == 1
        assert f"{file}: file is not a database" in started.stderr
        assert "Traceback" not in started.stderr
        assert file.read_bytes() == b"not a database" * 100


class TestReload:
    @pytest.mark.parametrize("how", ["SIGHUP", "POST"])
    def test_a_good_file_comes_into_force_and_a_bad_one_changes_nothing(self, tmp_path: Path, how: str) -> None:
        file = tmp_path / "exporter.yml"
        file.write_text("policies: {wa: {alert_after: 10s}}\n")
        with ExporterProcess(tmp_path / "exporter", "--config.file", str(file)) as exporter:

            def reload(status: int) -> None:
                if how == "POST":
                    assert exporter.get("/-/reload", "POST").status == status
                else:
                    exporter.signal(signal.SIGHUP)

            def in_force(seconds: float, successful: float) -> None:
                wait_for(
                    lambda: (
                        (
                            exporter.sample("policy_alert_after_seconds", engine="wa"),
                            exporter.sample("device_exporter_config_last_reload_successful"),
                        )
                        == (seconds, successful)
                    ),
                    f"alert_after {seconds} with reload {successful}; log: {exporter.log}",
                )

            in_force(10, 1)
            file.write_text("policies: {wa: {alert_after: 25s}}\n")
            reload(200)
            in_force(25, 1)
            file.write_text("policies: {wa: {alert_after: soon}}\n")
            reload(500)
            in_force(25, 0)
            assert "policies.wa.alert_after" in exporter.log
            exporter.send(("d1", int(time.time()), True))
            file.write_text("policies: {wa: {alert_after: 30s}}\n")
            reload(200)
            in_force(30, 1)

    def test_a_changed_secret_is_asked_for_from_then_on(self, tmp_path: Path) -> None:
        secret = tmp_path / "secret"
        secret.write_text("first\n")
        file = tmp_path / "exporter.yml"
        file.write_text(f"webhook: {{secret_file: {secret}}}\n")
        with ExporterProcess(tmp_path / "exporter", "--config.file", str(file)) as exporter:
            assert exporter.post(DEVICE_EVENT, secret="first").status == 200
            secret.write_text("second\n")
            assert exporter.get("/-/reload", "POST").status == 200
            assert exporter.post(DEVICE_EVENT, secret="first").status == 401
            assert exporter.post(DEVICE_EVENT, secret="second").status == 200
            assert not (exporter.folder / "webhook-secret").exists()


class TestCommands:
    def test_a_forgotten_device_leaves_the_metrics_and_keeps_its_history(self, exporter: ExporterProcess) -> None:
        now = int(time.time())
        for device in ("by/command", "by request"):
            exporter.send((device, now - 100, False), (device, now - 70, True))
        forgot = run_command("forget", "by/command", "--url", exporter.admin_url)
        assert (forgot.returncode, forgot.stdout) == (0, "by/command is forgotten\n")
        assert exporter.get("/api/v1/devices/by%20request", "DELETE").status == 204
        assert "device_up" not in exporter.samples()
        assert exporter.sample("fleet_downtime_seconds_total") == 60
        (outage,) = exporter.api("devices/by%2Fcommand/outages")["outages"]
        assert outage["duration_seconds"] == 30
        again = run_command("forget", "by/command", "--url", exporter.admin_url)
        assert again.returncode == 1
        assert "no such device" in again.stderr
        exporter.kill()
        exporter.start()
        assert "device_up" not in exporter.samples()
        exporter.send(("by/command", int(time.time()) + 1, False))  # later than when it was forgotten
        assert exporter.sample("device_up", device_id="by/command") == 0

    def test_a_rejected_event_is_listed_shown_and_accepted_when_it_can_be(self, tmp_path: Path) -> None:
        file = tmp_path / "exporter.yml"
        file.write_text("webhook: {max_future_skew: 1m}\n")
        with ExporterProcess(tmp_path / "exporter", "--config.file", str(file)) as exporter:

            def quarantine(*arguments: str) -> subprocess.CompletedProcess[str]:
                return run_command("quarantine", *arguments, "--storage.url", exporter.storage_url)

            early = int(time.time()) + 3000
            assert exporter.post(device_event("d1", early, up=False)).status == 400
            assert exporter.sample("device_exporter_quarantine_entries") == 1
            (entry,) = json.loads(quarantine("list", "--json").stdout)
            assert (entry["times"], entry["code"]) == (1, "timestamp_in_future")
            assert entry["code"] in quarantine("list").stdout
            number = str(entry["id"])
            shown = json.loads(quarantine("show", number).stdout)
            assert shown["payload"]["device"]["id"] == "d1"
            refused = quarantine("requeue", number, "--url", f"{exporter.public_url}/webhook")
            assert refused.returncode == 1
            assert "timestamp: " in refused.stderr, refused.stderr
            file.write_text("webhook: {max_future_skew: 1h}\n")
            exporter.get("/-/reload", "POST")
            accepted = quarantine("requeue", number, "--url", f"{exporter.public_url}/webhook")
            assert (accepted.returncode, accepted.stdout) == (0, f"entry {number} was accepted\n")
            assert exporter.api("devices/d1")["since"] == early
            assert quarantine("show", "99").returncode == 1

    def test_check_config_prints_what_is_in_force_or_what_is_wrong(self, tmp_path: Path) -> None:
        file = tmp_path / "exporter.yml"
        file.write_text("policies: {wa: {alert_after: 90s}}\n")
        good = run_command("check-config", "--config.file", str(file))
        assert good.returncode == 0
        assert "alert_after: 1m 30s" in good.stdout or "alert_after: 90s" in good.stdout or "1m30s" in good.stdout
        file.write_text("policies: {wa: {alert_afterr: 90s}}\n")
        bad = run_command("check-config", "--config.file", str(file))
        assert bad.returncode == 2
        assert str(file) in bad.stderr
        assert "policies.wa" in bad.stderr
        assert "Traceback" not in bad.stderr

    def test_a_backup_of_the_running_exporter_holds_what_was_acknowledged(
        self, exporter: ExporterProcess, tmp_path: Path
    ) -> None:
        exporter.send(*(("d1", 1738056000 + step, bool(step % 2)) for step in range(20)))
        copy = tmp_path / "copy.db"
        made = run_command("backup", str(copy), "--storage.url", exporter.storage_url)
        assert made.returncode == 0, made.stderr
        assert oct(copy.stat().st_mode & 0o777) == "0o600"
        assert journalled(copy) == journalled(exporter.database)
        assert run_command("backup", str(copy), "--storage.url", exporter.storage_url).returncode == 1
        with open_reader(f"sqlite:///{copy}") as reader:
            assert len(next(iter(reader.histories())).outages) == 10


class TestPrivacy:
    def test_no_message_customer_or_secret_reaches_log_disk_or_metrics(self, exporter: ExporterProcess) -> None:
        private = [f"privat-{number}-xyzzy" for number in range(12)]
        given = iter(private)
        message = {
            "id": "message_1",
            "sender_name": next(given),
            "channel": DEVICE_EVENT["device"]["channel"],
            "bisnis": DEVICE_EVENT["device"]["bisnis"],
            "user": DEVICE_EVENT["device"]["user"],
            "agent": {"name": next(given)},
            "ai": {"id": "ai_1", "name": next(given)},
            "content": {"type": "text", "text": next(given), "caption": next(given)},
        }
        event = {
            "event": "channel.message_in",
            "timestamp": int(time.time()),
            "conversation_id": next(given),
            "conversation_label": next(given),
            "need_human": 1,
            "message": message,
        }
        for kind in ("channel.message_in", "agent.message_out", "ai.message_generated"):
            assert exporter.post(event | {"event": kind}).status == 200
        assert exporter.post(DEVICE_EVENT | {"message": message, "note": next(given)}).status == 200
        refused = [
            event | {"timestamp": "soon"},
            event | {"message": message["content"]},
            DEVICE_EVENT | {"status": next(given), "message": message},
            DEVICE_EVENT | {"timestamp": next(given), "message": message},
        ]
        for body in refused:
            assert exporter.post(body).status == 400
        assert exporter.post(json.dumps(event).encode()[:-1]).status == 400
        assert exporter.post(event, secret=next(given)).status == 401
        assert exporter.post(DEVICE_EVENT | {"event": next(given), "message": message}).status == 200
        assert next(given, None) is None
        metrics = exporter.get("/metrics").body
        listed = run_command("quarantine", "list", "--storage.url", exporter.storage_url).stdout
        secret = exporter.secret
        files = {path: path.read_bytes() for path in exporter.folder.iterdir() if path.name != "webhook-secret"}
        exporter.stop()
        files |= {path: path.read_bytes() for path in exporter.folder.iterdir() if path.name != "webhook-secret"}
        places = {"log": exporter.log.encode(), "metrics": metrics, "list": listed.encode(), **files}
        found = [(str(where), word) for where, text in places.items() for word in private if word.encode() in text]
        found += [(str(where), "the secret") for where, text in places.items() if secret.encode() in text]
        in_status_or_time = private[8:10]  # the fields of an event, kept in the quarantine to be mended
        assert [hit for hit in found if hit[1] not in in_status_or_time or hit[0] == "log"] == []
        for name in ("Ibu Sari", "Toko Makmur", "Front desk WhatsApp"):
            assert name not in exporter.log

    def test_each_change_of_state_is_one_line_and_what_changes_nothing_is_none(self, exporter: ExporterProcess) -> None:
        now = int(time.time())
        exporter.send(("d1", now - 50, False), ("d1", now - 50, False), ("d1", now - 40, False))
        exporter.send(("d1", now - 30, True), ("d1", now - 45, False), ("d1", now - 20, True))
        exporter.stop()
        lines = [line for line in exporter.lines if 'msg="device ' in line]
        assert [line.split("msg=")[1].split(" device_id")[0] for line in lines] == ['"device down"', '"device up"']

    def test_a_storm_of_bad_requests_is_a_few_lines(self, exporter: ExporterProcess) -> None:
        before = len(exporter.lines)
        broken = json.dumps(DEVICE_EVENT).encode()[:-1]

        def storm(number: int) -> None:
            stranger, sender = exporter.platform(secret=f"guess-{number}"), exporter.platform()
            for step in range(625):
                assert stranger.call("POST", "/webhook", b"{}").status == 401
                if step % 2:
                    assert sender.call("POST", "/webhook", b"%d" % step + broken).status == 400
                else:
                    assert sender.call("POST", "/webhook", b"{}", Content_Type="text/plain").status == 415
            stranger.close()
            sender.close()

        at_once(storm, 4)
        exporter.stop()
        events = exporter.lines[before:]
        assert any("suppressed=" in line for line in events)
        assert len(events) < 100


class TestLostFile:
    def test_a_database_that_is_removed_is_told_at_the_health_check_and_not_each_second_in_the_log(
        self, exporter: ExporterProcess
    ) -> None:
        now = int(time.time())
        exporter.send(("d1", now - 60, True))
        aside = exporter.database.with_name("aside.db")
        aside.hardlink_to(exporter.database)
        exporter.database.unlink()
        refused = exporter.post(device_event("d1", now, up=False))
        assert (refused.status, refused.json["code"]) == (503, "journal_unavailable")
        healthy = exporter.get("/-/healthy")
        assert (healthy.status, healthy.json["code"]) == (503, "unhealthy")
        assert "was removed or replaced" in healthy.json["error"]
        assert "was removed or replaced" in exporter.api("status")["trouble"]

        def failures() -> float:
            return exporter.sample("device_exporter_journal_failures_total", operation="incidents") or 0

        wait_for(lambda: failures() >= 5, "several rounds without the journal", 60)
        assert exporter.log.count("incidents wait for the journal") <= 2
        assert exporter.log.count("task=days") <= 2
        assert exporter.api("status")["devices"] == 1
        aside.rename(exporter.database)
        exporter.send(("d1", now, False))
        assert exporter.get("/-/healthy").status == 200
        assert exporter.api("status")["trouble"] == ""


class TestFullDisk:
    @pytest.mark.parametrize("killed", [False, True], ids=["after a clean stop", "after a kill"])
    def test_a_start_on_a_full_disk_answers_503_says_why_and_recovers_by_itself(
        self, exporter: ExporterProcess, killed: bool
    ) -> None:
        now = int(time.time())
        exporter.send(("d1", now - 60, True), ("d1", now - 50, False))
        if killed:
            exporter.kill()
        else:
            exporter.stop()
        exporter.start_on_full_disk()
        answer = exporter.post(device_event("d1", now, up=True))
        assert (answer.status, answer.json["code"]) == (503, "journal_unavailable")
        assert exporter.get("/-/ready").status == 503
        wait_for(lambda: "the journal cannot be used yet" in exporter.log, "a line in the log", 30)
        exporter.free_disk()
        wait_for(exporter.ready, "the journal is loaded", 60)
        exporter.send(("d1", now, True))
        assert _account(exporter, "d1") == (1, 50.0, "up")

    def test_nothing_says_that_the_fleet_is_empty_before_its_journal_could_be_opened(self, tmp_path: Path) -> None:
        config = tmp_path / "exporter.yml"
        config.write_text("pages:\n  items: [{title: Toko, slug: toko, match: {engine: wa}}]\n")
        flags = ("--config.file", str(config), "--pages.listen-address", "127.0.0.1:0")
        with ExporterProcess(tmp_path / "exporter", *flags) as exporter:
            exporter.send(("d1", int(time.time()) - 60, True))
            assert self._statuses(exporter) == {200}
            exporter.stop()
            exporter.start_on_full_disk()
            wait_for(lambda: "the journal cannot be used yet" in exporter.log, "a line in the log", 30)
            assert self._statuses(exporter) == {503}
            refused = exporter.get("/api/v1/devices")
            assert (refused.json["code"], refused.headers["Retry-After"]) == ("journal_unavailable", "30")
            status = exporter.api("status")
            assert (status["ready"], status["devices"]) == (False, None)
            assert "exporter.db" in status["trouble"]
            assert exporter.get("/-/healthy").status == 200
            assert exporter.get("/-/reload", "POST").status == 200
            exporter.free_disk()
            wait_for(exporter.ready, "the journal is loaded", 60)
            assert self._statuses(exporter) == {200}
            assert (exporter.api("status")["trouble"], exporter.api("status")["devices"]) == ("", 1)

    @staticmethod
    def _statuses(exporter: ExporterProcess) -> set[int]:
        """Return the statuses of whatever would look empty without the journal."""
        asked = ("/", "/devices", "/devices.csv", "/devices/d1", "/incidents", "/metrics")
        asked += ("/api/v1/devices", "/api/v1/devices/d1", "/api/v1/maintenance", "/api/v1/incidents")
        outside = Client(exporter.pages_url)
        found = {exporter.get(path).status for path in asked}
        found |= {outside.call("GET", path).status for path in ("/s/toko", "/s/toko/summary.json")}
        outside.close()
        return found

    def test_an_exporter_that_is_stopped_before_its_journal_could_be_opened_does_not_say_that_it_takes_webhooks(
        self, exporter: ExporterProcess
    ) -> None:
        exporter.stop()
        said = exporter.log.count("webhooks are taken")
        exporter.start_on_full_disk()
        wait_for(lambda: "the journal cannot be used yet" in exporter.log, "a line in the log", 30)
        assert exporter.stop() == 0
        assert exporter.log.count("webhooks are taken") == said == 1

    def test_a_journal_in_trouble_does_not_silence_its_own_metrics(self, exporter: ExporterProcess) -> None:
        now = int(time.time())
        exporter.send(("d1", now - 60, True))
        journalled(exporter.database)
        with closing(sqlite3.connect(exporter.database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            refused = exporter.post(device_event("d1", now, up=False))
            assert (refused.status, refused.json["code"]) == (503, "journal_unavailable")
            assert (exporter.sample("device_exporter_journal_failures_total", operation="append") or 0) >= 1
            assert exporter.sample("device_up") == 1
            other.execute("ROLLBACK")
        exporter.send(("d1", now - 30, False), ("d1", now, False), ("d1", now + 1, True))
        assert _account(exporter, "d1") == (1, 31.0, "up")

    def test_senders_are_told_to_retry_and_it_recovers_by_itself_with_nothing_lost(
        self, exporter: ExporterProcess
    ) -> None:
        now = int(time.time())
        kept = [("d1", now - 600 + step, bool(step % 2)) for step in range(10)]
        exporter.send(*kept)
        exporter.fill_disk()
        for step in range(5):
            answer = exporter.post(device_event("d1", now - 500 + step, up=bool(step % 2)))
            assert (answer.status, answer.json["code"]) == (503, "journal_unavailable")
            assert "Retry-After" in answer.headers
        new = exporter.post(device_event("new", now - 500, up=True))
        assert new.status == 503
        assert (exporter.sample("device_exporter_journal_failures_total", operation="append") or 0) >= 6
        assert exporter.get("/-/healthy").status == 200
        assert [entry["device_id"] for entry in exporter.api("devices")["devices"]] == ["d1"]
        exporter.free_disk()
        retried = [("d1", now - 500 + step, bool(step % 2)) for step in range(5)] + [("new", now - 500, True)]
        exporter.send(*retried)
        expected = sorted((device, at, int(up)) for device, at, up in kept + retried)
        assert journalled(exporter.database) == expected
        before = exporter.api("devices")["devices"]
        exporter.kill()
        exporter.start()
        assert [_without_running(entry) for entry in exporter.api("devices")["devices"]] == [
            _without_running(entry) for entry in before
        ]


def journalled(database: Path) -> list[tuple[str, int, int]]:
    """Return (device id, Unix seconds, kind) of every event in a journal, sorted."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        query = "SELECT d.device_id, e.timestamp, e.kind FROM event e JOIN device d ON d.id = e.device"
        return sorted(connection.execute(query))


def at_once(work: Callable[[int], None], number: int) -> None:
    """Do the work in so many threads; what fails in one of them fails here."""
    errors: list[BaseException] = []

    def run(index: int) -> None:
        try:
            work(index)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def _account(exporter: ExporterProcess, device_id: str) -> tuple[int, float, str]:
    device = exporter.api(f"devices/{device_id}")
    return device["disconnects"], device["downtime_seconds"], device["state"]


def _accepts(exporter: ExporterProcess) -> bool:
    client = Client(exporter.public_url)
    try:
        client.call("GET", "/-/healthy")
    except ConnectionError:
        return False
    finally:
        client.close()
    return True


def _without_running(device: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in device.items() if key != "downtime_seconds" or device["state"] == "up"}


def _fill_journal(database: Path, *, devices: int, events: int) -> None:
    """Write a journal that has no checkpoint, so that a start takes a while."""
    journal = Database(database, time.time)
    start = int(time.time()) - events
    for first in range(0, events, 10_000):
        journal.append(
            [
                Append(identity(f"d{step % devices}"), start + step, Kind(step // devices % 2))
                for step in range(first, min(events, first + 10_000))
            ],
            first,
        )
    journal.close()
