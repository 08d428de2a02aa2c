"""Counters and histograms without locks come out of a registry exactly as those of prometheus_client."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from exporter.metrics.tallies import Distributions, Tallies

BOUNDS = (0.0005, 0.001, 1.0, 10.0, 200)


@pytest.fixture(autouse=True, scope="module")
def without_created_series():
    from prometheus_client import disable_created_metrics, enable_created_metrics  # noqa: PLC0415

    disable_created_metrics()
    yield
    enable_created_metrics()


def both(ours: CollectorRegistry, theirs: CollectorRegistry) -> None:
    for generate in (generate_latest, generate_openmetrics):
        assert generate(ours) == generate(theirs)


@given(st.lists(st.tuples(st.sampled_from(["a", 'b"\\\n']), st.sampled_from(["x", "y"]))))
def test_counters(counted: list[tuple[str, str]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    tallies = Tallies("some_events_total", "What happened.", ("event", "outcome"), ours)
    counter = Counter("some_events_total", "What happened.", ("event", "outcome"), registry=theirs)
    tallies.labels("a", "zero")
    counter.labels("a", "zero")
    for values in counted:
        tallies.labels(*values).inc()
        counter.labels(*values).inc()
    both(ours, theirs)


@given(st.lists(st.one_of(st.sampled_from(BOUNDS), st.floats(0, 300))))
def test_histograms(values: list[float]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    distributions = Distributions("some_seconds", "How long.", BOUNDS, ("code",), ours)
    histogram = Histogram("some_seconds", "How long.", ("code",), buckets=BOUNDS, registry=theirs)
    for code in ("200", "503"):
        distributions.labels(code)
        histogram.labels(code)
    for value in values:
        distributions.labels("200").observe(value)
        histogram.labels("200").observe(value)
    both(ours, theirs)


def test_a_histogram_without_labels() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    Distributions("some_seconds", "How long.", BOUNDS, (), ours).labels().observe(2)
    Histogram("some_seconds", "How long.", buckets=BOUNDS, registry=theirs).observe(2)
    both(ours, theirs)
