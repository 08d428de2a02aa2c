"""What the stack's services read: the project's files and the operator's, with `.env` in them."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import bcrypt
import pytest
import yaml

from exporter.config import load
from scripts.demo_stack import strangers
from tests.tools import ROOT, require

FOLDERS = ("alertmanager", "prometheus", "grafana", "caddy", "config", "secrets", "scripts")
TOKEN = "123456789:AAFabcdefghijklmnopqrstuvwxyz"


class Stack:
    """A copy of the project's files, and where the services' files go."""

    def __init__(self, folder: Path) -> None:
        self.project, self.rendered = folder / "project", folder / "rendered"
        self.secrets, self.data = folder / "run-secrets", folder / "data"
        for name in FOLDERS:
            shutil.copytree(ROOT / name, self.project / name, ignore=shutil.ignore_patterns("__pycache__"))
        for path in (self.rendered, self.secrets, self.data):
            path.mkdir()
        for path in (self.project / "secrets").glob("[!R.]*"):
            path.unlink()
        shipped = self.project / "alertmanager/alertmanager.yml"
        shipped.write_text(shipped.read_text().replace("/run/secrets", str(self.secrets)))

    def render(self, *options, status=0, **env):
        command = [sys.executable, "-m", "scripts.render", f"--rendered={self.rendered}"]
        command += [f"--secrets={self.secrets}", f"--data={self.data}", *options]
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        done = subprocess.run(
            command,
            check=False,
            cwd=self.project,
            env=kept | {"PYTHONPATH": str(ROOT)} | env,
            capture_output=True,
            text=True,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def read(self, name):
        return (self.rendered / name).read_text()


@pytest.fixture
def stack(tmp_path):
    return Stack(tmp_path)


def test_without_any_setting_everything_is_there_and_it_says_that_nobody_is_told(stack):
    said = stack.render()

    assert "NOBODY is told" in said
    assert load(stack.rendered / "device-exporter.yml", {}, {}).alerts.timezone == "Asia/Jakarta"
    assert (stack.rendered / "prometheus/rules/devices.yml").exists()
    assert json.loads(stack.read("grafana/dashboards/fleet-overview.json"))["uid"] == "devices-fleet-overview-id"


def test_one_line_each_reaches_every_service(stack):
    said = stack.render(
        LANGUAGE="en",
        TIMEZONE="WITA",
        PUBLIC_URL="https://alerts.toko.id",
        TELEGRAM_BOT_TOKEN=TOKEN,
        TELEGRAM_CHAT="-100123",
    )
    config = load(stack.rendered / "device-exporter.yml", {}, {})

    assert (config.alerts.language, config.alerts.timezone) == ("en", "Asia/Makassar")
    assert config.web.external_url == "https://alerts.toko.id"
    assert config.alerts.dashboard_url == ("https://alerts.toko.id/grafana/d/devices-device?var-device={device_id}")
    assert "told: chat: telegram" in said
    assert "GF_SERVER_ROOT_URL='https://alerts.toko.id/grafana/'" in stack.read("grafana/grafana.env")
    assert "GF_DATE_FORMATS_DEFAULT_TIMEZONE='Asia/Makassar'" in stack.read("grafana/grafana.env")
    assert json.loads(stack.read("grafana/dashboards/fleet-overview.json"))["uid"] == "devices-fleet-overview"
    boards = [path.read_text() for path in (stack.rendered / "grafana/dashboards").iterdir()]
    assert all("https://alerts.toko.id/incidents" in board and "localhost" not in board for board in boards)
    assert stack.read("caddy/caddy.env") == "PUBLIC_ADDRESS=https://alerts.toko.id\n"
    jobs = {job["job_name"]: job for job in yaml.safe_load(stack.read("prometheus/prometheus.yml"))["scrape_configs"]}
    assert jobs["grafana"]["metrics_path"] == "/grafana/metrics"
    assert "Asia/Makassar" in stack.read("alertmanager/templates/settings.tmpl")


@pytest.mark.binaries
@pytest.mark.parametrize("env", [{}, {"LANGUAGE": "en", "PUBLIC_URL": "https://alerts.toko.id", "TELEGRAM_CHAT": "-1"}])
def test_the_programs_accept_what_is_rendered(stack, env):
    stack.render(**env, TELEGRAM_BOT_TOKEN=TOKEN, SMTP_HOST="mail.toko.id", SMTP_FROM="a@toko.id", MAIL_TO="b@toko.id")

    for program, name in (("amtool", "alertmanager/alertmanager.yml"), ("promtool", "prometheus/prometheus.yml")):
        check = ["check-config"] if program == "amtool" else ["check", "config"]
        done = subprocess.run(
            [require(program), *check, str(stack.rendered / name)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_wrong_setting_stops_before_anything_is_changed(stack):
    stack.render(LANGUAGE="en")
    before = {path: path.read_bytes() for path in stack.rendered.rglob("*") if path.is_file()}

    said = stack.render(LANGUAGE="id", TIMEZONE="Mars", status=1)

    assert "TIMEZONE: expected WIB, WITA, WIT" in said
    assert {path: path.read_bytes() for path in stack.rendered.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("name", ["device-exporter.yml", "web.yml", "prometheus.yml", "alertmanager.yml"])
def test_a_file_of_the_operators_that_is_no_yaml_is_named(stack, name):
    (stack.project / "config" / name).write_text("a: [1\n")

    assert f"config/{name}: " in stack.render(status=1)


def test_the_operators_files_go_over_the_shipped_ones_and_add_to_them(stack):
    config = stack.project / "config"
    (config / "device-exporter.yml").write_text("policies: {wa: {alert_after: 1m}}\nalerts: {timezone: UTC}\n")
    (config / "prometheus.yml").write_text(
        "scrape_configs: [{job_name: device-exporter}]\nremote_write: [{url: http://x}]\n"
    )
    (config / "rules").mkdir()
    (config / "rules/mine.yml").write_text("groups: []\n")
    (config / "templates").mkdir()
    (config / "templates/mine.tmpl").write_text("{{/* mine */}}")

    stack.render(TIMEZONE="WIT", LANGUAGE="en")

    exporter = load(stack.rendered / "device-exporter.yml", {}, {})
    assert exporter.policies.for_engine("wa").alert_after == 60
    assert (exporter.alerts.timezone, exporter.alerts.language) == ("UTC", "en")
    prometheus = yaml.safe_load(stack.read("prometheus/prometheus.yml"))
    assert prometheus["remote_write"] == [{"url": "http://x"}]
    assert prometheus["scrape_configs"][0]["basic_auth"]["username"] == "admin"
    assert stack.read("prometheus/rules/mine.yml") == "groups: []\n"
    assert (stack.rendered / "alertmanager/templates/mine.tmpl").exists()


def test_the_first_start_makes_a_password_and_later_ones_keep_it(stack):
    stack.render()
    password, hashed = (stack.data / "admin-password").read_text().strip(), json.loads(stack.read("web.yml"))
    stack.render(LANGUAGE="en")

    assert len(password) >= 20
    assert stack.read("exporter-password") == password
    assert bcrypt.checkpw(password.encode(), hashed["basic_auth_users"]["admin"].encode())
    assert json.loads(stack.read("web.yml")) == hashed
    assert stat.S_IMODE((stack.data / "admin-password").stat().st_mode) == 0o600


def test_a_password_of_the_operators_takes_its_place(stack):
    stack.render()
    stack.render(ADMIN_PASSWORD="kata sandi")

    hashed = json.loads(stack.read("web.yml"))["basic_auth_users"]["admin"]
    assert bcrypt.checkpw(b"kata sandi", hashed.encode())
    assert stack.read("prometheus/admin-password") == "kata sandi"


def test_more_users_have_their_own_names(stack):
    hashed = bcrypt.hashpw(b"x", bcrypt.gensalt(4)).decode()
    (stack.project / "config/web.yml").write_text(f"basic_auth_users: {{sari: '{hashed}'}}\n")
    stack.render()

    assert set(json.loads(stack.read("web.yml"))["basic_auth_users"]) == {"admin", "sari"}


def test_sms_need_one_line_and_the_relays_token_is_made(stack):
    stack.render(SMS_URLS="json://gateway.example/x")

    config = json.loads(stack.read("device-exporter.yml"))
    assert config["notify"]["targets"] == {"sms": {"urls_file": "/run/secrets/sms_urls"}}
    assert (stack.secrets / "relay_token").read_text() == (stack.data / "relay-token").read_text().strip()
    receivers = yaml.safe_load(stack.read("alertmanager/alertmanager.yml"))["receivers"]
    assert {receiver["name"] for receiver in receivers if "webhook_configs" in receiver} == {"sms", "sms-once"}


def test_a_secret_taken_away_is_gone_from_the_services(stack):
    (stack.project / "secrets/slack_url").write_text("https://hooks.example/x\n")
    assert "chat: slack" in stack.render()
    (stack.project / "secrets/slack_url").unlink()

    assert "NOBODY" in stack.render()
    assert list(stack.secrets.iterdir()) == []


def test_no_secret_is_printed_and_none_can_be_read_by_others(stack):
    secrets = {"SMTP_PASSWORD": "s3cret-mail", "TELEGRAM_BOT_TOKEN": TOKEN, "SLACK_URL": "https://hooks.example/s3cret"}
    said = stack.render(**secrets, SMTP_HOST="m.toko.id", SMTP_USER="a@toko.id", MAIL_TO="b@c.id", TELEGRAM_CHAT="1000")

    assert "s3cret" not in said
    assert TOKEN not in said
    files = [path for folder in (stack.rendered, stack.secrets) for path in folder.rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) & 0o007 for path in files} == {0}


def test_the_catcher_of_the_demo_hears_every_receiver(stack):
    stack.render(
        "--demo", SMTP_HOST="m.toko.id", SMTP_FROM="a@toko.id", MAIL_TO="b@c.id", DEADMAN_URL="https://d.toko.id"
    )

    receivers = {one["name"]: one for one in yaml.safe_load(stack.read("alertmanager/alertmanager.yml"))["receivers"]}
    to = re.findall(r"(?:api_url|smarthost|url): (\S+)", stack.read("alertmanager/alertmanager.yml"))
    assert {address.removeprefix("http://").split(":")[0] for address in to} == {"catcher", "exporter-admin"}
    assert {kind for one in receivers.values() for kind in one} >= {
        "slack_configs",
        "telegram_configs",
        "email_configs",
    }
    assert (stack.secrets / "sms_urls").read_text() == "json://catcher:8025/sms"


def test_the_demo_has_three_gateways_whose_sessions_its_guard_knows(stack):
    stack.render("--demo")

    file = stack.rendered / "device-exporter.yml"
    file.write_text(file.read_text().replace("/run/secrets", str(stack.secrets)))
    config = load(file, {}, {})
    assert {name: one.preset for name, one in config.gateways.items()} == {
        "evolution-jkt": "evolution",
        "waha-bdg": "waha",
        "fonnte": "fonnte",
    }
    sessions = [f"{name}:{session}" for name, one in config.gateways.items() for session in one.businesses]
    known = [*((name, name, "biz_1") for name in sessions), ("device_0001", "channel_1", "biz_1")]
    assert strangers(known) == []
    assert strangers([*known, ("wa-kasir", "channel_1", "biz_1")]) == ["wa-kasir"]
    assert (stack.rendered / "demo/scripts/demo_gateways.py").is_file()
    assert (stack.rendered / "demo/.env").read_text() == "LANGUAGE=id\n"


def test_every_place_for_a_setting_in_the_shipped_files_is_found(stack):
    stack.render(TIMEZONE="WITA", PUBLIC_URL="https://alerts.toko.id")

    texts = [path.read_text() for path in (stack.rendered / "alertmanager").rglob("*") if path.is_file()]
    assert [text for text in texts if "Asia/Jakarta" in text or "localhost" in text.replace("(localhost|127", "")] == []


def test_a_pair_has_two_of_everything_over_one_database(stack):
    stack.render("--pair")
    url = stack.read("storage-url")
    first, second = (yaml.safe_load(stack.read(f"prometheus/{name}.yml")) for name in ("prometheus", "prometheus-2"))
    config = yaml.safe_load(stack.read("device-exporter.yml"))

    assert url == f"postgresql://exporter:{stack.read('postgres/password')}@postgres:5432/exporter"
    assert config["alertmanager"]["urls"] == ["http://alertmanager:9093", "http://alertmanager-2:9093"]
    assert (stack.secrets / "webhook_secret").read_text() == (stack.data / "webhook-secret").read_text().strip()
    assert [one["global"].pop("external_labels") for one in (first, second)] == [{"replica": "1"}, {"replica": "2"}]
    assert first == second
    assert first["alerting"]["alert_relabel_configs"] == [{"regex": "replica", "action": "labeldrop"}]
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in first["scrape_configs"]}
    assert targets["device-exporter"] == ["exporter-admin:9877", "exporter-admin-2:9877"]
    assert targets["alertmanager"] == ["alertmanager:9093", "alertmanager-2:9093"]
    assert first["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] == targets["alertmanager"]
    assert "--cluster.peer=alertmanager-2:9094" in stack.read("alertmanager/peers.env")


def test_a_pair_signs_its_links_alike(stack):
    stack.render("--pair", PUBLIC_URL="https://alerts.toko.id")
    pages = yaml.safe_load(stack.read("device-exporter.yml"))["pages"]

    assert pages["secret_file"] == "/run/secrets/link_secret"
    assert (stack.secrets / "link_secret").read_text() == (stack.data / "link-secret").read_text().strip()


def test_without_a_pair_the_journal_is_a_file_and_alertmanager_alone(stack):
    stack.render("--pair")
    stack.render()

    assert stack.read("storage-url") == "sqlite:////data/exporter.db"
    assert stack.read("alertmanager/peers.env") == ""
    assert not (stack.rendered / "prometheus/prometheus-2.yml").exists()
    assert not (stack.rendered / "postgres/password").exists()
    assert "external_labels" not in stack.read("prometheus/prometheus.yml")
