"""The dashboards: the committed files, their structure, and what must hold for every panel."""

import json
import re
import subprocess

import pytest
import yaml
from prometheus_client import CollectorRegistry

from exporter import conventions as c
from exporter.metrics.own import SelfMetrics
from grafana import build
from grafana.source import device_queries, translation
from grafana.source.page import EXPORTER, uid
from tests.patience import patient
from tests.tools import require

FILES = build.render_all()
DASHBOARDS = {path: json.loads(text) for path, text in FILES.items()}
PANELS = [
    pytest.param(path, panel, id=f"{path}: {panel['title']}")
    for path, dashboard in DASHBOARDS.items()
    for panel in dashboard["panels"]
    if panel["type"] != "row"
]
SUMS = {c.DEVICE_RECONNECTS, c.DEVICE_DISCONNECT_REASONS}  # of engines, whatever their names begin with
DEVICE_METRICS = {name for name in c.HELP if name.startswith("device_")} - SUMS
SELECTION = ('device_id="$device"', "topk(", "sum(", "max(", "sum by (channel_id)", "sum by (device_id)")


def expressions(panel):
    return [target["expr"] for target in panel.get("targets", [])]


def test_the_committed_files_are_what_the_code_writes():
    committed = {
        str(path.relative_to(build.FOLDER)): path.read_text(encoding="utf-8") for path in build.FOLDER.rglob("*.json")
    }

    assert committed == FILES


def test_there_are_five_dashboards_in_each_language():
    assert sorted(FILES) == sorted(f"{language}/{name}.json" for language in ("en", "id") for name in build.MAKERS)


def test_identifiers_are_stable_and_unique():
    assert {dashboard["uid"] for dashboard in DASHBOARDS.values()} == {
        "devices-fleet-overview", "devices-device", "devices-slo", "devices-incidents", "devices-exporter-health",
        "devices-fleet-overview-id", "devices-device-id", "devices-slo-id", "devices-incidents-id",
        "devices-exporter-health-id",
    }  # fmt: skip


@pytest.mark.parametrize("path", DASHBOARDS)
def test_panels_have_ids_of_their_own(path):
    ids = [panel["id"] for panel in DASHBOARDS[path]["panels"]]

    assert sorted(ids) == list(range(1, len(ids) + 1))


@pytest.mark.parametrize("path", DASHBOARDS)
def test_the_schema_is_the_one_that_the_pinned_grafana_writes_itself(path):
    assert DASHBOARDS[path]["schemaVersion"] == 42


@pytest.mark.parametrize("path", DASHBOARDS)
def test_panels_do_not_overlap_and_stay_within_the_grid(path):
    taken = {}
    for panel in DASHBOARDS[path]["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]


@pytest.mark.parametrize(("path", "panel"), PANELS)
def test_every_panel_says_what_it_shows_and_in_which_unit(path, panel):
    assert len(panel["description"]) > 15
    assert panel["fieldConfig"]["defaults"]["unit"]


@pytest.mark.parametrize(("path", "panel"), PANELS)
def test_every_panel_says_something_readable_when_it_is_empty(path, panel):
    if panel["type"] != "text":
        assert panel["fieldConfig"]["defaults"]["noValue"]


@pytest.mark.parametrize(("path", "panel"), PANELS)
def test_every_query_has_a_reference_and_the_chosen_data_source(path, panel):
    targets = panel.get("targets", [])

    assert [target["refId"] for target in targets] == list("ABCDEFGHI"[: len(targets)])
    assert all(target["datasource"] == {"type": "prometheus", "uid": "${datasource}"} for target in targets)


@pytest.mark.parametrize(("path", "panel"), PANELS)
def test_no_panel_draws_a_line_per_device_without_a_selection(path, panel):
    for expr in expressions(panel):
        reads_devices = DEVICE_METRICS & set(re.findall(r"\bdevice_[a-z_]+", expr)) - {c.DEVICE_INFO}
        assert not reads_devices or any(part in expr for part in SELECTION), expr


@pytest.mark.parametrize(("path", "panel"), PANELS)
def test_colours_follow_the_policy_not_a_number_in_a_panel(path, panel):
    """No threshold looks like an availability: what meets the objective is decided by the query."""
    steps = re.findall(r'"steps": (\[.*?\])', json.dumps(panel["fieldConfig"]))
    values = [step["value"] or 0 for found in steps for step in json.loads(found)]

    assert not [value for value in values if 0.3 < value < 1 or 90 <= value <= 100]


def around(expr, place):
    """Yield what stands before each parenthesis that is open at a place, the innermost first."""
    depth = 0
    for at in range(place - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(expr[at], 0)
        if depth < 0:
            yield expr[:at].rstrip()
            depth = 0


@pytest.mark.parametrize(("path", "panel"), PANELS)
def test_queries_never_keep_instance_or_job_of_devices(path, panel):
    for expr in expressions(panel):
        for metric in DEVICE_METRICS - {c.DEVICE_INFO, c.DEVICE_FIRST_SEEN}:
            for found in re.finditer(rf"(?<![\w:]){metric}\b", expr):
                outside = list(around(expr, found.start()))
                assert any(re.search(r"(max|sum|count|topk)( by \([^)]*\))?$", text) for text in outside), (
                    metric,
                    expr,
                )


def test_every_name_of_a_metric_is_in_the_conventions_or_the_exporters_own():
    known = set(c.HELP) | {f"{c.FLEET_OUTAGE_DURATION}_{part}" for part in ("bucket", "sum", "count")}
    used = {
        name
        for _, panel in (param.values for param in PANELS)
        for expr in expressions(panel)
        for name in re.findall(
            r"(?<![\w:\"])(?:device|fleet|channel|policy|failover|gateway)_[a-z_]+(?=[{\[\s)@]|$)", expr
        )
    }
    labels = {"device_id", "channel_id", "device_name", "channel_name", "backup_channel_id"}

    assert {name for name in used - known - labels if not name.startswith(f"{c.SELF_PREFIX}_")} == set()
    for_rules = {c.DEVICE_MAINTENANCE_END, c.POLICY_ESCALATE_AFTER, c.POLICY_UTC_OFFSET, "policy_severity_info"}
    for_rules |= {c.FLEET_OBSERVED}
    assert used >= known - for_rules - {c.FLEET_OUTAGE_DURATION, c.INCIDENT_ACKNOWLEDGE}


def test_every_metric_of_the_exporter_itself_is_shown_and_none_that_it_lacks():
    registry = CollectorRegistry()
    SelfMetrics(registry)
    own = {family.name + ("_total" if family.type == "counter" else "") for family in registry.collect()}
    own |= {f"{c.SELF_PREFIX}_{name}_total" for name in ("notify", "telegram_failures")}  # registered by the rooms
    own -= {f"{c.SELF_PREFIX}_{name}" for name in ("config_digest", "journal_divergence_total")}  # for the rules only
    text = " ".join(expr for _, panel in (param.values for param in PANELS) for expr in expressions(panel))
    shown = {re.sub("_(bucket|sum|count)$", "", name) for name in re.findall(rf"{c.SELF_PREFIX}_\w+", text)}

    assert shown == own


def test_links_between_dashboards_lead_to_existing_ones():
    uids = {dashboard["uid"] for dashboard in DASHBOARDS.values()}

    for path, text in FILES.items():
        for target in re.findall(r"/d/([a-z-]+)", text):
            assert target in uids
            assert target.endswith("-id") == path.startswith("id/")


def test_tables_and_every_dashboard_link_to_the_exporters_pages_at_the_address_that_the_stack_replaces():
    for name, text in FILES.items():
        assert f"{EXPORTER}/incidents" in text, name
        assert set(re.findall(r"https?://localhost[^/\"]*", text)) == {EXPORTER}
    assert f"{EXPORTER}/incidents?device_id=" in FILES["id/incidents.json"]


def test_the_two_languages_differ_in_texts_only():
    keep = {"id", "type", "gridPos", "expr", "refId"}

    def shape(value):
        if isinstance(value, dict):
            return {key: shape(inner) if key not in keep else inner for key, inner in value.items()}
        return [shape(inner) for inner in value] if isinstance(value, list) else None

    for name in build.MAKERS:
        english, indonesian = (DASHBOARDS[f"{language}/{name}.json"] for language in ("en", "id"))
        del english["templating"], indonesian["templating"]
        assert shape(english["panels"]) == shape(indonesian["panels"])


def test_a_text_without_a_translation_is_an_error():
    with pytest.raises(KeyError):
        translation.translator("id")("Not in the table")


def test_no_translation_is_left_over():
    say, used = translation.INDONESIAN, set()

    class Recorder(dict):
        def __getitem__(self, text):
            used.add(text)
            return say[text]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(translation, "INDONESIAN", Recorder())
        build.render_all()

    assert set(say) == used


def test_the_home_dashboard_has_the_name_that_links_and_provisioning_expect():
    assert uid("fleet-overview", "en") == "devices-fleet-overview"
    assert DASHBOARDS["id/fleet-overview.json"]["title"] == "Ikhtisar perangkat"


NAMES = ['Toko "Makmur"', 'a",business_id="x', "{}", "a\\", 'x"} 1 2', "Ibu Sari's"]
PICKERS = [
    pytest.param(variable, id=f"{path}: {variable['name']}")
    for path, dashboard in DASHBOARDS.items()
    for variable in dashboard["templating"]["list"]
    if variable.get("regex")
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("variable", PICKERS)
def test_a_name_with_quotes_and_braces_can_be_chosen(variable, name):
    """Grafana makes `{label="value",…} value time` of an answer, without escaping anything."""
    what = variable["name"]
    pattern = variable["regex"].strip("/").replace("(?<", "(?P<")

    found = re.search(pattern, f'{{{what}="{name}",{what}_id="the id"}} 1 1700000000000')

    assert (found["text"], found["value"]) == (name, "the id")


BEFORE = "0x99 500000x8539 _x1440"
"""500,000 s on the first days, forgotten on day 30, back on day 35; the window begins on day 6."""
LIVES = {
    # down for 6 of the 24 hours since
    "back": (f"{BEFORE} 0x71 300+300x71 21600x144", "0x8639 _x1440 3024000x288", 0.75),
    # down ever since
    "down": (f"{BEFORE} 0+300x288", "0x8639 _x1440 3024000x288", 0.0),
    # a counter that a correction lets stand still, above what was observed since
    "stands": ("_x10080 172800x288", "_x10080 3024000x288", 0.0),
}
"""Downtime and first sight every 5 minutes for 36 days; the availability of the last 30 days at their end."""


@pytest.mark.binaries
@pytest.mark.parametrize("life", LIVES.values(), ids=LIVES)
def test_the_availability_of_a_device_that_was_forgotten_and_came_back_lies_between_none_and_all(tmp_path, life):
    downtime, first_seen, wanted = life
    expr = device_queries.availability("30d").replace("$device", "d1").replace("$__interval", "1h")
    series = [
        {"series": f'{metric}{{device_id="d1"}}', "values": values}
        for metric, values in ((c.DEVICE_DOWNTIME, downtime), (c.DEVICE_FIRST_SEEN, first_seen))
    ]
    samples = [{"labels": '{device_id="d1"}', "value": wanted}]
    asked = [{"expr": expr, "eval_time": "36d", "exp_samples": samples}]
    file = tmp_path / "test.yml"
    file.write_text(yaml.safe_dump({"tests": [{"interval": "5m", "input_series": series, "promql_expr_test": asked}]}))

    done = subprocess.run(
        [require("promtool"), "test", "rules", file], capture_output=True, text=True, timeout=patient(60), check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
