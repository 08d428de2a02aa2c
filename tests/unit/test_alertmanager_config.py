"""What the stack's Alertmanager gets: alertmanager.yml without what has no secret file."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/alertmanager_config.py"

CONFIG = """
templates: [templates/messages.tmpl]
global: {{smtp_smarthost: "smtp.example.com:587", smtp_auth_password_file: {dir}/smtp_password}}
route: {{receiver: all}}
receivers:
  - name: all
    email_configs: [{{to: operator@example.com}}]
    slack_configs: [{{api_url_file: {dir}/slack_url}}, {{api_url_file: {dir}/other_slack_url}}]
    webhook_configs:
      - url: http://relay/sms
        http_config: {{authorization: {{credentials_file: {dir}/relay_token}}}}
  - name: plain
    webhook_configs: [{{url: http://example.com}}]
"""


@pytest.fixture
def render(tmp_path):
    def run(*options, **secrets):
        source, target = tmp_path / "alertmanager.yml", tmp_path / "rendered.yml"
        source.write_text(CONFIG.format(dir=tmp_path))
        for name, text in secrets.items():
            (tmp_path / name).write_text(text)
        command = [sys.executable, str(SCRIPT), str(source), str(target), *options]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        rendered = yaml.safe_load(target.read_text())
        return rendered, {receiver["name"]: receiver for receiver in rendered["receivers"]}, done.stdout

    return run


def test_without_any_secret_file_only_what_needs_none_is_on(render):
    rendered, receivers, said = render()

    assert receivers == {
        "all": {"name": "all"},
        "plain": {"name": "plain", "webhook_configs": [{"url": "http://example.com"}]},
    }
    assert "smtp_auth_password_file" not in rendered["global"]
    assert "all: email is off without" in said
    assert "1 receivers notify somebody" in said


def test_a_secret_file_switches_on_its_own_entry_and_no_other(render, tmp_path):
    _, receivers, _ = render(slack_url="https://example.com/hook\n")

    assert receivers["all"] == {"name": "all", "slack_configs": [{"api_url_file": str(tmp_path / "slack_url")}]}


def test_a_nested_secret_file_counts_too(render):
    _, receivers, _ = render(relay_token="token")

    assert [key for key in receivers["all"] if key.endswith("_configs")] == ["webhook_configs"]


def test_the_global_mail_password_switches_on_every_mail(render):
    _, receivers, _ = render(smtp_password="password")

    assert receivers["all"]["email_configs"] == [{"to": "operator@example.com"}]


@pytest.mark.parametrize("text", ["", "  \n"], ids=["an empty file", "a file of white space"])
def test_a_secret_without_content_is_none(render, text):
    _, receivers, _ = render(slack_url=text)

    assert "slack_configs" not in receivers["all"]


def test_templates_are_found_from_the_place_of_the_source(render, tmp_path):
    rendered, _, _ = render()

    assert rendered["templates"] == [str(tmp_path / "templates/messages.tmpl")]


def test_the_mail_catcher_hears_every_receiver_without_a_password(render):
    rendered, receivers, _ = render("--mail-catcher", "mail:1025")

    assert not [key for key in rendered["global"] if key.startswith("smtp_")]
    for receiver in receivers.values():
        assert [(mail["smarthost"], mail["require_tls"]) for mail in receiver["email_configs"]] == [
            ("mail:1025", False)
        ]
    assert receivers["all"]["email_configs"][0]["to"] == "operator@example.com"


def test_a_source_named_by_a_relative_path_keeps_its_templates(tmp_path):
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/alertmanager.yml").write_text(CONFIG.format(dir=tmp_path))

    subprocess.run([sys.executable, str(SCRIPT), "conf/alertmanager.yml", "rendered.yml"], check=True, cwd=tmp_path)

    rendered = yaml.safe_load((tmp_path / "rendered.yml").read_text())
    assert rendered["templates"] == [str(tmp_path / "conf/templates/messages.tmpl")]
