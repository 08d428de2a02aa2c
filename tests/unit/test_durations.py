"""Durations and sizes are read as Prometheus reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.lib.durations import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("0", 0, id="zero needs no unit"),
        pytest.param("0s", 0, id="zero may have a unit"),
        pytest.param("90s", 90, id="seconds"),
        pytest.param("250ms", 0.25, id="milliseconds are not minutes and seconds"),
        pytest.param("5m", 300, id="minutes"),
        pytest.param("1h30m", 5400, id="units in falling order"),
        pytest.param("400d", 400 * 86400, id="days"),
        pytest.param("2w", 14 * 86400, id="weeks"),
        pytest.param("1y", 365 * 86400, id="a year has 365 days"),
        pytest.param("1y2w3d4h5m6s7ms", 31536000 + 1209600 + 259200 + 14400 + 306.007, id="every unit at once"),
        pytest.param("007s", 7, id="leading zeros are decimal"),
    ],
)
def test_a_duration_is_read(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("5", id="a number without a unit"),
        pytest.param("m", id="a unit without a number"),
        pytest.param("-5m", id="a negative one"),
        pytest.param("1.5h", id="a fraction"),
        pytest.param("30m1h", id="units in rising order"),
        pytest.param("1m1m", id="a unit twice"),
        pytest.param("5 m", id="a space"),
        pytest.param("5M", id="a unit in capitals"),
        pytest.param("5m\n", id="a trailing newline"),
        pytest.param("\u0665m", id="digits that are not ASCII"),
        pytest.param("9" * 70 + "s", id="a very long number"),
    ],
)
def test_what_is_no_duration_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match=r"expected a duration such as 90s, 5m or 1h30m"):
        parse_duration(text)


def test_durations_end_where_prometheus_ends_them():
    assert parse_duration("292y") == 292 * 365 * 86400

    with pytest.raises(ValueError, match="longer than 292 years"):
        parse_duration("293y")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.0001, "1ms"),
        (0.25, "250ms"),
        (0.9999, "1000ms"),
        (59.6, "1m"),
        (60, "1m"),
        (5400, "1h 30m"),
        (90061, "1d 1h 1m 1s"),
        (400 * 86400, "400d"),
        (-90, "-1m 30s"),
    ],
)
def test_a_duration_is_shown_to_people(seconds, text):
    assert format_duration(seconds) == text


@given(st.integers(min_value=0, max_value=10**9))
def test_what_is_shown_can_be_read_again(seconds):
    assert parse_duration(format_duration(seconds).replace(" ", "")) == seconds


@given(st.text(alphabet="0123456789ywdhms", max_size=12))
def test_reading_gives_a_duration_or_a_value_error(text):
    try:
        seconds = parse_duration(text)
    except ValueError:
        return

    assert 0 <= seconds < 2**63 / 1e9


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("1024", 1024), ("10B", 10), ("64KiB", 65536), ("64KB", 64000), ("1MiB", 2**20), ("2GiB", 2**31)],
)
def test_a_size_is_read(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "KiB", "-1", "1.5MiB", "64 KiB", "64kib", "64K", "9" * 30])
def test_what_is_no_size_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match=r"expected a size such as 64KiB"):
        parse_size(text)


@given(st.integers(min_value=0, max_value=2**50))
def test_a_shown_size_can_be_read_again(size):
    assert parse_size(format_size(size)) == size
