"""Configurations: one file for each accepted and each rejected one, and how file, environment and flags combine."""

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from exporter.config import Config, describe, ensure_webhook_secret, load
from exporter.config.schema import Secret
from exporter.config.sources import ANY, SETTABLE, keys, variable
from exporter.errors import ConfigError
from exporter.lib.yaml import BadYaml, parse_yaml
from tests.patience import patient

CASES = Path(__file__).parent / "config"
ROOT = Path(__file__).parents[2]


def expectations(file: Path) -> list[str]:
    """Return the comment lines at the top of a case."""
    lines = file.read_text().splitlines()
    return [line[2:] for line in lines if line.startswith("# ")]


def at(tree, path):
    for part in path.split("."):
        tree = tree[int(part)] if isinstance(tree, list) else tree[part]
    return tree


def shown(config: Config):
    return parse_yaml(describe(config))


def message(environ=None, overrides=None, file=None) -> str:
    with pytest.raises(ConfigError) as refused:
        load(file, environ or {}, overrides or {})
    return str(refused.value)


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "exporter.yml"
    file.write_text(text)
    return file


# Files --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("file", sorted(CASES.glob("good/*.yml")), ids=lambda file: file.stem)
def test_a_good_file_is_accepted_and_means_what_its_comment_says(file):
    tree = shown(load(file, {}, {}))

    for line in expectations(file):
        path, value = line.split(": ", 1)
        assert at(tree, path) == parse_yaml(value), path


@pytest.mark.parametrize("file", sorted(CASES.glob("bad/*.yml")), ids=lambda file: file.stem)
def test_a_bad_file_is_refused_with_the_message_in_its_comment(file):
    [expected] = expectations(file)

    text = message(file=file)

    assert text.startswith(f"{file}: ")
    assert expected in text
    assert len(text.splitlines()) == 1, "one mistake has no others in its train"


def test_all_mistakes_are_told_at_once_and_nothing_that_only_follows_from_them(tmp_path):
    file = written(
        tmp_path,
        """\
webhook: {listen_address: 8080, max_body: 1B}
web: {listen_address: ":8080", external_url: ftp://x}
storage: {retention: 1h, retension: 2d}
alertmanager: {urls: ["http://a", ftp://b], basic_auth: {username: u, password: 7}}
policies: {wa: {objective: 100, alert_after: soon}, telegram: {objective: 0}}
notify: {token_file: /nowhere, targets: {"a b": {urls: ["json://x"]}}}
maintenance:
  - {match: {}, cron: R 2 * * *, duration: 1h}
  - {match: {}, start: 2026-02-02, end: 2026-02-01}
failover: [{channel: a}]
alerts: {timezone: Mars/Olympus}
""",
    )

    lines = [line.removeprefix(f"{file}: ") for line in message(file=file).splitlines()]

    assert sorted(line.split(": ")[0] for line in lines) == [
        "alertmanager.basic_auth.password",
        "alertmanager.urls[1]",
        "alerts.timezone",
        "failover[0].backup",
        "failover[0].hook",
        "maintenance[0].cron",
        "maintenance[1].end",
        "notify.targets.a b",
        "notify.token_file",
        "policies.telegram.objective",
        "policies.wa.alert_after",
        "storage.retension",
        "storage.retention",
        "web.external_url",
        "webhook.listen_address",
        "webhook.max_body",
    ]


def test_unknown_variables_and_flags_are_told_with_the_rest():
    text = message({"DEVICE_EXPORTER_WEBHOK_SECRET": "x", "DEVICE_EXPORTER_LOG_LEVEL": "loud"}, {"log.fromat": "json"})

    assert [line.split(":")[0] for line in text.splitlines()] == [
        "environment variable DEVICE_EXPORTER_WEBHOK_SECRET",
        "flag --log.fromat",
        "environment variable DEVICE_EXPORTER_LOG_LEVEL",
    ]


CLASHES = {
    "all interfaces and one": (":8080", "127.0.0.1:8080", True),
    "all of IPv4 and one of it": ("0.0.0.0:8080", "10.0.0.1:8080", True),
    "all of IPv6 and one of it": ("[::]:8080", "[::1]:8080", True),
    "the name of the loopback": ("localhost:8080", "127.0.0.1:8080", True),
    "another port": (":8080", ":9877", False),
    "any port": ("127.0.0.1:0", "127.0.0.1:0", False),
    "two interfaces": ("127.0.0.1:8080", "10.0.0.1:8080", False),
    "two families": ("0.0.0.0:8080", "[::1]:8080", False),
}


@pytest.mark.parametrize(("public", "admin", "clash"), CLASHES.values(), ids=CLASHES)
def test_listeners_that_cannot_both_listen_are_refused(public, admin, clash):
    for one, two in ((public, admin), (admin, public)):
        flags = {"webhook.listen_address": one, "web.listen_address": two}
        if clash:
            assert "takes the same port as webhook.listen_address" in message(overrides=flags)
        else:
            load(None, {}, flags)


def test_no_error_shows_a_secret(tmp_path):
    for text in (
        "webhook: {secret: [S3CRET]}",
        "webhook: {secret: |\n S3CRET",
        "notify: {targets: {a: {urls: S3CRET}}}",
    ):
        assert "S3CRET" not in message(file=written(tmp_path, text))


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    file = tmp_path / "none.yml"

    assert message(file=file) == f"{file}: cannot be read: No such file or directory"


def test_a_file_that_is_not_utf8_is_an_error(tmp_path):
    file = tmp_path / "exporter.yml"
    file.write_bytes(b"alerts: {language: \xff}")

    assert message(file=file) == f"{file}: is not UTF-8 at byte 19"


def test_without_anything_every_key_has_its_default():
    config = load(None, {}, {})

    assert config == Config()
    assert (config.webhook.max_body, config.webhook.max_future_skew) == (65536, 300)
    assert (config.storage.retention, config.storage.retry_span, config.storage.heartbeat_interval) == (
        34560000,
        90,
        10,
    )


def test_the_example_is_accepted_and_shows_every_key():
    text = (ROOT / "exporter.example.yml").read_text()
    names = {[part for part in path if part != ANY][-1] for path in keys()}

    assert isinstance(load(ROOT / "exporter.example.yml", {}, {}), Config)
    shown_by_file = {name for name in names if f"{name}_file" in names}
    assert sorted(name for name in names - shown_by_file if not re.search(rf"\b{name}\b", text)) == []


def test_the_example_is_accepted_with_everything_commented_in(tmp_path):
    text = (ROOT / "exporter.example.yml").read_text()
    lines = [re.sub(r"^( *)#(?=[^ ])", r"\1", line) for line in text.splitlines()]
    for name in (
        "webhook_secret",
        "link_secret",
        "alertmanager_password",
        "notify_token",
        "telegram_bot_token",
        "failover_secret",
        "sms_urls",
        "evo_jkt",
        "evo_api",
    ):
        (tmp_path / "secrets").mkdir(exist_ok=True)
        (tmp_path / "secrets" / name).write_text("json://example.com\n")

    config = load(written(tmp_path, "\n".join(lines)), {}, {})

    assert config.failover
    assert config.maintenance
    assert config.notify.targets
    assert config.gateways
    assert config.alertmanager.basic_auth


def test_times_of_a_window_are_local_to_its_zone(tmp_path):
    text = (
        "maintenance: [{match: {}, start: 2026-02-01 01:00, end: 2026-02-01T03:30:00+07:00, timezone: Asia/Makassar}]"
    )

    [window] = load(written(tmp_path, text), {}, {}).maintenance

    assert (window.start_at, window.end_at) == (1769878800, 1769891400)


# Environment and flags ----------------------------------------------------------------------------------------
def test_a_flag_goes_over_the_environment_over_the_file(tmp_path):
    file = written(tmp_path, "storage: {url: 'sqlite:///file.db', retention: 30d}\nwebhook: {max_body: 2KiB}")
    environ = {"DEVICE_EXPORTER_STORAGE_URL": "sqlite:///env.db", "DEVICE_EXPORTER_STORAGE_RETENTION": "60d"}

    config = load(file, environ, {"storage.url": "sqlite:///flag.db"})

    assert (config.storage.url, config.storage.retention) == ("sqlite:///flag.db", 60 * 86400)
    assert config.webhook.max_body == 2048


@pytest.mark.parametrize(
    ("name", "value", "path", "expected"),
    [
        ("WEBHOOK_SECRET", "rahasia", "webhook.secret", "<secret>"),
        ("WEBHOOK_LISTEN_ADDRESS", "127.0.0.1:80", "webhook.listen_address", "127.0.0.1:80"),
        ("WEB_LISTEN_ADDRESS", ":9878", "web.listen_address", ":9878"),
        ("LOG_FORMAT", "json", "log.format", "json"),
        ("ALERTMANAGER_URLS", "http://a:9093, http://b:9093,", "alertmanager.urls", ["http://a:9093", "http://b:9093"]),
        ("ALERTMANAGER_TLS_INSECURE_SKIP_VERIFY", "true", "alertmanager.tls.insecure_skip_verify", True),
        ("POLICIES_WA_ALERT_AFTER", "1m", "policies.wa.alert_after", "1m"),
        ("POLICIES_WA_ESCALATE_AFTER", "null", "policies.wa.escalate_after", None),
        ("ALERTS_LABELS_JOB", "fleet-a", "alerts.labels", {"job": "fleet-a"}),
        ("POLICIES_DEFAULT_OBJECTIVE", "98.5", "policies.default.objective", 98.5),
        ("POLICIES_MY_ENGINE_SEVERITY", "critical", "policies.my_engine.severity", "critical"),
        ("POLICIES", "{line: {alert_after: 2m}}", "policies.line.alert_after", "2m"),
        ("MAINTENANCE", "[{match: {engine: wa}, cron: 0 2 * * 0, duration: 2h}]", "maintenance.0.duration", "2h"),
        ("ALERTS_DIRECT", "false", "alerts.direct", False),
        ("ALERTS_DIRECT", "True", "alerts.direct", True),
    ],
)
def test_every_kind_of_key_comes_from_the_environment(name, value, path, expected):
    assert at(shown(load(None, {f"DEVICE_EXPORTER_{name}": value}, {})), path) == expected


def test_nested_objects_come_from_the_environment_key_by_key():
    environ = {
        "DEVICE_EXPORTER_ALERTMANAGER_BASIC_AUTH_USERNAME": "exporter",
        "DEVICE_EXPORTER_ALERTMANAGER_BASIC_AUTH_PASSWORD": "example",
        "DEVICE_EXPORTER_NOTIFY_TOKEN": "example",
        "DEVICE_EXPORTER_NOTIFY_TARGETS_SMS_URLS": "json://a, json://b",
        "DEVICE_EXPORTER_NOTIFY_TARGETS_SMS_LANGUAGE": "en",
    }

    config = load(None, environ, {})

    assert config.alertmanager.basic_auth is not None
    assert config.alertmanager.basic_auth.username == "exporter"
    assert config.notify.targets["sms"].urls == ("json://a", "json://b")
    assert config.notify.targets["sms"].language == "en"


def test_a_key_inside_a_map_goes_over_the_whole_map():
    environ = {
        "DEVICE_EXPORTER_POLICIES_WA_ALERT_AFTER": "3m",
        "DEVICE_EXPORTER_POLICIES": "{wa: {alert_after: 1m, objective: 99.9}}",
    }

    policy = load(None, environ, {}).policies.for_engine("wa")

    assert (policy.alert_after, policy.objective) == (180, 99.9)


def test_a_name_in_the_environment_finds_the_name_in_the_file(tmp_path):
    file = written(tmp_path, "policies: {Line-2: {objective: 97}}")

    policy = load(file, {"DEVICE_EXPORTER_POLICIES_LINE_2_ALERT_AFTER": "1m"}, {}).policies.for_engine("Line-2")

    assert (policy.alert_after, policy.objective) == (60, 97)


def test_an_empty_variable_counts_as_not_set(tmp_path):
    file = written(tmp_path, "webhook: {secret: rahasia}")

    assert load(file, {"DEVICE_EXPORTER_WEBHOOK_SECRET": ""}, {}).webhook.secret == "rahasia"


def test_variables_of_others_are_left_alone():
    environ = {
        "PATH": "/bin",
        "DEVICE_EXPORTER_PORT": "tcp://10.0.0.1:8080",
        "DEVICE_EXPORTER_PORT_8080_TCP_ADDR": "10.0.0.1",
        "DEVICE_EXPORTER_SERVICE_HOST": "10.0.0.1",
        "DEVICE_EXPORTER_SERVICE_PORT_WEBHOOK": "8080",
    }

    assert load(None, environ, {}) == Config()


def test_the_environment_can_name_the_file_and_the_flag_wins(tmp_path):
    file = written(tmp_path, "alerts: {language: en}")
    environ = {"DEVICE_EXPORTER_CONFIG_FILE": str(file)}

    assert load(None, environ, {}).alerts.language == "en"
    assert load(CASES / "good" / "empty.yml", environ, {}).alerts.language == "id"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (
            {"WEBHOK_SECRET": "x"},
            (
                "environment variable DEVICE_EXPORTER_WEBHOK_SECRET: no such key "
                "(did you mean `DEVICE_EXPORTER_WEBHOOK_SECRET`?)"
            ),
        ),
        (
            {"POLICIES_WA_ALERT_AFER": "5m"},
            (
                "environment variable DEVICE_EXPORTER_POLICIES_WA_ALERT_AFER: no such key "
                "(did you mean `DEVICE_EXPORTER_POLICIES_WA_ALERT_AFTER`?)"
            ),
        ),
        ({"WEBHOK_SECRET": ""}, "environment variable DEVICE_EXPORTER_WEBHOK_SECRET: no such key"),
        (
            {"WEBHOOK_MAX_BODY": "big"},
            "environment variable DEVICE_EXPORTER_WEBHOOK_MAX_BODY: webhook.max_body: expected a size",
        ),
        (
            {"ALERTS_DIRECT": "maybe"},
            "environment variable DEVICE_EXPORTER_ALERTS_DIRECT: alerts.direct: expected true or false, got 'maybe'",
        ),
        (
            {"FAILOVER": "[{channel: a, backup: a, hook: {url: 'http://x', secret: s}}]"},
            "environment variable DEVICE_EXPORTER_FAILOVER: failover[0].backup: must be another channel",
        ),
        (
            {"FAILOVER": "[{"},
            "environment variable DEVICE_EXPORTER_FAILOVER: failover: expected YAML: line 1, column 3",
        ),
        ({"POLICIES": "[]"}, "environment variable DEVICE_EXPORTER_POLICIES: policies: expected keys and values"),
        (
            {"POLICIES": "5", "POLICIES_WA_OBJECTIVE": "99"},
            "environment variable DEVICE_EXPORTER_POLICIES: policies: expected keys and values",
        ),
        (
            {"WEBHOOK_SECRET": "a", "WEBHOOK_SECRET_FILE": "b"},
            (
                "environment variable DEVICE_EXPORTER_WEBHOOK_SECRET and environment variable "
                "DEVICE_EXPORTER_WEBHOOK_SECRET_FILE: give one of them, not both"
            ),
        ),
    ],
)
def test_a_bad_variable_is_named_in_the_error(environ, expected):
    text = message({f"DEVICE_EXPORTER_{name}": value for name, value in environ.items()})

    assert text.startswith(expected)


def test_a_variable_cannot_reach_into_a_section_of_another_kind(tmp_path):
    file = written(tmp_path, "webhook: 5")

    assert message({"DEVICE_EXPORTER_WEBHOOK_SECRET": "x"}, file=file) == f"{file}: webhook: expected keys and values"


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"storage.urk": "x"}, "flag --storage.urk: no such key (did you mean `storage.url`?)"),
        ({"web.listen-address": "x"}, "flag --web.listen-address: web.listen_address: listen address 'x' has no port"),
        ({"log.level": "loud"}, "flag --log.level: log.level: expected one of debug, info, warning, error, got 'loud'"),
        (
            {"storage.url": "postgresql://exporter:geheim@db/exporter"},
            "flag --storage.url: storage.url: everybody on this machine can read a flag's password",
        ),
    ],
)
def test_a_bad_flag_is_named_in_the_error(overrides, expected):
    assert message(overrides=overrides).startswith(expected)


def test_no_two_keys_share_a_variable():
    variables = [variable(path) for path in SETTABLE]

    assert len(set(variables)) == len(variables)


@given(st.dictionaries(st.sampled_from([variable(path).replace("*", "WA") for path in SETTABLE]), st.text(max_size=40)))
def test_any_value_of_any_variable_gives_a_configuration_or_a_config_error(environ):
    try:
        config = load(None, {name: value for name, value in environ.items() if not name.endswith("_FILE")}, {})
    except ConfigError as error:
        assert str(error)  # noqa: PT017 - both outcomes are right
    else:
        parse_yaml(describe(config))


# Secrets ------------------------------------------------------------------------------------------------------
def test_a_secret_file_is_found_beside_the_configuration_and_trimmed(tmp_path):
    (tmp_path / "secret").write_text("  rahasia \r\n")
    file = written(
        tmp_path, "webhook: {secret_file: secret}\nalertmanager: {basic_auth: {username: a, password_file: secret}}"
    )

    config = load(file, {}, {})

    assert config.webhook.secret == "rahasia"
    assert config.webhook.secret_file == str(tmp_path / "secret")
    assert config.alertmanager.basic_auth is not None
    assert config.alertmanager.basic_auth.password == "  rahasia"


def test_a_secret_file_of_the_environment_is_found_from_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "secret").write_text("rahasia")
    monkeypatch.chdir(tmp_path / "here")

    config = load(written(tmp_path, ""), {"DEVICE_EXPORTER_WEBHOOK_SECRET_FILE": "secret"}, {})

    assert config.webhook.secret == "rahasia"


def test_a_higher_place_replaces_a_secret_by_a_file_and_the_reverse(tmp_path):
    (tmp_path / "secret").write_text("from-file")
    by_file = {"DEVICE_EXPORTER_WEBHOOK_SECRET_FILE": str(tmp_path / "secret")}
    by_value = {"DEVICE_EXPORTER_WEBHOOK_SECRET": "from-environment"}

    assert load(written(tmp_path, "webhook: {secret: x}"), by_file, {}).webhook.secret == "from-file"
    assert load(written(tmp_path, "webhook: {secret_file: none}"), by_value, {}).webhook.secret == "from-environment"


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"", "is empty"), (b" \n\n", "is empty"), (b"\xff\xfe", "is not a text file in UTF-8")],
)
def test_a_secret_file_without_a_secret_is_an_error(tmp_path, content, expected):
    (tmp_path / "secret").write_bytes(content)
    file = written(tmp_path, "webhook: {secret_file: secret}")

    assert message(file=file) == f"{file}: webhook.secret_file: {tmp_path / 'secret'} {expected}"


def test_a_bad_secret_in_a_file_is_blamed_on_that_file(tmp_path):
    (tmp_path / "secret").write_text("one\ntwo")

    text = message({"DEVICE_EXPORTER_WEBHOOK_SECRET_FILE": str(tmp_path / "secret")}, file=written(tmp_path, ""))

    assert text.startswith(f"{tmp_path / 'secret'}: webhook.secret: must be one line")


def test_a_file_of_urls_has_one_a_line(tmp_path):
    (tmp_path / "urls").write_text("# SMS\njson://a?x=1,2#y\n\n  json://b  \n")
    file = written(tmp_path, "notify: {token: t, targets: {sms: {urls_file: urls}}}")

    assert load(file, {}, {}).notify.targets["sms"].urls == ("json://a?x=1,2#y", "json://b")


def test_a_file_of_urls_with_nothing_but_comments_is_an_error(tmp_path):
    (tmp_path / "urls").write_text("# SMS\n\n")
    file = written(tmp_path, "notify: {token: t, targets: {sms: {urls_file: urls}}}")

    assert message(file=file).endswith("holds nothing but comments")


def test_secrets_show_in_no_representation(tmp_path):
    text = """
webhook: {secret: S3CRET}
alertmanager: {basic_auth: {username: a, password: S3CRET}}
failover: [{channel: a, backup: b, hook: {url: "http://x", secret: S3CRET}}]
notify: {token: S3CRET, targets: {sms: {urls: ["json://S3CRET"]}}}
"""
    config = load(written(tmp_path, text), {}, {})

    assert "S3CRET" not in describe(config) + repr(config) + str(config)
    assert config.webhook.secret == "S3CRET"


def test_the_description_is_a_configuration_again(tmp_path):
    config = load(None, {}, {})

    assert load(written(tmp_path, describe(config)), {}, {}) == config


# The first secret ---------------------------------------------------------------------------------------------
def test_a_configured_secret_is_used_and_no_file_made(tmp_path):
    config = load(None, {"DEVICE_EXPORTER_WEBHOOK_SECRET": " rahasia "}, {})

    assert ensure_webhook_secret(config, tmp_path) == ("rahasia", None)
    assert list(tmp_path.iterdir()) == []


def test_the_first_start_makes_a_secret_that_later_starts_keep(tmp_path):
    data = tmp_path / "new" / "data"

    secret, path = ensure_webhook_secret(Config(), data)

    assert path == data / "webhook-secret"
    assert len(secret) >= 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in data.iterdir()] == ["webhook-secret"]
    assert ensure_webhook_secret(Config(), data) == (secret, path)


def test_two_installations_get_different_secrets(tmp_path):
    assert ensure_webhook_secret(Config(), tmp_path / "a")[0] != ensure_webhook_secret(Config(), tmp_path / "b")[0]


def test_processes_that_start_at_once_agree_on_one_secret(tmp_path):
    code = (
        "import sys, pathlib; from exporter.config import Config, ensure_webhook_secret;"
        "sys.stdin.readline(); print(ensure_webhook_secret(Config(), pathlib.Path(sys.argv[1]))[0])"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(3)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()

    secrets = {process.communicate(timeout=patient(60))[0] for process in processes}

    assert len(secrets) == 1
    assert secrets != {""}
    assert [file.name for file in tmp_path.iterdir()] == ["webhook-secret"]


def test_a_secret_that_another_process_made_meanwhile_is_taken(tmp_path, monkeypatch):
    original = os.fsync

    def fsync_while_another_wins(descriptor):
        if not (tmp_path / "webhook-secret").exists():
            (tmp_path / "webhook-secret").write_text("the other's\n")
        original(descriptor)

    monkeypatch.setattr(os, "fsync", fsync_while_another_wins)

    assert ensure_webhook_secret(Config(), tmp_path)[0] == "the other's"


def test_a_file_system_without_hard_links_gets_a_secret_too(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)

    secret, path = ensure_webhook_secret(Config(), tmp_path)

    assert path is not None
    assert path.read_text().strip() == secret


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"\n", "must hold one line"), (b"a\nb", "must hold one line"), (b"\xff", "cannot be used")],
)
def test_a_damaged_secret_file_is_an_error(tmp_path, content, expected):
    (tmp_path / "webhook-secret").write_bytes(content)

    with pytest.raises(ConfigError, match=expected):
        ensure_webhook_secret(Config(), tmp_path)


def test_where_exporters_share_no_folder_no_secret_is_generated():
    with pytest.raises(ConfigError, match=r"webhook\.secret: is required"):
        ensure_webhook_secret(Config(), None)


def test_a_data_directory_that_is_a_file_is_an_error(tmp_path):
    (tmp_path / "data").write_text("")

    with pytest.raises(ConfigError, match="none is configured"):
        ensure_webhook_secret(Config(), tmp_path / "data")


# YAML ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("010", 10),
        ("1:30", "1:30"),
        ("2026-02-01", "2026-02-01"),
        ("1_000", "1_000"),
        ("0x10", "0x10"),
        ("1e3", 1000.0),
        ("-1.5", -1.5),
        ("", None),
        ("~", None),
        ("null", None),
        (".inf", ".inf"),
    ],
)
def test_yaml_has_no_surprises(text, value):
    assert parse_yaml(text) == value
    assert type(parse_yaml(text)) is type(value)


@given(st.text(alphabet="ab: -[]{}\n&*<!'\"|>#0e.", max_size=40))
def test_any_text_is_yaml_or_bad_yaml(text):
    try:
        value = parse_yaml(text)
    except BadYaml:
        return

    assert value == yaml.load(text, Loader=yaml.BaseLoader) or not isinstance(value, str)


def test_deep_nesting_is_bad_yaml():
    with pytest.raises(BadYaml, match="nested too deeply"):
        parse_yaml("[" * 5000)


# Documentation ------------------------------------------------------------------------------------------------
PAGES = pytest.mark.parametrize("name", ["configuration.md", "configuration.id.md"])


def documented(name: str) -> dict[str, str]:
    """Return the default of each key in a page's tables; keys are written like `policies.<engine>.alert_after`."""
    lines = (ROOT / "docs" / name).read_text().splitlines()
    rows = [line.split(" | ") for line in lines if line.startswith("| `")]
    return {row[0].strip("| `"): row[1].strip("`") for row in rows}


@PAGES
def test_every_key_is_documented_and_every_documented_key_exists(name):
    chosen = {"policies": "<engine>"}
    inner = {"businesses": "<session>", "mapping": "<key>", "names": "<device_id>"}
    expected = {
        ".".join(
            inner.get(before, chosen.get(path[0], "<name>")) if part == ANY else part
            for before, part in zip(("", *path), path, strict=False)
        )
        for path in keys()
    }

    assert documented(name).keys() == {path.replace(".[]", "[]") for path in expected}


@PAGES
def test_the_documented_defaults_are_the_defaults(name):
    tree = shown(Config())
    tree["policies"]["<engine>"] = tree["policies"]["default"]
    for path, default in documented(name).items():
        if "[]" in path or "<name>" in path or "basic_auth" in path or "tls" in path:
            continue
        value = at(tree, path)
        assert (value or None if default == "-" else value) == (None if default == "-" else parse_yaml(default)), path


@PAGES
def test_the_built_in_policies_are_documented(name):
    rows = [line.strip("| ").split(" | ") for line in (ROOT / "docs" / name).read_text().splitlines()]
    tree = shown(Config())["policies"]

    for engine, policy in tree.items():
        values = [policy[key] for key in ("alert_after", "severity", "escalate_after", "objective")]
        assert [engine, *("null" if value is None else str(value) for value in values)] in rows


@PAGES
def test_every_refusal_of_an_event_is_documented(name):
    codes = set(re.findall(r"^\| ([a-z]+_[a-z0-9_]+) \|", (ROOT / "docs" / name).read_text(), re.MULTILINE))
    sources = [*(ROOT / "exporter" / "gateways").rglob("*.py")]
    raised = {
        code
        for file in sources
        for code in re.findall(r'(?:InvalidEvent\(|code = |IN_FUTURE: Final = )"([a-z_0-9]+)"', file.read_text())
    }

    assert codes == raised | {"invalid_id", "invalid_name", "too_many_devices", "too_many_engines", "too_many_groups"}


def test_a_secret_compares_as_its_text():
    assert Secret("x") == "x"
    assert f"{Secret('x')!r}" == "<secret>"
