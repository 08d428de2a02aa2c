"""`.env` of the stack: what it may say, what is refused, and with which words."""

import pytest

from scripts.env_file import read_env, write_env
from scripts.settings import BadSettings, read_secrets, read_settings

GOOD_TOKEN = "123456789:AAFabcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize(
    ("value", "zone"),
    [
        ("WIB", "Asia/Jakarta"),
        ("wita", "Asia/Makassar"),
        ("WIT", "Asia/Jayapura"),
        ("Asia/Singapore", "Asia/Singapore"),
        ("", "Asia/Jakarta"),
    ],
)
def test_a_time_zone_is_indonesias_short_name_or_any_other(value, zone):
    assert read_settings({"TIMEZONE": value}).timezone == zone


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("LANGUAGE", "en_US:en", "expected id or en"),
        ("TIMEZONE", "Jakarta", "WIB, WITA, WIT or a zone"),
        ("TIMEZONE", "../etc/passwd", "WIB, WITA, WIT or a zone"),
        ("PUBLIC_URL", "alerts.toko.id", "expected an address such as https://"),
        ("PUBLIC_URL", "https://alerts.toko.id/exporter", "the host alone"),
        ("PUBLIC_URL", "http://localhost:8080", "leave it empty"),
        ("PUBLIC_URL", "http://127.0.0.1", "leave it empty"),
        ("PUBLIC_URL", 'https://a"b', "expected an address"),
        ("SMTP_HOST", "mail.toko.id:587:1", "host:port"),
        ("SMTP_HOST", "mail.toko.id", "SMTP_FROM: is needed"),
        ("MAIL_TO", "ops", "mail addresses"),
        ("TELEGRAM_CHAT", "@grup", "a number such as"),
        ("SMTP_TLS", "maybe", "yes or no"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_key_and_what_is_allowed(key, value, says):
    with pytest.raises(BadSettings, match=says) as refused:
        read_settings({key: value})

    assert str(refused.value).startswith(key if "needed" not in says else "SMTP_FROM")


def test_all_wrong_settings_are_told_at_once():
    with pytest.raises(BadSettings) as refused:
        read_settings({"LANGUAGE": "fr", "TIMEZONE": "x", "MAIL_TO": "y"})

    assert [line.split(":")[0] for line in str(refused.value).splitlines()] == ["LANGUAGE", "TIMEZONE", "MAIL_TO"]


def test_links_lead_to_the_public_address_and_there_are_none_without_it():
    alone = read_settings({})
    public = read_settings({"PUBLIC_URL": "https://alerts.toko.id:8443/"})

    assert (alone.grafana_link, alone.grafana_url, alone.pages_url) == (
        "",
        "http://localhost:3000/",
        "http://localhost:9877",
    )
    assert public.grafana_url == "https://alerts.toko.id:8443/grafana/"
    assert public.pages_url == "https://alerts.toko.id:8443"
    assert public.public_address == "https://alerts.toko.id"


def test_grafana_can_have_an_address_of_its_own():
    given = read_settings({"PUBLIC_URL": "https://a.toko.id", "GRAFANA_URL": "https://grafana.toko.id"})

    assert given.grafana_url == "https://grafana.toko.id/"
    assert given.grafana_path == ""


def test_a_secret_is_a_value_or_a_file_and_the_value_goes_over_the_file(tmp_path):
    (tmp_path / "slack_url").write_text("https://hooks.example/file\n")
    (tmp_path / "failover_secret").write_text("own\n")
    (tmp_path / "README.md").write_text("not a secret")
    (tmp_path / ".gitignore").write_text("*")

    assert read_secrets(tmp_path, {}) == {"slack_url": b"https://hooks.example/file\n", "failover_secret": b"own\n"}
    given = read_secrets(tmp_path, {"SLACK_URL": "https://hooks.example/env", "TELEGRAM_BOT_TOKEN": GOOD_TOKEN})
    assert given["slack_url"] == b"https://hooks.example/env\n"
    assert given["telegram_bot_token"].decode() == f"{GOOD_TOKEN}\n"


def test_several_sms_addresses_become_lines(tmp_path):
    given = read_secrets(tmp_path, {"SMS_URLS": "twilio://a:b@1/2  json://x"})

    assert given["sms_urls"] == b"twilio://a:b@1/2\njson://x\n"


def test_an_empty_file_is_no_secret(tmp_path):
    (tmp_path / "slack_url").write_text(" \n")

    assert read_secrets(tmp_path, {}) == {}


@pytest.mark.parametrize(
    ("key", "value"),
    [("SLACK_URL", "hooks.slack.com/s3cret"), ("TELEGRAM_BOT_TOKEN", "s3cret"), ("DEADMAN_URL", "s3cret")],
)
def test_a_wrong_secret_is_refused_without_showing_it(tmp_path, key, value):
    with pytest.raises(BadSettings) as refused:
        read_secrets(tmp_path, {key: value})

    assert key in str(refused.value)
    assert "s3cret" not in str(refused.value)


# The file itself -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "value", ["plain", "two words", "pa$$w#rd", "it's", "a\\b", "=", 'say "hi"', "-100123", "https://a.b/c?d=e&f"]
)
def test_what_is_written_is_read_again(tmp_path, value):
    write_env(tmp_path / ".env", {"KEY": value})

    assert read_env(tmp_path / ".env") == {"KEY": value}


def test_other_lines_and_comments_stay_where_they_are(tmp_path):
    file = tmp_path / ".env"
    file.write_text("# mine\nWEBHOOK_PORT=80\nLANGUAGE=id\n\nTIMEZONE=WIB # west\n")

    write_env(file, {"LANGUAGE": "en", "TIMEZONE": "", "MAIL_TO": "a@b.id"})

    assert file.read_text() == "# mine\nWEBHOOK_PORT=80\nLANGUAGE=en\n\nMAIL_TO=a@b.id\n"
    assert file.stat().st_mode & 0o777 == 0o600
