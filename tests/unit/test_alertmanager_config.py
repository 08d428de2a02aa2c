"""What the stack's Alertmanager gets: alertmanager.yml without what has no secret file."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from scripts.alertmanager_config import rendered, templates_with, ways_on
from scripts.settings import read_settings

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = (ROOT / "alertmanager/alertmanager.yml").read_text()

CONFIG = """
templates: [templates/messages.tmpl]
global: {{smtp_smarthost: "mail.toko.id:587", smtp_from: a@toko.id, smtp_auth_password_file: {dir}/smtp_password}}
route: {{receiver: all}}
receivers:
  - name: all
    email_configs: [{{to: operator@toko.id}}]
    slack_configs: [{{api_url_file: {dir}/slack_url}}, {{api_url_file: {dir}/other_slack_url}}]
    webhook_configs:
      - url: http://relay/sms
        http_config: {{authorization: {{credentials_file: {dir}/relay_token}}}}
  - name: plain
    webhook_configs: [{{url: http://example.com}}]
"""


@pytest.fixture
def render(tmp_path):
    def run(source=CONFIG, env=None, **secrets):
        for name, text in secrets.items():
            (tmp_path / name).write_text(text)
        text = source.format(dir=tmp_path) if source is CONFIG else source.replace("/run/secrets", str(tmp_path))
        config, off = rendered(text, read_settings(env or {}), Path("/rendered/alertmanager"))
        return config, {receiver["name"]: receiver for receiver in config["receivers"]}, off

    return run


def test_without_any_secret_file_only_what_needs_none_is_on(render):
    config, receivers, off = render()

    assert receivers == {
        "all": {"name": "all"},
        "plain": {"name": "plain", "webhook_configs": [{"url": "http://example.com"}]},
    }
    assert "smtp_auth_password_file" not in config["global"]
    assert "all: email is off without SMTP_PASSWORD" in off
    assert ways_on(config) == {"plain": ["webhook"]}


def test_a_secret_file_switches_on_its_own_entry_and_no_other(render, tmp_path):
    _, receivers, _ = render(slack_url="https://example.com/hook\n")

    assert receivers["all"] == {"name": "all", "slack_configs": [{"api_url_file": str(tmp_path / "slack_url")}]}


def test_a_nested_secret_file_counts_too(render):
    _, receivers, _ = render(relay_token="token")

    assert [key for key in receivers["all"] if key.endswith("_configs")] == ["webhook_configs"]


def test_the_global_mail_password_switches_on_every_mail(render):
    _, receivers, _ = render(smtp_password="password")

    assert receivers["all"]["email_configs"] == [{"to": "operator@toko.id"}]


@pytest.mark.parametrize("text", ["", "  \n"], ids=["an empty file", "a file of white space"])
def test_a_secret_without_content_is_none(render, text):
    _, receivers, _ = render(slack_url=text)

    assert "slack_configs" not in receivers["all"]


def test_templates_are_found_where_they_are_rendered(render):
    config, _, _ = render()

    assert config["templates"] == ["/rendered/alertmanager/templates/messages.tmpl"]


# The shipped file with settings --------------------------------------------------------------------------------------
MAIL = {"SMTP_HOST": "mail.toko.id", "SMTP_USER": "ops@toko.id", "MAIL_TO": "a@toko.id, b@toko.id"}


def test_the_shipped_file_notifies_nobody_without_settings(render):
    config, _, off = render(SHIPPED)

    assert ways_on(config) == {}
    assert "chat: telegram is off without TELEGRAM_BOT_TOKEN, TELEGRAM_CHAT" in off


def test_mail_is_on_with_server_account_password_and_address(render):
    config, receivers, _ = render(SHIPPED, env=MAIL, smtp_password="x")

    assert ways_on(config) == {"email": ["email"]}
    assert receivers["email"]["email_configs"][0]["to"] == "a@toko.id, b@toko.id"
    assert config["global"]["smtp_smarthost"] == "mail.toko.id:587"
    assert config["global"]["smtp_from"] == "Device Exporter <ops@toko.id>"
    assert config["global"]["smtp_auth_username"] == "ops@toko.id"


@pytest.mark.parametrize("key", ["SMTP_HOST", "MAIL_TO"])
def test_mail_is_off_while_an_address_is_still_the_example(render, key):
    config, _, off = render(SHIPPED, env=MAIL | {key: "", "SMTP_FROM": "a@toko.id"}, smtp_password="x")

    assert ways_on(config) == {}
    assert f"email: email is off without {key}" in off


def test_a_mail_server_without_an_account_needs_no_password(render):
    env = {"SMTP_HOST": "10.0.0.2:25", "SMTP_FROM": "a@toko.id", "SMTP_TLS": "no", "MAIL_TO": "b@toko.id"}
    config, _, _ = render(SHIPPED, env=env)

    assert ways_on(config) == {"email": ["email"]}
    assert not [key for key in config["global"] if key.startswith("smtp_auth")]
    assert config["global"]["smtp_require_tls"] is False


def test_telegram_is_on_with_token_and_chat_for_each_receiver_by_itself(render, tmp_path):
    env = {"TELEGRAM_CHAT": "-100123", "MANAGEMENT_TELEGRAM_CHAT": "77"}
    one, _, _ = render(SHIPPED, env={"TELEGRAM_CHAT": "-100123"}, telegram_bot_token="1:x")
    both, receivers, _ = render(SHIPPED, env=env, telegram_bot_token="1:x")

    assert ways_on(one) == {"chat": ["telegram"]}
    assert ways_on(both) == {"chat": ["telegram"], "management": ["telegram"]}
    [entry] = receivers["chat"]["telegram_configs"]
    assert entry["chat_id"] == -100123
    assert entry["bot_token_file"] == str(tmp_path / "telegram_bot_token")


def test_quiet_hours_are_in_the_time_zone_of_the_settings(render):
    config, _, _ = render(SHIPPED, env={"TIMEZONE": "WIT"})

    zones = [interval["location"] for named in config["time_intervals"] for interval in named["time_intervals"]]
    assert set(zones) == {"Asia/Jayapura"}


@pytest.mark.parametrize("language", ["id", "en"])
def test_the_language_of_the_settings_chooses_the_texts(render, language):
    config, _, _ = render(SHIPPED, env={"LANGUAGE": language})

    assert [name for name in config["templates"] if name.endswith(("/id.tmpl", "/en.tmpl"))] == [
        f"/rendered/alertmanager/templates/{language}.tmpl"
    ]


def test_an_operators_own_addresses_stay_as_they_are(render):
    own = SHIPPED.replace("operator@example.com", "own@toko.id").replace("location: Asia/Jakarta", "location: UTC")
    config, receivers, _ = render(own, env=MAIL | {"TIMEZONE": "WITA"}, smtp_password="x")

    assert receivers["email"]["email_configs"][0]["to"] == "own@toko.id"
    assert "Makassar" not in str(config["time_intervals"])


def test_templates_get_the_zone_and_only_links_that_can_be_opened():
    text = "".join(path.read_text() for path in (ROOT / "alertmanager/templates").glob("*.tmpl"))
    plain = templates_with(text, read_settings({"TIMEZONE": "WITA"}))
    public = templates_with(text, read_settings({"PUBLIC_URL": "https://alerts.toko.id/"}))

    assert "Asia/Jakarta" not in plain
    assert "Asia/Makassar" in plain
    assert '$grafana := ""' in plain
    assert "localhost:3000" not in plain
    assert '$grafana := "https://alerts.toko.id/grafana"' in public
    assert '$pages := "https://alerts.toko.id"' in public


def test_a_file_can_be_rendered_without_the_stack(tmp_path):
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/alertmanager.yml").write_text(CONFIG.format(dir=tmp_path))
    command = [sys.executable, "-m", "scripts.alertmanager_config", str(tmp_path / "conf/alertmanager.yml")]

    subprocess.run([*command, str(tmp_path / "rendered.yml")], check=True, cwd=ROOT, env={})

    rendered_file = yaml.safe_load((tmp_path / "rendered.yml").read_text())
    assert rendered_file["templates"] == [str(tmp_path / "conf/templates/messages.tmpl")]
