"""Every query of every dashboard against a real Prometheus that holds a month of a made-up fleet.

The fleet's account is known (`fleet_history`), so the main panels are checked by value; all others must return data.
Values are asked for at the end of the history, where only the exporter's own counters exist, as after a backfill;
alerts and recorded series afterwards, while the rules are evaluated.
"""

import json
import math
import re
import subprocess
import time
import urllib.parse
import urllib.request

import pytest

from grafana import build
from grafana.source import queries as q
from prometheus import slo_rules
from tests.integration import fleet_history
from tests.patience import patient, wait_for
from tests.tools import ROOT, require

pytestmark = [pytest.mark.binaries, pytest.mark.slow]  # a month of a fleet is made first

DAY = 86400
RANGE = 7 * DAY
DASHBOARDS = {path: json.loads(text) for path, text in build.render_all().items() if path.startswith("en/")}
TARGETS = [
    pytest.param(
        panel, target, id=f"{path.removeprefix('en/').removesuffix('.json')}: {panel['title']} {target['refId']}"
    )
    for path, dashboard in DASHBOARDS.items()
    for panel in dashboard["panels"]
    for target in panel.get("targets", [])
]
NOTHING = {
    ("Availability by engine", "C"): "every engine has an objective",
    ("Firing now", "B"): "no engine is in a mass outage",
    ("Outages in this range", "A"): "the chosen device is up",
    ("Alert", "A"): "the chosen device is not past its threshold",
    ("Conversations affected", "A"): "the chosen device is up",
    ("Alerts", "A"): "the chosen device is up",
    ("Alerts", "B"): "the chosen device is up",
}
"""Queries that rightly return nothing for the chosen device, dev_05, or this fleet."""
RECORDED = ("ALERTS", ":increase", ":ratio", q.BUSINESSES, q.MASS_OUTAGE)
"""What only rules that are evaluated give."""
EITHER = {"Last day", "Last 3 days", "Last 30 days", "Availability by engine", "Availability of the fleet"}
"""Panels whose first two queries exclude each other: the objective is met or missed."""


class Server:
    """A running Prometheus over the history of a fleet."""

    def __init__(self, address: str, fleet: fleet_history.Fleet) -> None:
        self.address = address
        self.fleet = fleet

    def get(self, path: str, **parameters: object) -> dict:
        body = urllib.parse.urlencode({key: str(value) for key, value in parameters.items()}).encode()
        request = urllib.request.Request(f"http://{self.address}/api/v1/{path}", data=body)
        try:
            with urllib.request.urlopen(request, timeout=patient(30)) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters['query']}: {json.load(error)['error']}") from None

    def instant(self, expr: str, at: float | None = None) -> list[dict]:
        found = self.get("query", query=filled(expr, 15), time=at or self.fleet.end)
        return found["data"]["result"]

    def range(self, expr: str, step: int) -> list[dict]:
        end = self.fleet.end // step * step
        found = self.get("query_range", query=filled(expr, step, self.fleet.end), start=end - RANGE, end=end, step=step)
        return found["data"]["result"]

    def values(self, expr: str, *labels: str, at: float | None = None) -> dict:
        """Return the values by the named labels; a single one for no labels."""
        rows = self.instant(expr, at)
        return {tuple(row["metric"].get(label) for label in labels): float(row["value"][1]) for row in rows}


def filled(expr: str, step: int, to: int = 0) -> str:
    """Do what Grafana does with variables and intervals."""
    known = {
        "__range_s": str(RANGE), "__range": f"{RANGE}s", "__interval": f"{max(step, RANGE // 50)}s",
        "__rate_interval": f"{max(step, 240)}s", "business": ".*", "engine": ".*", "device": "dev_05", "instance": ".*",
        "__to": str(to * 1000), "find": "", "channel": "chn_05",
    }  # fmt: skip
    return re.sub(r"\$(?:(\w+)|\{(\w+)(?::\w+)?\})", lambda match: known.get(match[1] or match[2], match[0]), expr)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    promtool, prometheus = require("promtool"), require("prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    fleet = fleet_history.Fleet(int(time.time()) // 60 * 60 - 60)
    with (folder / "history.om").open("w", encoding="utf-8") as file:
        fleet_history.write(fleet, file)
    make = [promtool, "tsdb", "create-blocks-from", "openmetrics", "--quiet", "--max-block-duration=1000h"]
    subprocess.run([*make, folder / "history.om", folder / "data"], check=True, capture_output=True)
    (folder / "history.om").unlink()
    for rules in (ROOT / "prometheus" / "rules").glob("*.yml"):
        often = re.sub(r"interval: \w+", "interval: 1s", rules.read_text(encoding="utf-8"))
        (folder / rules.name).write_text(often, encoding="utf-8")
    config = {"global": {"evaluation_interval": "1s"}, "rule_files": [f"{folder}/*.yml"]}
    (folder / "prometheus.json").write_text(json.dumps(config), encoding="utf-8")
    flags = ["--storage.tsdb.retention.time=400d", "--web.listen-address=127.0.0.1:0", "--log.format=json"]
    with (folder / "log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [prometheus, f"--config.file={folder}/prometheus.json", f"--storage.tsdb.path={folder}/data", *flags],
            stderr=log,
        )
    try:
        yield Server(_address(folder / "log", process), fleet)
    finally:
        process.terminate()
        process.wait(patient(30))


def _address(log, process) -> str:
    """Return where the server listens, once it is ready."""

    def text():
        return log.read_text(encoding="utf-8")

    def ready():
        assert process.poll() is None, text()
        return "Server is ready" in text()

    wait_for(ready, "Prometheus is ready", 60, shows=text, every=0.1)
    return re.search(r'"Listening on","[^}]*"address":"([^"]+)"', text())[1]


@pytest.fixture(scope="module")
def evaluated(server):
    """The server after its rules were evaluated; gives the time to ask at."""
    last = f'ALERTS{{alertname="ErrorBudgetBurnSlow"}} and on () {slo_rules.budget_remaining("engine")}'
    wait_for(lambda: server.instant(last, time.time()), "the rules are evaluated", 60, every=0.3)
    return time.time()


def step_of(target) -> int:
    return {"1d": DAY}.get(target.get("interval"), 600)


# Every query -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("panel", "target"), TARGETS)
def test_every_query_returns_data(server, evaluated, panel, target):
    expr, now = target["expr"], any(name in target["expr"] for name in RECORDED)
    if target.get("instant"):
        found = server.instant(expr, evaluated if now else None)
    elif now:
        found = server.instant(expr, evaluated)
    else:
        found = server.range(expr, step_of(target))
    numbers = [float(value) for row in found for _, value in row.get("values") or [row["value"]]]

    if (panel["title"], target["refId"]) in NOTHING:
        assert found == [] or panel["title"] == "Conversations affected"
    elif panel["title"] in EITHER:
        assert found or any(server.instant(other["expr"], evaluated) for other in panel["targets"])
    else:
        assert any(math.isfinite(number) for number in numbers), filled(expr, 600)


def choices(server, variable: dict, at: float, **chosen: str) -> list[tuple[str, str]]:
    """Return the values and texts of a variable, as Grafana makes them of an answer."""
    query = variable["query"].removeprefix("query_result(").removesuffix(")")
    for name, value in chosen.items():
        query = query.replace(f"${{{name}:regex}}", value).replace(f"${name}", value)
    rows = server.instant(query, at)
    texts = ["{" + ",".join(f'{k}="{v}"' for k, v in row["metric"].items()) + "} 1 1" for row in rows]
    found = [re.search(variable["regex"].strip("/").replace("(?<", "(?P<"), text) for text in texts]
    return [(one["value"], one["text"]) for one in found]


def variable_of(path: str, name: str) -> dict:
    return next(one for one in DASHBOARDS[f"en/{path}.json"]["templating"]["list"] if one["name"] == name)


@pytest.mark.parametrize("path", DASHBOARDS)
def test_every_variable_and_annotation_is_answered(server, evaluated, path):
    for variable in DASHBOARDS[path]["templating"]["list"]:
        if variable["type"] == "query" and variable["query"].startswith("query_result("):
            assert choices(server, variable, evaluated)
    for annotation in DASHBOARDS[path]["annotations"]["list"]:
        server.range(annotation["target"]["expr"], 600)


def test_the_choice_of_a_device_begins_with_the_one_that_is_down_longest(server):
    device = variable_of("device", "device")

    assert choices(server, device, server.fleet.end)[:2] == [("dev_08", "Layanan 8"), ("dev_01", "Pesanan 1")]
    assert len(choices(server, device, server.fleet.end)) == 14


def test_a_device_is_found_by_part_of_its_name_and_by_its_id(server):
    device, end = variable_of("device", "device"), server.fleet.end

    assert choices(server, device, end, find="kasir 12") == [("dev_12", "Kasir 12")]
    assert choices(server, device, end, find="dev_07") == [("dev_07", "Pesanan 7")]


# Values ------------------------------------------------------------------------------------------------------
def expr_of(path: str, title: str, ref: str = "A") -> str:
    panel = next(p for p in DASHBOARDS[f"en/{path}.json"]["panels"] if p["title"] == title and p["type"] != "row")
    return next(target["expr"] for target in panel["targets"] if target["refId"] == ref)


def day_from(fleet, at: float) -> tuple[int, int]:
    """Return the scrapes between which a query for the day that begins at `at` looks; today's ends now."""
    return fleet.scraped_before(at), fleet.scraped_before(at + DAY)


def test_what_is_down_now_since_when_and_whom_it_touches(server):
    end = server.fleet.end

    assert server.values(expr_of("fleet-overview", "Devices down")) == {(): 2}
    assert server.values(expr_of("fleet-overview", "Conversations affected")) == {(): 11 + 4}
    assert server.values(expr_of("fleet-overview", "Longest running outage")) == {(): 10800}
    assert server.values(expr_of("fleet-overview", "Alerts not delivered")) == {(): 1}
    assert server.values(expr_of("fleet-overview", "Connected")) == {(): pytest.approx(12 / 14)}
    assert server.values(expr_of("fleet-overview", "Down now"), "device", "business", "channel") == {
        ("Pesanan 1", "Toko Makmur", "wa Pesanan 1"): 2700,
        ("Layanan 8", "Kopi Nusantara", "telegram Layanan 8"): 10800,
    }
    assert server.values(expr_of("fleet-overview", "Down now", "B"), "device_id") == {
        ("dev_01",): (end - 2700) * 1000,
        ("dev_08",): (end - 10800) * 1000,
    }
    assert server.values(expr_of("fleet-overview", "Down now", "D"), "device_id") == {("dev_01",): 1, ("dev_08",): 0}


def test_availability_by_engine_and_its_colour(server, evaluated):
    fleet = server.fleet
    expected = {engine: fleet.availability(30 * DAY, engine) for engine in fleet_history.OBJECTIVES}

    for ref, met in (("A", True), ("B", False)):
        expr = expr_of("fleet-overview", "Availability by engine", ref)
        found = server.values(expr, "engine", at=evaluated)
        wanted = {e: value for e, value in expected.items() if (value >= fleet_history.OBJECTIVES[e]) == met}
        assert found == {(engine,): pytest.approx(value, abs=1e-4) for engine, value in wanted.items()}
        assert wanted, "the made-up fleet must have an engine on either side"


def test_error_budgets_per_engine_and_business_and_their_sum_per_engine(server, evaluated):
    fleet, left, allowed, budgets = server.fleet, {}, {}, {}
    for engine, business in fleet.groups():
        down = sum(d.downtime(fleet.end) - d.downtime(fleet.end - 30 * DAY) for d in fleet.of(engine, business))
        seen = sum(min(30 * DAY, fleet.end - d.first_seen) for d in fleet.of(engine, business))
        budget = max(seen, 30 * DAY) * (1 - fleet_history.OBJECTIVES[engine])
        left[engine, business], allowed[engine, business] = 1 - down / budget, budget - down
        budgets.setdefault(engine, []).append((budget, down))
    of_engines = {(e,): 1 - sum(d for _, d in some) / sum(b for b, _ in some) for e, some in budgets.items()}

    def shown(title, ref, *labels):
        return server.values(expr_of("slo", title, ref), *labels, at=evaluated)

    assert shown("Error budgets", "A", "engine", "business_id") == pytest.approx(left, abs=0.02)
    assert shown("Error budgets", "D", "engine", "business_id") == pytest.approx(allowed, abs=300)
    assert shown("Error budget left", "A", "engine") == pytest.approx(of_engines, abs=0.02)
    assert shown("Exhausted", "A") == {(): sum(value <= 0 for value in left.values())}


def test_availability_of_the_whole_fleet(server, evaluated):
    expressions = [expr_of("slo", "Availability of the fleet", ref) for ref in "AB"]
    found = [value for expr in expressions for value in server.values(expr, at=evaluated).values()]

    assert found == [pytest.approx(server.fleet.availability(30 * DAY), abs=1e-4)]


def test_burn_rates_of_a_running_outage(server, evaluated):
    """One of three telegram devices was down for the whole hour, one of four wa devices for 45 minutes of it."""
    found = server.values(expr_of("slo", "Burn rate of the last hour, highest ten"), "engine", "business", at=evaluated)

    assert found == {
        ("telegram", "Kopi Nusantara"): pytest.approx(1 / 3 / 0.005, rel=0.1),
        ("wa", "Toko Makmur"): pytest.approx(2700 / (4 * 3600) / 0.005, rel=0.1),
    }
    assert server.values(expr_of("slo", "Burning fast"), at=evaluated) == {(): 2}


def test_history_that_was_filled_in_has_an_availability_of_each_day_and_the_newest_policy(server):
    for ref in "AB":
        found = server.range(expr_of("slo", "Availability over 24 hours", ref), 3600)

        assert {row["values"][0][0] for row in found} == {server.fleet.end // 3600 * 3600 - RANGE}
        assert {row["metric"]["engine"] for row in found} == set(fleet_history.OBJECTIVES)


def test_downtime_by_channel_is_what_the_rules_recorded_every_five_minutes(server, evaluated):
    """Both devices that are down were so for all of the last 5 minutes."""
    recorded = server.values(q.DOWNTIME, "channel_id", "device_name", at=server.fleet.end + 15)

    found = server.values(expr_of("fleet-overview", "Downtime by channel"), "channel", "business", at=evaluated)

    assert set(found) == {("wa Pesanan 1", "Toko Makmur"), ("telegram Layanan 8", "Kopi Nusantara")}
    assert all(0 < value <= 300 for value in recorded.values())


def test_outages_a_day_are_those_that_began(server):
    found = server.range(expr_of("fleet-overview", "Outages a day, last 30 days"), DAY)

    for row in found:
        for at, value in row["values"]:
            devices, (start, end) = server.fleet.of(row["metric"]["engine"]), day_from(server.fleet, at)
            assert float(value) == sum(d.begun(end) - d.begun(start) for d in devices)
    assert {row["metric"]["engine"] for row in found} == {"wa", "telegram", "slack"}
    assert {row["values"][-1][0] for row in found} == {server.fleet.end // DAY * DAY}, "today is included"


def test_mean_time_to_recover_is_that_of_the_outages_that_finished(server):
    found = server.range(expr_of("incidents", "Mean time to recover, last 30 days"), DAY)

    for row in found:
        for at, value in row["values"]:
            devices, (start, end) = server.fleet.of(row["metric"]["engine"]), day_from(server.fleet, at)
            lengths = [over - began for d in devices for began, over in d.outages if start < over <= end]
            assert float(value) == pytest.approx(sum(lengths) / len(lengths) / 60)
    assert found


def test_one_device(server):
    (device,) = [device for device in server.fleet.devices if device.device_id == "dev_05"]
    end = server.fleet.end
    down, begun = (count(end) - count(end - RANGE) for count in (device.downtime, device.begun))
    month = 1 - (device.downtime(end) - device.downtime(end - 30 * DAY)) / (30 * DAY)
    shown = {
        **server.values(expr_of("device", "Last 30 days", "A")),
        **server.values(expr_of("device", "Last 30 days", "B")),
    }

    assert list(server.values(expr_of("device", "Downtime")).values()) == [pytest.approx(down)]
    assert list(server.values(expr_of("device", "Outages")).values()) == [begun]
    assert list(server.values(expr_of("device", "Mean outage")).values()) == [pytest.approx(down / begun)]
    assert list(shown.values()) == [pytest.approx(month, abs=1e-6)]
    assert list(server.values(expr_of("device", "For")).values()) == [end - device.since(end)]


def test_a_device_that_came_within_the_window_counts_from_its_first_second(server):
    (device,) = [device for device in server.fleet.devices if device.device_id == "dev_14"]
    expr = expr_of("device", "Last 30 days", "A").replace("$device", "dev_14")
    other = expr_of("device", "Last 30 days", "B").replace("$device", "dev_14")
    shown = [*server.values(expr).values(), *server.values(other).values()]

    assert shown == [pytest.approx(1 - device.downtime(server.fleet.end) / (5 * DAY), abs=1e-6)]


def test_a_channel_and_its_backup(server):
    expressions = [expr_of("incidents", "Backup channels", ref) for ref in "AEF"]

    switched, both_down, available = (list(server.values(expr).values()) for expr in expressions)

    assert (switched, both_down) == ([1], [36])
    assert available == [pytest.approx(1 - 36 / RANGE)]


def test_time_in_which_the_exporter_was_blind(server):
    assert server.values(expr_of("exporter-health", "Unknown time")) == {(): 42.5}


def test_recorded_series_and_the_counters_themselves_agree(server, evaluated):
    """A dashboard reads recorded series where they exist: they must say what the counters say."""
    for window in slo_rules.WINDOWS[2:]:
        recorded = server.values(slo_rules.availability("engine", window.name), "engine", at=evaluated)
        expected = {
            (engine,): pytest.approx(server.fleet.availability(window.seconds, engine), abs=300 / window.seconds)
            for engine in fleet_history.OBJECTIVES
        }
        assert recorded == expected, window


def test_alerts_fire_for_the_groups_that_burn_and_for_no_other(server, evaluated):
    firing = server.instant('ALERTS{alertname="ErrorBudgetBurnSlow", alertstate="firing"}', evaluated)

    assert {(row["metric"]["engine"], row["metric"]["business_id"]) for row in firing} == {
        ("telegram", "biz_2"),
        ("wa", "biz_1"),
    }
