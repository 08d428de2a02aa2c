"""Sample lines and headers, held to prometheus_client's own bytes."""

import math

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.openmetrics import exposition as openmetrics_exposition
from prometheus_client.utils import floatToGoString

from exporter.metrics.exposition.lines import Family, label_writer, tail, tail_of_seconds, tail_of_timestamp

GENERATE = {False: generate_latest, True: openmetrics_exposition.generate_latest}
BOTH_FORMATS = pytest.mark.parametrize("openmetrics", [False, True], ids=["text 0.0.4", "OpenMetrics 1.0"])


class Collected:
    """A registry of finished families."""

    def __init__(self, *families):
        self.families = families

    def collect(self):
        return self.families


@pytest.mark.parametrize(
    "value",
    [
        0,
        1,
        1023,
        1024,
        True,
        0.001,
        0.5,
        1e-9,
        999_999,
        999_999.999,
        1_000_000,
        1_000_000.5,
        123_456_789.012,
        1e15,
        1e16,
        1e21,
        -1,
        -1_000_000.5,
        math.inf,
        -math.inf,
        math.nan,
        2**53 + 2,
    ],
)
def test_a_value_is_printed_as_go_prints_it(value):
    assert tail(value) == f" {floatToGoString(value)}\n".encode()


@pytest.mark.parametrize("seconds", [0, 10**9 - 1, 10**9, 10**9 + 1, 1_738_056_000, 1_700_000_000, 10**10 - 1, 10**10])
def test_a_timestamp_is_printed_as_any_value(seconds):
    assert tail_of_timestamp(seconds) == tail(seconds)


@pytest.mark.parametrize(
    ("seconds", "printed"),
    [(0.0004, b" 0.0\n"), (1.0016, b" 1.002\n"), (59.9996, b" 60.0\n"), (1_234_567.0014, b" 1.234567001e+06\n")],
)
def test_seconds_are_rounded_to_milliseconds(seconds, printed):
    assert tail_of_seconds(seconds) == printed


@pytest.mark.parametrize(
    "value",
    [
        "plain",
        "",
        'a "quoted" one',
        "back\\slash",
        "two\nlines",
        '\\"\n\\n',
        "Bu Sari ☕ 日本",
        "\r\t\x00",
        "%s{}",
        '"' * 9,
    ],
)
def test_labels_are_escaped_as_prometheus_client_escapes_them(value):
    family = GaugeMetricFamily("a", "A.", labels=["one", "two"])
    family.add_metric([value, "x"], 1)
    line = b"a" + label_writer(["one", "two"])((value, "x")) + tail(1)

    for generate in GENERATE.values():
        assert line in generate(Collected(family))


def test_a_lone_surrogate_does_not_break_the_scrape():
    assert label_writer(["a"])(("\ud800",)) == b'{a="?"}'


def test_label_names_must_come_sorted():
    with pytest.raises(ValueError, match="sorted"):
        label_writer(["b", "a"])


@BOTH_FORMATS
@pytest.mark.parametrize("text", ["Plain.", 'With "quotes", \\ and \n a line.'], ids=["plain help", "hostile help"])
@pytest.mark.parametrize(
    ("family", "kind"),
    [(GaugeMetricFamily, "gauge"), (CounterMetricFamily, "counter")],
    ids=["a gauge keeps its name", "a counter loses _total in OpenMetrics only"],
)
def test_the_header_of_an_empty_family_is_prometheus_clients(family, kind, text, openmetrics):
    name = "events_total" if kind == "counter" else "events"

    assert Family(name, kind, text).header(openmetrics=openmetrics) == GENERATE[openmetrics](
        Collected(family(name, text, labels=["a"]))
    ).removesuffix(b"# EOF\n")


def test_a_registry_is_empty_without_families():
    assert generate_latest(CollectorRegistry()) == b""
