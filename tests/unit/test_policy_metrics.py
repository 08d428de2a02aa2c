"""The policy as metrics, which rules join on."""

import pytest

from exporter.conventions import POLICY_UTC_OFFSET
from exporter.domain.policy import Policies
from exporter.metrics.policy import PolicyCollector


@pytest.mark.parametrize(
    ("timezone", "zone", "seconds"),
    [
        ("Asia/Jakarta", "WIB", 25200),
        ("Asia/Makassar", "WITA", 28800),
        ("Asia/Jayapura", "WIT", 32400),
        ("UTC", "UTC", 0),
        ("Asia/Dubai", "UTC+04", 14400),
    ],
)
def test_rules_can_tell_local_time_by_the_zone_of_the_configuration(timezone, zone, seconds):
    families = {family.name: family for family in PolicyCollector(Policies, list, lambda: timezone).collect()}

    [sample] = families[POLICY_UTC_OFFSET].samples
    assert (sample.labels, sample.value) == ({"zone": zone}, seconds)
