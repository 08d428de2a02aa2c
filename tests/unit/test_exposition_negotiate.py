"""Content negotiation, held to prometheus_client where both write the same formats."""

import pytest
from prometheus_client.exposition import choose_encoder

from exporter.metrics.exposition import negotiate

PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_3_LEGACY_NAMES = PROMETHEUS_3.replace("allow-utf-8", "underscores")
PROMETHEUS_3_TEXT_ONLY = "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.3"
PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PLAIN = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@pytest.mark.parametrize(
    "accept",
    [
        pytest.param(None, id="no header"),
        pytest.param("", id="an empty header"),
        pytest.param("*/*", id="curl"),
        pytest.param("text/html,application/xhtml+xml,*/*;q=0.8", id="a browser"),
        pytest.param(PROMETHEUS_3, id="Prometheus 3"),
        pytest.param(PROMETHEUS_3_LEGACY_NAMES, id="Prometheus 3 with legacy names"),
        pytest.param(PROMETHEUS_3_TEXT_ONLY, id="Prometheus 3 told to scrape text"),
        pytest.param("application/openmetrics-text", id="OpenMetrics of no version"),
        pytest.param("application/openmetrics-text;version=0.0.1", id="only an old OpenMetrics"),
        pytest.param("application/openmetrics-text;version=1.0.0;escaping=values", id="values escaping"),
        pytest.param("application/openmetrics-text;version=1.0.0;escaping=nonsense", id="unknown escaping"),
        pytest.param("application/json", id="something else"),
    ],
)
def test_the_choice_is_prometheus_clients(accept):
    _, content_type = choose_encoder(accept)

    chosen = negotiate(accept, None)

    assert chosen.content_type == content_type
    assert chosen.openmetrics == content_type.startswith("application/openmetrics-text")


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        pytest.param(PROMETHEUS_2, f"{OPENMETRICS}; escaping=underscores", id="Prometheus 2"),
        pytest.param("application/openmetrics-text;q=0.1,text/plain;q=0.9", PLAIN, id="the higher quality wins"),
        pytest.param("application/openmetrics-text;q=0,text/plain", PLAIN, id="quality 0 is a refusal"),
        pytest.param("application/openmetrics-text;q=high,text/plain", PLAIN, id="a broken quality is a refusal"),
        pytest.param("Application/OpenMetrics-Text; Version=1.0.0", f"{OPENMETRICS}; escaping=underscores", id="case"),
        pytest.param("application/openmetrics-text;version=2.0.0", PLAIN, id="a version that we do not write"),
        pytest.param("text/*", PLAIN, id="any text"),
        pytest.param(
            'application/openmetrics-text; version="1.0.0"', f"{OPENMETRICS}; escaping=underscores", id="quoted version"
        ),
        pytest.param(
            "application/openmetrics-text;version=1.0.0;escaping=dots",
            f"{OPENMETRICS}; escaping=underscores",
            id="dots would double our underscores",
        ),
    ],
)
def test_the_best_format_that_we_write_is_chosen(accept, content_type):
    assert negotiate(accept, None).content_type == content_type


@pytest.mark.parametrize(
    ("accept_encoding", "gzip"),
    [
        pytest.param(None, False, id="no header"),
        pytest.param("gzip", True, id="Prometheus"),
        pytest.param("gzip, deflate, br, zstd", True, id="a browser"),
        pytest.param("GZIP;q=0.5", True, id="case and quality"),
        pytest.param("gzip;q=0", False, id="refused"),
        pytest.param("*", True, id="anything"),
        pytest.param("*, gzip;q=0", False, id="anything but gzip"),
        pytest.param("identity", False, id="identity"),
        pytest.param("x-gzip", True, id="the old name of gzip"),
        pytest.param("x-gzip;q=0, gzip", True, id="one of its names is accepted"),
    ],
)
def test_gzip_is_used_where_it_is_accepted(accept_encoding, gzip):
    assert negotiate(None, accept_encoding).gzip is gzip
