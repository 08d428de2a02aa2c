"""What others need of us, as `device-exporter assets` writes it: the stack's own files, kept to one job where asked."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from exporter.assets import files
from exporter.assets.render import USUAL_JOB, Wanted, dashboard, message_texts, render
from exporter.assets.routing import TEXTS, own_name, text_file
from exporter.assets.selector import selected, selected_template, selected_values
from exporter.cli.main import main
from scripts.alertmanager_config import templates_with
from scripts.settings import Settings
from tests.rule_files import read
from tests.tools import ROOT, require

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MATCHER = "job='fleet-b'"
OTHER = Wanted(job="fleet-b")
FOREIGN = re.compile(r"\b(alertmanager|prometheus|grafana)_\w+")


def expressions(node: Any) -> Iterator[str]:
    """Yield every query of a file of rules or of a dashboard."""
    if isinstance(node, list):
        for one in node:
            yield from expressions(one)
    elif isinstance(node, dict):
        if isinstance(node.get("expr"), str):
            yield node["expr"]
        for one in node.values():
            yield from expressions(one)


def shipped() -> list[str]:
    files = [*(ROOT / "prometheus" / "rules").glob("*.yml"), *(ROOT / "grafana" / "dashboards").rglob("*.json")]
    documents = [json.loads(file.read_bytes()) if file.suffix == ".json" else read(file) for file in files]
    found = {text for document in documents for text in expressions(document)}
    return sorted(text for text in found if not FOREIGN.search(text) and "up{job!=" not in text)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("up", "up{job='x'}"),
        ('a{b="}"} or vector(1)', "a{job='x', b=\"}\"} or vector(1)"),
        ("rate(a:b[5m] offset 1h)", "rate(a:b{job='x'}[5m] offset 1h)"),
        ("a / on (b) group_left (c) d{}", "a{job='x'} / on (b) group_left (c) d{job='x'}"),
        ("sum(a) by (b) > bool 1", "sum(a{job='x'}) by (b) > bool 1"),
        ('{__name__=~"a|b"}', "{job='x', __name__=~\"a|b\"}"),
        ('increase(a{b=~"$b"}[$__range])', "increase(a{job='x', b=~\"$b\"}[$__range])"),
        ("alertmanager_alerts + a", "alertmanager_alerts + a{job='x'}"),
        ('up{a="b", job="other"} == on () c{job!~"d",e="f"}', "up{job='x', a=\"b\"} == on () c{job='x', e=\"f\"}"),
        ('label_replace(a, "b", "$1", "c", "(.*)")', 'label_replace(a{job=\'x\'}, "b", "$1", "c", "(.*)")'),
    ],
    ids=[
        "a name alone",
        "a bracket in a value",
        "a recorded series with a range and an offset",
        "lists of labels",
        "a list behind, and bool",
        "no name",
        "Grafana's variables",
        "another program's metric",
        "a job that is there already",
        "strings",
    ],
)
def test_each_selector_gets_the_matcher_and_nothing_else_does(expression: str, expected: str) -> None:
    assert selected(expression, "job='x'") == expected


def test_variables_of_dashboards_and_queries_in_texts_get_the_matcher() -> None:
    assert selected_values('label_values(a{b="c"}, d)', "job='x'") == "label_values(a{job='x', b=\"c\"}, d)"
    assert selected_values("prometheus", "job='x'") == "prometheus"
    text = '{{ with printf "max(a{b=%q})" $labels.b | query }}{{ . | first | value | printf "%.0f" }}{{ end }}'
    assert selected_template(text, "job='x'") == text.replace("a{b=", "a{job='x', b=")


@pytest.mark.binaries
def test_promtool_finds_the_matcher_in_as_many_selectors_as_it_would_put_it_into() -> None:
    promtool = [str(require("promtool")), "--experimental", "promql"]

    def run(*arguments: str) -> str:
        done = subprocess.run([*promtool, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout

    found = [re.sub(r"\$__\w+", "300", re.sub(r"\[\$__\w+", "[5m", text)) for text in shipped()]
    assert len(found) > 100
    for start in range(0, len(found), 40):
        part = " or ".join(f"({text})" for text in found[start : start + 40])
        ours, theirs = selected(part, MATCHER), run("label-matchers", "set", part, "job", "fleet-b")
        assert ours.count(MATCHER) == theirs.count('job="fleet-b"')
        assert run("label-matchers", "delete", ours, "job") == run("label-matchers", "delete", part, "job")


def test_without_a_job_the_rules_are_the_stacks_own_and_their_alerts_bear_the_usual_one() -> None:
    found = render(Wanted())
    for file in (ROOT / "prometheus" / "rules").glob("*.yml"):
        if file.name != "stack.yml":
            expected = yaml.safe_load(file.read_text(encoding="utf-8"))
            for rule in [rule for group in expected["groups"] for rule in group["rules"] if "alert" in rule]:
                rule["labels"]["job"] = USUAL_JOB
            assert yaml.safe_load(found.pop(f"rules/{file.name}")) == expected
    assert not [name for name in found if name.startswith("rules/")]


def test_alerts_link_to_the_runbook_where_somebody_keeps_it() -> None:
    found = render(Wanted(runbook_url="https://wiki.example.com/runbook"))
    links = re.findall(r"runbook_url: (.*)", "".join(text for name, text in found.items() if name.startswith("rules/")))
    assert len(links) > 30
    assert all(link.startswith("https://wiki.example.com/runbook#") for link in links)


@pytest.mark.parametrize("language", ["id", "en"])
def test_dashboards_and_texts_are_in_the_language(language: str) -> None:
    found = render(Wanted(language=language, url="https://alerts.example.com"))
    boards = {name for name in found if name.startswith("dashboards/")}
    assert boards == {f"dashboards/{file.name}" for file in (ROOT / "grafana/dashboards" / language).glob("*.json")}
    named = yaml.safe_load(found["alertmanager/alertmanager.yml"])["templates"]
    assert f"templates/device-exporter-{language}.tmpl" in named
    assert {f"alertmanager/{name}" for name in named} < found.keys()
    assert not [name for name, text in found.items() if "localhost:9877" in text or "exporter-admin" in text]


def test_texts_of_messages_are_those_of_the_stack() -> None:
    settings = Settings(timezone="Asia/Makassar", public_url="https://a.example")
    for file in (ROOT / "alertmanager" / "templates").glob("*.tmpl"):
        text = file.read_text(encoding="utf-8")
        ours = message_texts(text, "Asia/Makassar", "https://a.example/grafana", "https://a.example")
        assert ours == templates_with(text, settings)


def test_of_several_fleets_each_rule_makes_and_each_dashboard_shows_what_bears_the_job() -> None:
    found = render(OTHER)
    for name, text in found.items():
        if name.startswith("rules/"):
            groups = yaml.load(text, Loader=yaml.CSafeLoader)["groups"]
            assert all(rule["labels"]["job"] == "fleet-b" for group in groups for rule in group["rules"])
            assert all(group["name"].endswith("-fleet-b") for group in groups)
        if name.startswith("dashboards/"):
            board = json.loads(text)
            assert board["uid"].startswith("fleet-b-")
            assert board["title"].endswith("(fleet-b)")
            assert "/d/devices-" not in text
    assert "}}fleet-b-device-id{{" in found["alertmanager/templates/fleet-b-id.tmpl"]


def test_no_two_jobs_have_one_name_for_their_dashboards_and_grafana_takes_each() -> None:
    jobs = ["fleet-a", "fleet_a", "fleet.a", "fleet/a", "Fleet-A", "devices", "a" * 21, "a" * 22, "a" * 200, USUAL_JOB]
    texts = files.read_all(f"{files.DASHBOARDS}/id", "*.json").values()
    uids = [json.loads(dashboard(text, Wanted(job=job)))["uid"] for job in jobs for text in texts]
    assert len(uids) == len(set(uids)) == 50
    assert max(map(len, uids)) == 40
    assert all(re.fullmatch("[a-zA-Z0-9_-]+", uid) for uid in uids)
    assert "fleet-a-device-id" in uids  # a plain job stays what it is
    assert len({text_file("templates/id.tmpl", job) for job in jobs}) == len(jobs)
    assert own_name("fleet_a") == own_name("fleet_a")


# -- beside routes and texts of somebody else -------------------------------------------------------------------------

THEIRS = {
    "route": {
        "receiver": "their-default",
        "routes": [{"matchers": ['severity = "critical"'], "receiver": "email"}],
    },
    "inhibit_rules": [{"source_matchers": ['a = "b"'], "target_matchers": ['c = "d"'], "equal": ["e"]}],
    "time_intervals": [{"name": "quiet-hours", "time_intervals": [{"weekdays": ["sunday"]}]}],
    "receivers": [{"name": "their-default"}, {"name": "email"}],
    "templates": ["theirs/*.tmpl"],
}
"""An Alertmanager's configuration whose names are also ours."""


def joined(*fleets: Wanted) -> dict[str, Any]:
    """Return their configuration with ours put beside it, as the head of our file says."""
    whole: dict[str, Any] = yaml.safe_load(yaml.safe_dump(THEIRS))
    for fleet in fleets:
        ours = yaml.safe_load(render(fleet)["alertmanager/alertmanager.yml"])
        whole["route"]["routes"] = ours["route"]["routes"] + whole["route"]["routes"]
        for part in ("inhibit_rules", "time_intervals", "templates"):
            whole[part] += ours[part]
        whole["receivers"] += [one for one in ours["receivers"] if one["name"] != "yours"]
    return whole


def amtool(*arguments: str) -> str:
    done = subprocess.run([str(require("amtool")), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.mark.binaries
def test_beside_their_routes_ours_take_our_alerts_and_no_other(tmp_path: Path) -> None:
    file = tmp_path / "alertmanager.yml"
    file.write_text(yaml.safe_dump(joined(Wanted(), OTHER)))
    (tmp_path / "templates").mkdir()
    (tmp_path / "theirs").mkdir()
    both = list(render(Wanted()).items()) + list(render(OTHER).items())  # into one folder
    texts = [name for name, _ in both if name.endswith(".tmpl")]
    assert len(texts) == len(set(texts))
    for name, text in both:
        if name.endswith(".tmpl"):
            (tmp_path / "templates" / name.rpartition("/")[2]).write_text(text)
    (tmp_path / "theirs" / "theirs.tmpl").write_text('{{ define "title" }}theirs{{ end }}')
    amtool("check-config", str(file))

    def told(*labels: str) -> str:
        return amtool("config", "routes", "test", f"--config.file={file}", *labels)

    assert told("alertname=DiskFull", "severity=critical") == "email"
    assert told("alertname=DiskFull", "severity=warning", "job=node") == "their-default"
    assert told("alertname=Watchdog", "severity=none") == "their-default"
    down = ("alertname=DeviceDown", "severity=critical", "source=exporter")
    assert told(*down, "job=device-exporter").split(",") == [
        f"device-exporter/{name}" for name in ("automation", "sms", "email", "chat")
    ]
    assert told(*down, "job=fleet-b").split(",")[1] == "fleet-b/sms"
    assert told("alertname=Watchdog", "severity=none", "job=fleet-b") == "fleet-b/deadman"
    assert told("alertname=JournalHanging", "severity=info", "job=device-exporter").startswith("device-exporter/")
    assert told("alertname=Unheard", "job=device-exporter") == "device-exporter/chat"


def test_what_mutes_is_ours_and_mutes_ours_alone() -> None:
    for fleet in (Wanted(), OTHER):
        rules = yaml.safe_load(render(fleet)["alertmanager/alertmanager.yml"])["inhibit_rules"]
        assert len(rules) > 5
        assert all(
            f'job = "{fleet.job}"' in rule[side] for rule in rules for side in ("source_matchers", "target_matchers")
        )


def test_no_name_of_ours_is_one_of_theirs_or_of_another_fleets() -> None:
    whole = joined(Wanted(), OTHER)
    for part in ("receivers", "time_intervals"):
        names = [one["name"] for one in whole[part]]
        assert len(names) == len(set(names))
    texts = [text for fleet in (Wanted(), OTHER) for name, text in render(fleet).items() if name.endswith(".tmpl")]
    defined = re.findall(r'define "([^"]+)"', "".join(texts))
    assert all(name.startswith(("device-exporter.", "fleet-b.")) for name in defined)


@pytest.mark.parametrize("wanted", [Wanted(), OTHER], ids=["the usual job", "one of several"])
def test_every_way_says_a_text_that_there_is_and_needs_nothing_of_their_global_settings(wanted: Wanted) -> None:
    found = render(wanted)
    config = yaml.safe_load(found["alertmanager/alertmanager.yml"])
    assert "global" not in config
    texts = "".join(text for name, text in found.items() if name.endswith(".tmpl"))
    defined = set(re.findall(r'define "([^"]+)"', texts))
    said = set(re.findall(r'template "([^"]+)"', texts + found["alertmanager/alertmanager.yml"]))
    assert said <= defined
    for receiver in config["receivers"]:
        for kind, fields in TEXTS.items():
            for way in receiver.get(kind, []):
                assert fields.keys() <= way.keys()
        for mail in receiver.get("email_configs", []):
            assert {"smarthost", "from", "auth_username", "auth_password_file", "headers"} <= mail.keys()


def test_the_command_writes_the_files_and_says_what_becomes_of_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["assets", str(tmp_path), "--language", "en", "--url", "https://alerts.example.com/"]) == 0
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert written == set(render(Wanted(language="en", url="https://alerts.example.com")))
    said = capsys.readouterr().out
    assert f"job_name: {USUAL_JOB}, static_configs: [{{targets: [alerts.example.com]}}]" in said
    assert "DEVICE_EXPORTER_ALERTS_LABELS_JOB=device-exporter" in said
    assert "DEVICE_EXPORTER_WEB_EXTERNAL_URL=https://alerts.example.com\n" in said
    assert "--runbook-url: " in said


@pytest.mark.parametrize(
    "flags",
    [
        ["--url", "alerts.example.com"],
        ["--url", "http://h?x=1"],
        ["--url", "http://h#x"],
        ["--url", "http://h:99999"],
        ["--grafana-url", "http://u:secret93@h"],
        ["--runbook-url", "http://u:secret93@h"],
        ["--timezone", "Asia/Jakart"],
        ["--job", "a b"],
        ["--language", "fr"],
    ],
    ids=[
        "no address",
        "a question behind it",
        "a place in a page",
        "no port",
        "a password",
        "a password of the runbook's",
        "no zone",
        "no name of a job",
        "no language of ours",
    ],
)
def test_what_cannot_be_put_in_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["assets", str(tmp_path / "new"), *flags])
    assert refused.value.code == 2
    assert "secret93" not in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_pages_address_in_a_wiki_may_have_a_question_in_it(tmp_path: Path) -> None:
    assert main(["assets", str(tmp_path), "--runbook-url", "https://wiki.example.com/?page=runbook"]) == 0


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["assets", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err == f"device-exporter: cannot write {tmp_path}/file/rules: Not a directory\n"


def test_a_pipe_in_a_files_place_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rules").mkdir()
    os.mkfifo(tmp_path / "rules" / "devices.yml")
    assert main(["assets", str(tmp_path)]) == 2
    assert f"cannot write {tmp_path}/rules/devices.yml: it is no regular file" in capsys.readouterr().err
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


@pytest.mark.parametrize("link", ["rules", "rules/devices.yml", "alertmanager/templates"])
def test_a_link_that_leads_elsewhere_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], link: str
) -> None:
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "folder"
    (folder / link).parent.mkdir(parents=True)
    if link.endswith(".yml"):
        elsewhere.write_text("theirs")
    else:
        elsewhere.mkdir()
    (folder / link).symlink_to(elsewhere)
    assert main(["assets", str(folder)]) == 2
    assert f"cannot write {folder / link}: it is a symbolic link" in capsys.readouterr().err
    assert elsewhere.is_dir() or elsewhere.read_text() == "theirs"
    assert [file for file in tmp_path.rglob("*") if file.is_file() and file != elsewhere] in ([], [folder / link])


def test_a_folder_that_is_a_link_itself_is_the_one_that_was_named(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert main(["assets", str(tmp_path / "link")]) == 0
    assert (tmp_path / "real" / "rules" / "devices.yml").is_file()


def test_no_folder_is_not_this_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as refused:
        main(["assets", ""])
    assert refused.value.code == 2
    assert list(tmp_path.iterdir()) == []
