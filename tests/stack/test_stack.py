"""The whole stack on a real Docker engine, in the order in which a newcomer meets it."""

import json
import math
import os
import shutil
import subprocess
import threading
import time
import urllib.request

import pytest

from tests.bodies import DEVICE_EVENT
from tests.stack.project import SERVICES, Stack, eventually, post, status_of
from tests.tools import require

EXAMPLE = DEVICE_EVENT | {"timestamp": int(time.time())}
"""News: what is heard of much later is told only if its end does not follow."""
NO_CAPABILITIES = "0000000000000000"


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """One stack for all tests, from a fresh copy of the project, with Slack switched on towards a sink container."""
    require("docker")
    stack = Stack(tmp_path_factory.mktemp("project"))
    try:
        stack.prepare()
        stack.up()
        yield stack
    finally:
        stack.tear_down()


def event(device, kind, timestamp):
    return EXAMPLE | {
        "event": f"device.{kind}",
        "status": kind,
        "timestamp": timestamp,
        "device": EXAMPLE["device"] | {"id": device, "name": device},
    }


def devices(stack):
    """All devices by id, over all pages."""
    found, cursor = {}, ""
    while cursor is not None:
        page = stack.admin(f"/api/v1/devices{f'?cursor={cursor}' if cursor else ''}")
        found |= {device["device_id"]: device for device in page["devices"]}
        cursor = page["next"]
    return found


def grafana(stack, path):
    return json.loads(stack.page(f"http://127.0.0.1:{stack.grafana_port}{path}"))


def test_a_fresh_clone_comes_up_healthy(stack):
    states = {s: stack.inspect(s)["State"]["Health"]["Status"] for s in SERVICES}

    assert set(states.values()) == {"healthy"}
    stand_ins = [service for service in SERVICES if stack.is_stand_in(service)]
    assert not (stand_ins and os.environ.get("STACK_REAL_IMAGES") == "true")
    for service in stand_ins:
        print(f"\nNOTE: {service} is a local stand-in: its image could not be had", end="")  # noqa: T201 - the run says so
    size = json.loads(stack.run("docker", "image", "inspect", stack.inspect("exporter")["Image"]))[0]["Size"]
    took = f"healthy {stack.seconds_to_healthy:.0f} s after its creation; exporter image {size / 1e6:.0f} MB"
    print(f"\n{took}", end=" ")  # noqa: T201 - figures to quote


def test_only_the_webhook_the_pages_and_grafana_are_published_and_on_loopback(stack):
    published = {
        (service, binding["HostIp"], port)
        for service in SERVICES
        for port, bindings in stack.inspect(service)["NetworkSettings"]["Ports"].items()
        for binding in bindings or []
    }

    assert published == {
        ("exporter", "127.0.0.1", "8080/tcp"),
        ("exporter", "127.0.0.1", "8081/tcp"),
        ("exporter", "127.0.0.1", "9877/tcp"),
        ("grafana", "127.0.0.1", "3000/tcp"),
    }


def test_the_pages_open_on_this_machine_with_the_password_made_at_the_first_start(stack):
    assert status_of(f"http://127.0.0.1:{stack.admin_port}/incidents") == 401
    assert "<html" in stack.page(f"http://127.0.0.1:{stack.admin_port}/incidents")
    assert "NUMBER" in stack.compose("exec", "-T", "exporter", "device-exporter", "incidents", "list")


def test_the_example_payload_is_accepted_through_the_published_port(stack):
    assert stack.post(EXAMPLE, secret="wrong") == 401
    assert stack.post(EXAMPLE, secret=stack.secret()) == 200
    assert devices(stack)["device_7f3a"]["state"] == "down"


def test_the_alert_reaches_alertmanager_and_its_notification_the_sink(stack):
    def direct():
        alerts = [a["labels"] for a in stack.alerts() if a["labels"].get("device_id") == "device_7f3a"]
        return [a for a in alerts if a["alertname"] == "DeviceDown" and a["source"] == "exporter"]

    assert eventually(direct)[0]["severity"] == "critical"
    received = eventually(lambda: [m for m in stack.sink() if "Front desk WhatsApp" in json.dumps(m)])
    assert received[0]["path"] == "/slack"


def test_integrations_without_a_secret_file_are_off(stack):
    said = stack.compose("logs", "--no-log-prefix", "settings")
    config = stack.compose("exec", "-T", "alertmanager", "cat", "/rendered/alertmanager/alertmanager.yml")

    assert "email is off without" in said
    assert "slack_configs" in config
    assert "email_configs" not in config


def test_every_prometheus_target_is_up(stack):
    def all_up():
        targets = stack.inside("prometheus", "http://127.0.0.1:9090/api/v1/targets")["data"]["activeTargets"]
        health = {target["labels"]["job"]: target["health"] for target in targets}
        if stack.is_stand_in("grafana"):
            health.pop("grafana")
        return set(health) >= {"device-exporter", "prometheus", "alertmanager"} and set(health.values()) == {"up"}

    eventually(all_up)


def test_every_rule_is_loaded_and_evaluates_without_error(stack):
    def rules(within=math.inf):
        groups = stack.inside("prometheus", "http://127.0.0.1:9090/api/v1/rules")["data"]["groups"]
        return [rule for group in groups if group["interval"] <= within for rule in group["rules"]]

    # the first evaluation of a group is up to its interval away: five minutes are not waited for
    eventually(lambda: all(rule["health"] != "unknown" for rule in rules(within=60)), 90)

    assert [rule for rule in rules(within=60) if rule["health"] != "ok"] == []
    assert [rule for rule in rules() if rule["health"] == "err"] == []
    assert {"DeviceDown", "Watchdog"} <= {rule["name"] for rule in rules()}


def test_prometheus_sees_the_outage(stack):
    series = eventually(lambda: stack.prometheus('device_up{device_id="device_7f3a"} == 0'))

    assert series[0]["metric"]["engine"] == "wa"


def test_grafana_has_its_data_sources_dashboards_and_home(stack):
    assert grafana(stack, "/api/health")["database"] == "ok"
    assert {source["uid"] for source in grafana(stack, "/api/datasources")} == {"prometheus", "alertmanager"}
    committed = {json.loads(f.read_text())["uid"] for f in (stack.directory / "grafana/dashboards/id").glob("*.json")}
    assert {board["uid"] for board in grafana(stack, "/api/search?type=dash-db")} == committed
    assert grafana(stack, "/api/dashboards/home")


def test_grafana_lets_nobody_in_without_the_password_made_at_the_first_start(stack):
    assert status_of(f"http://127.0.0.1:{stack.grafana_port}/api/search") == 401


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_cannot_write_to_its_root_and_has_no_privileges(stack, service):
    status = stack.compose("exec", "-T", service, "cat", "/proc/1/status")
    fields = dict(line.split(":\t") for line in status.splitlines() if ":\t" in line)

    assert fields["Uid"].split()[0] != "0"
    assert {fields[name] for name in ("CapEff", "CapPrm", "CapBnd")} == {NO_CAPABILITIES}
    assert fields["NoNewPrivs"] == "1"
    with pytest.raises(AssertionError, match="Read-only file system"):
        stack.compose("exec", "-T", service, "sh", "-c", "echo x >/etc/intruder")
    with pytest.raises(AssertionError, match=r"(?i)read-only|not permitted|denied"):
        stack.compose("exec", "-T", "-u", "0", service, "sh", "-c", "echo x >/usr/intruder")


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_bounded_in_memory_processes_and_logs(stack, service):
    host = stack.inspect(service)["HostConfig"]

    assert 0 < host["Memory"] <= 2 * 1024**3
    assert 0 < host["PidsLimit"] <= (1024 if service == "grafana" else 256)
    assert host["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "5"}


def reaches(stack, network, target):
    """Whether a container on that network alone gets a TCP connection to host:port."""
    host, port = target.split(":")
    script = f"import socket; socket.create_connection(({host!r}, {port}), 3)"
    image = stack.inspect("exporter")["Config"]["Image"]
    options = ["--rm", "--network", f"{stack.name}_{network}", "--entrypoint", "python"]
    done = subprocess.run(
        ["docker", "run", *options, image, "-c", script],
        check=False,
        capture_output=True,
        env=stack.environment,
        timeout=60,
    )
    return done.returncode == 0


def status_from_edge(stack, url):
    """What a container on the public network is answered without a password."""
    call = f"print(r.urlopen({url!r}, timeout=5).status)"
    code = f"import urllib.request as r, urllib.error as e\ntry: {call}\nexcept e.HTTPError as x: print(x.code)"
    image = stack.inspect("exporter")["Config"]["Image"]
    options = ["--rm", "--network", f"{stack.name}_edge", "--entrypoint", "python"]
    return int(stack.run("docker", "run", *options, image, "-c", code))


def test_from_the_public_network_the_webhook_is_all_that_answers_without_a_password(stack):
    addresses = {
        (service, name.removeprefix(f"{stack.name}_")): settings["IPAddress"]
        for service in SERVICES
        for name, settings in stack.inspect(service)["NetworkSettings"]["Networks"].items()
    }

    assert reaches(stack, "edge", "exporter:8080")
    for path in ("/", "/metrics", "/incidents", "/api/v1/devices", "/-/reload"):
        assert status_from_edge(stack, f"http://exporter:9877{path}") == 401, path
    for target in (
        "exporter-admin:9877",
        f"{addresses['exporter', 'inside']}:9877",
        "prometheus:9090",
        f"{addresses['prometheus', 'inside']}:9090",
        "alertmanager:9093",
        f"{addresses['alertmanager', 'egress']}:9093",
        f"{addresses['grafana', 'ui']}:3000",
    ):
        assert not reaches(stack, "edge", target), target


def test_the_admin_listener_serves_the_inside_network_and_the_public_one_serves_only_the_webhook(stack):
    assert reaches(stack, "inside", "exporter-admin:9877")
    for path in ("/metrics", "/api/v1/devices", "/-/reload", "/"):
        assert status_of(f"http://127.0.0.1:{stack.webhook_port}{path}") == 404
    assert status_of(f"http://127.0.0.1:{stack.webhook_port}/-/ready") == 200  # for a front door that asks


def test_prometheus_has_no_way_out(stack):
    networks = [
        json.loads(stack.run("docker", "network", "inspect", name))[0]["Internal"]
        for name in stack.inspect("prometheus")["NetworkSettings"]["Networks"]
    ]

    assert networks == [True]


def test_the_webhook_secret_is_readable_by_its_owner_only(stack):
    shown = stack.compose("exec", "-T", "exporter", "stat", "-c", "%a %u", "/data/webhook-secret")

    assert shown.split() == ["600", "10001"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_restarted_service_comes_back_and_nothing_is_lost(stack, service):
    before = devices(stack)
    stack.post(event(f"before-{service}", "disconnected", int(time.time())), secret=stack.secret())

    stack.compose("restart", service)
    stack.compose("up", "-d", "--wait", "--wait-timeout", "120")

    after = devices(stack)
    assert set(before) | {f"before-{service}"} == set(after)
    assert after["device_7f3a"]["disconnects"] == 1
    eventually(lambda: any(a["labels"].get("device_id") == "device_7f3a" for a in stack.alerts()))
    eventually(lambda: stack.prometheus('device_up{device_id="device_7f3a"} == 0'), 90)


def test_the_exporter_killed_in_a_burst_loses_no_acknowledged_event(stack):
    secret, acknowledged = stack.secret(), []

    def burst(worker):
        for number in range(200):
            device = f"burst-{worker}-{number}"
            if stack.post(event(device, "connected", int(time.time())), secret=secret) != 200:
                return
            acknowledged.append(device)

    workers = [threading.Thread(target=burst, args=(n,)) for n in range(4)]
    for worker in workers:
        worker.start()
    eventually(lambda: len(acknowledged) > 50)
    stack.compose("kill", "-s", "KILL", "exporter")
    for worker in workers:
        worker.join()
    stack.compose("up", "-d", "--wait", "--wait-timeout", "120")

    known = devices(stack)
    assert len(acknowledged) > 50
    assert set(acknowledged) <= set(known)


def test_a_backup_taken_under_load_brings_back_every_event_acknowledged_before_it(stack):
    secret, acknowledged, stop = stack.secret(), [], threading.Event()

    def load():
        while not stop.is_set():
            device = f"load-{len(acknowledged)}"
            if stack.post(event(device, "connected", int(time.time())), secret=secret) == 200:
                acknowledged.append(device)

    worker = threading.Thread(target=load)
    worker.start()
    eventually(lambda: len(acknowledged) > 50)
    before_backup = set(acknowledged)
    backup = stack.run("make", "-s", "backup").split()[-1]
    stop.set()
    worker.join()
    stack.post(event("after-backup", "connected", int(time.time())), secret=secret)

    stack.run("make", "-s", "restore", f"FILE={backup}")

    known = devices(stack)
    assert before_backup <= set(known)
    assert "after-backup" not in known
    assert known["device_7f3a"]["state"] == "down"
    assert stack.secret() == secret


def test_an_upgrade_and_its_rollback_lose_nothing(stack):
    before, image = set(devices(stack)), stack.inspect("exporter")["Image"]
    source = stack.directory / "exporter/__init__.py"
    source.write_text(source.read_text() + "\n# a newer version\n")

    stack.run("make", "-s", "upgrade", timeout=900)
    upgraded = stack.inspect("exporter")["Image"]
    stack.post(event("while-upgraded", "connected", int(time.time())), secret=stack.secret())
    stack.run("make", "-s", "rollback", timeout=600)

    assert upgraded != image
    assert stack.inspect("exporter")["Image"] == image
    assert before | {"while-upgraded"} <= set(devices(stack))


def test_a_changed_env_file_is_taken_into_use_by_the_next_up(stack):
    (stack.directory / ".env").write_text(
        "LANGUAGE=en\nTIMEZONE=WITA\nPUBLIC_URL=https://alerts.example.org\n"
        "TELEGRAM_BOT_TOKEN=123456789:AAFabcdefghijklmnopqrstuvwxyz\nTELEGRAM_CHAT=-100123\n"
    )
    stack.compose("up", "-d", "--wait", "--wait-timeout", "240")

    config = stack.compose("exec", "-T", "alertmanager", "cat", "/rendered/alertmanager/alertmanager.yml")
    status = stack.inside("alertmanager", "http://127.0.0.1:9093/api/v2/status")["config"]["original"]
    assert "chat_id: -100123" in config
    assert "chat_id: -100123" in status
    assert "Asia/Makassar" in status
    assert "told: chat: slack, telegram" in stack.compose("logs", "--no-log-prefix", "settings")
    stack.post(event("after-env", "disconnected", int(time.time())), secret=stack.secret())
    told = eventually(lambda: [m for m in stack.sink() if "after-env" in json.dumps(m)])
    assert "DOWN: after-env" in json.dumps(told)
    assert "https://alerts.example.org/devices/after-env" in json.dumps(told)
    assert "localhost" not in json.dumps(told)
    kept = stack.compose("ps", "--format", "{{.Service}} {{.ID}}")
    stack.compose("up", "-d", "--wait", "--wait-timeout", "120")
    assert stack.compose("ps", "--format", "{{.Service}} {{.ID}}") == kept


def test_a_wrong_setting_is_named_and_leaves_what_runs_alone(stack):
    file = stack.directory / "config/device-exporter.yml"
    file.write_text("policies: [\n")

    with pytest.raises(AssertionError, match=r"config/device-exporter\.yml"):
        stack.run("make", "-s", "reload")
    file.unlink()
    stack.run("make", "-s", "reload")

    assert devices(stack)["device_7f3a"]


def test_the_front_door_lets_webhooks_and_pages_with_a_password_through_over_https(stack):
    (stack.directory / ".env").write_text("PUBLIC_URL=https://alerts.localhost\n")
    stack.compose("--profile", "public", "up", "-d", "--wait", "--wait-timeout", "120")
    payload = event("through-caddy", "connected", int(time.time()))

    def status(method, path, secret="", login=""):
        name, port = "alerts.localhost", stack.https_port
        command = ["curl", "-sk", "--max-time", "10", "--connect-to", f"{name}:443:127.0.0.1:{port}"]
        command += ["-o", "/dev/null", "-w", "%{http_code}", "-X", method, f"https://{name}{path}"]
        command += ["-u", login] if login else []
        body = ["-H", f"Authorization: {secret}", "-H", "Content-Type: application/json", "-d", json.dumps(payload)]
        command += body if method == "POST" else []
        return int(subprocess.run(command, check=False, capture_output=True, text=True).stdout)

    eventually(lambda: status("POST", "/webhook", stack.secret()) == 200)
    assert "through-caddy" in set(devices(stack))
    assert status("POST", "/webhook", "wrong") == 401
    assert status("POST", "/webhook/nobody", "wrong") == 404  # by the exporter: no gateway has that name
    assert status("GET", "/incidents") == 401
    assert status("GET", "/incidents", login=f"admin:{stack.password()}") == 200
    assert status("GET", "/grafana/api/search") == 401
    assert status("GET", "/grafana/login") == 200
    assert {status("GET", path) for path in ("/", "/devices", "/devices/x")} == {401}
    forbidden = [("GET", "/webhook"), ("GET", "/webhook/x"), ("POST", "/webhookx"), ("GET", "/metrics")]
    forbidden += [("GET", "/api/v1/devices"), ("GET", "/x/incidents"), ("GET", "/incidentsx")]
    forbidden += [("POST", "/-/reload"), ("GET", "/-/healthy"), ("PUT", "/webhook")]
    # 0 is a connection that broke: it says nothing, so it is tried again
    assert {pair: eventually(lambda pair=pair: status(*pair)) for pair in forbidden} == dict.fromkeys(forbidden, 404)
    plain = post(f"http://127.0.0.1:{stack.http_port}/webhook", payload, stack.secret())
    assert plain != 200
    stack.compose("--profile", "public", "stop", "caddy")
    (stack.directory / ".env").unlink()
    stack.compose("up", "-d", "--wait", "--wait-timeout", "240")


def test_the_debug_profile_publishes_prometheus_and_alertmanager_on_loopback(stack):
    stack.compose("--profile", "debug", "up", "-d", "--wait", "--wait-timeout", "120")

    for port in stack.debug_ports:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=10) as answer:
            assert answer.status == 200
    bindings = stack.inspect("debug")["NetworkSettings"]["Ports"].values()
    assert {binding["HostIp"] for group in bindings for binding in group or []} == {"127.0.0.1"}


def test_a_backup_holds_everything_and_comes_back_on_a_new_machine(stack, tmp_path_factory):
    (stack.directory / ".env").write_text("LANGUAGE=en\nTIMEZONE=WITA\nMAIL_TO=ops@toko.id\n")
    (stack.directory / "config/device-exporter.yml").write_text("policies: {wa: {alert_after: 1m}}\n")
    stack.compose("up", "-d", "--wait", "--wait-timeout", "240")
    starts, ends = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + after)) for after in (0, 3600))
    matchers = [{"name": "device_id", "value": "silenced", "isRegex": False, "isEqual": True}]
    silence = {"matchers": matchers, "startsAt": starts, "endsAt": ends, "createdBy": "test", "comment": "kept"}
    command = (
        "wget",
        "-q",
        "-O",
        "-",
        "--header",
        "Content-Type: application/json",
        "--post-data",
        json.dumps(silence),
    )
    stack.compose("exec", "-T", "alertmanager", *command, "http://127.0.0.1:9093/api/v2/silences")
    stack.compose("restart", "alertmanager")  # it writes its silences at a stop, and every 15 minutes
    script = "import sqlite3; c = sqlite3.connect('/g/grafana.db'); c.execute('CREATE TABLE own (n)'); c.commit()"
    image = stack.inspect("exporter")["Config"]["Image"]
    options = ["--rm", "-u", "472:0", "-v", f"{stack.name}_grafana-data:/g", "--entrypoint", "python"]
    stack.run("docker", "run", *options, image, "-c", script)
    backup = stack.run("make", "-s", "backup").split()[-1]
    assert (stack.directory / backup).stat().st_mode & 0o777 == 0o600
    assert (stack.directory / "backups").stat().st_mode & 0o777 == 0o700
    assert "backups/" not in stack.run("git", "-C", str(stack.directory), "status", "--short", check=False)
    before = set(devices(stack))

    new = Stack(tmp_path_factory.mktemp("new-machine"))
    try:
        new.prepare()
        (new.directory / "secrets/slack_url").unlink()
        shutil.copy(stack.directory / backup, new.directory / "moved.tar")
        new.environment["EXPORTER_IMAGE"] = stack.environment["EXPORTER_IMAGE"]
        new.run("make", "-s", "restore", "FILE=moved.tar", timeout=600)

        assert set(devices(new)) == before
        assert (new.secret(), new.password()) == (stack.secret(), stack.password())
        for name in (".env", "config/device-exporter.yml", "secrets/slack_url"):
            assert (new.directory / name).read_text() == (stack.directory / name).read_text(), name
        kept = new.inside("alertmanager", "http://127.0.0.1:9093/api/v2/silences")
        assert [one["comment"] for one in kept if one["status"]["state"] == "active"] == ["kept"]
        options[4] = f"{new.name}_grafana-data:/g"
        assert (
            new.run("docker", "run", *options, image, "-c", script.replace("CREATE TABLE own (n)", "SELECT n FROM own"))
            == ""
        )
        assert '"timezone": "Asia/Makassar"' in new.compose(
            "exec", "-T", "exporter", "cat", "/rendered/device-exporter.yml"
        )
    finally:
        new.environment["EXPORTER_IMAGE"] = new.name  # the image is the other stack's
        new.tear_down()
        (stack.directory / ".env").unlink()
        (stack.directory / "config/device-exporter.yml").unlink()
        stack.compose("up", "-d", "--wait", "--wait-timeout", "240")


def test_the_demo_refuses_a_journal_with_a_real_fleet(stack):
    with pytest.raises(AssertionError, match="the demo refuses this journal"):
        stack.compose("--profile", "demo", "run", "--rm", "--no-deps", "-T", "demo-settings")


def test_the_whole_stack_down_and_up_again_keeps_everything(stack):
    before, secret = set(devices(stack)), stack.secret()
    samples = stack.prometheus('count_over_time(device_up{device_id="device_7f3a"}[1h])')[0]["value"][1]

    stack.compose("--profile", "*", "down", "--timeout", "30")
    stack.compose("up", "-d", "--wait", "--wait-timeout", "240")

    assert set(devices(stack)) == before
    assert stack.secret() == secret
    assert devices(stack)["device_7f3a"]["disconnects"] == 1
    kept = eventually(lambda: stack.prometheus('count_over_time(device_up{device_id="device_7f3a"}[1h])'), 90)
    assert int(kept[0]["value"][1]) >= int(samples)
