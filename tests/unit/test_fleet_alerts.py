"""Which alerts fire, on explicit times: seconds after the beginning of each story."""

from __future__ import annotations

import pytest

from exporter.alerting import ended
from exporter.alerting.alert import device_labels, mass_labels
from exporter.domain.policy import Policies, Policy
from exporter.domain.timeline import Kind
from tests.unit.alerting_site import NOW, POLICIES, Story, identity

BOTH = ["DeviceDown d1", "DeviceDownEscalated d1"]
ENDED = ["-DeviceDown d1", "-DeviceDownEscalated d1"]


@pytest.fixture
def story() -> Story:
    return Story()


# Thresholds --------------------------------------------------------------------------------------------------
def test_a_threshold_of_nothing_fires_with_the_event(story: Story) -> None:
    assert story.down(0) == BOTH
    assert story.alert().starts_at == NOW
    assert story.alert().wanted_at == NOW


def test_a_device_fires_at_its_threshold_and_not_before(story: Story) -> None:
    assert story.down(0, engine="telegram") == []
    assert story.alerts.next_due() == NOW + 300
    assert story.at(299.999) == []
    assert story.at(300) == ["DeviceDown d1"]
    assert story.at(1799) == []
    assert story.at(1800) == ["DeviceDownEscalated d1"]
    assert story.alerts.next_due() is None


def test_an_engine_without_escalation_never_escalates(story: Story) -> None:
    story.down(0, engine="slack")
    assert story.at(90_000) == ["DeviceDown d1"]


def test_back_before_the_threshold_is_nothing(story: Story) -> None:
    story.down(0, engine="telegram")
    assert story.up(299) == []
    assert story.at(10_000) == []
    assert story.standing() == []


def test_back_after_the_threshold_ends_at_the_events_time(story: Story) -> None:
    story.down(0)
    assert story.up(70, event_at=60) == ENDED
    assert story.ended().ends_at == NOW + 60
    assert story.firing() == []


def test_down_again_within_the_threshold_counts_from_the_second_disconnect(story: Story) -> None:
    story.down(0, engine="telegram")
    story.up(100)
    story.down(200)
    assert story.at(499) == []
    assert story.at(500) == ["DeviceDown d1"]


def test_a_repeated_disconnect_changes_nothing(story: Story) -> None:
    story.down(0)
    assert story.down(10) == []
    assert story.alert().starts_at == NOW


@pytest.mark.parametrize("ahead", [2, 240])
def test_a_sender_whose_clock_is_ahead_delays_no_alert(story: Story, ahead: int) -> None:
    assert story.down(0, event_at=ahead) == BOTH
    assert story.alert().starts_at == NOW
    story.down(10, "t1", engine="telegram", event_at=10 + ahead)
    assert story.at(309) == []
    assert story.at(310) == ["DeviceDown t1"]


def test_an_outage_shorter_than_the_senders_clock_is_ahead_is_told(story: Story) -> None:
    assert story.down(0, event_at=240) == BOTH
    assert story.up(60, event_at=300) == ENDED


@pytest.mark.parametrize("engine", ["wa", "telegram"])
def test_an_outage_of_yesterday_that_is_resent_with_its_end_is_told_to_nobody(story: Story, engine: str) -> None:
    story.up(-80_000, engine=engine)
    assert story.down(0, event_at=-36_000, engine=engine) == []
    assert story.up(5, event_at=-28_800, engine=engine) == []
    assert story.at(10_000) == []
    assert story.firing() == []


def test_a_hundred_resent_outages_are_no_messages(story: Story) -> None:
    story.fleet_of(100)
    told = [
        line
        for number in range(100)
        for line in (
            *story.down(number, f"wa{number}", event_at=-9000 + number),
            *story.up(number + 0.5, f"wa{number}", event_at=-8000 + number),
        )
    ]
    assert told == []


def test_an_outage_of_yesterday_that_goes_on_is_told_when_its_end_does_not_follow(story: Story) -> None:
    story.up(-80_000)
    assert story.down(0, event_at=-36_000) == []
    assert story.at(119) == []
    assert story.at(120) == BOTH
    assert story.alert().starts_at == NOW - 36_000


@pytest.mark.parametrize("ahead", [660, 25_200])
def test_an_outage_heard_by_a_clock_far_ahead_is_told_when_that_is_set_right(story: Story, ahead: int) -> None:
    story.up(-80_000)
    assert story.down(ahead, event_at=0) == []
    assert story.at(5) == []
    story.alerts.turned_back(NOW + 5)
    assert story.at(5) == BOTH


def test_an_event_that_the_sender_tried_for_ninety_seconds_is_news(story: Story) -> None:
    story.up(-80_000)
    assert story.down(0, event_at=-90) == BOTH


def test_an_end_from_a_clock_ahead_ends_now_as_alertmanager_would_wait_for_it(story: Story) -> None:
    story.down(0)
    assert story.up(10, event_at=100) == ENDED
    assert story.ended().ends_at == NOW + 10


# Late events -------------------------------------------------------------------------------------------------
def test_an_outage_that_a_late_event_reveals_after_its_end_is_not_alerted(story: Story) -> None:
    story.up(0)
    story.up(100)
    assert story.down(200, event_at=50) == []
    assert story.firing() == []


def test_a_late_connect_that_moves_the_start_takes_back_what_fired_too_early(story: Story) -> None:
    story.down(0, engine="telegram")
    story.down(250)
    assert story.at(300) == ["DeviceDown d1"]
    assert story.up(310, event_at=200) == ["-DeviceDown d1"]
    assert story.at(549) == []
    assert story.at(550) == ["DeviceDown d1"]
    assert story.alert().starts_at == NOW + 250


def test_a_late_connect_leaves_alone_what_still_holds(story: Story) -> None:
    story.down(0, engine="telegram")
    story.down(10)
    story.at(300)
    assert story.up(600, event_at=5) == []
    assert story.firing() == ["DeviceDown d1"]


# Identity ----------------------------------------------------------------------------------------------------
def test_a_device_renamed_while_it_fires_keeps_the_labels_until_its_end(story: Story) -> None:
    story.down(0, name="Front desk")
    labels = story.alert().labels
    story.down(10, name="Kasir")
    assert story.alert().labels == labels
    assert "Front desk" not in labels.values()
    story.up(20, name="Kasir")
    story.down(30, name="Kasir")
    assert (story.alert().labels, story.alert().names["device_name"]) == (labels, "Kasir")


def test_once_a_device_fires_again_nothing_is_said_of_an_end_under_its_old_labels(story: Story) -> None:
    story.down(0, engine="line")
    story.at(900)
    story.up(1000, engine="line")
    story.down(1010, engine="wa")
    assert story.standing() == BOTH


def test_a_device_moved_to_another_engine_takes_its_threshold(story: Story) -> None:
    story.down(0, engine="slack")
    assert story.down(10, engine="wa") == BOTH
    assert story.alert().labels["engine"] == "wa"


def test_a_forgotten_device_ends_everything(story: Story) -> None:
    for at in range(0, 60, 10):
        story.down(at)
        story.up(at + 5)
    story.down(60)
    assert sorted(story.forget(70)) == [*ENDED, "-DeviceFlapping d1"]
    assert story.firing() == []
    assert all(alert.forgotten for alert in story.alerts.ended.all())
    story.down(80)
    assert story.firing() == BOTH


# Policies ----------------------------------------------------------------------------------------------------
def changed(**policy: Policy) -> Policies:
    return Policies({**POLICIES.by_engine, **policy})


def test_a_threshold_that_is_lowered_fires_what_is_past_it(story: Story) -> None:
    story.down(0, engine="telegram")
    story.policies = changed(telegram=Policy(alert_after=60.0, severity="critical"))
    story.alerts.reconsider(NOW + 100)
    assert story.at(100) == ["DeviceDown d1"]


OTHER_POLICIES = {
    "a higher threshold": Policy(alert_after=60.0, severity="critical", escalate_after=0.0),
    "another severity": Policy(alert_after=0.0, severity="warning", escalate_after=0.0),
    "no escalation": Policy(alert_after=0.0, severity="critical"),
}


@pytest.mark.parametrize("policy", OTHER_POLICIES.values(), ids=OTHER_POLICIES)
def test_what_fires_goes_on_under_another_policy(story: Story, policy: Policy) -> None:
    story.down(0)
    story.policies = changed(wa=policy)
    story.alerts.reconsider(NOW + 10)
    assert story.at(10) == []
    assert story.firing() == BOTH
    assert story.alert().severity == "critical"
    assert story.up(20) == ENDED


@pytest.mark.parametrize("policy", OTHER_POLICIES.values(), ids=OTHER_POLICIES)
def test_what_fires_goes_on_under_another_policy_over_a_restart(story: Story, policy: Policy) -> None:
    story.down(0)
    story.policies = changed(wa=policy)
    story.restart(10)
    for name in ("DeviceDown", "DeviceDownEscalated"):
        to = "management" if name == "DeviceDownEscalated" else ""
        story.alerts.adopt(device_labels(name, identity(), "critical", to), NOW, NOW + 11)
    assert [line for line in story.at(11) if line.startswith("-")] == []
    assert story.firing() == BOTH
    assert {alert.severity for alert in story.alerts.firing.values()} == {"critical"}


def test_another_policy_holds_for_the_next_outage(story: Story) -> None:
    story.down(0)
    story.policies = changed(wa=Policy(alert_after=60.0, severity="warning"))
    story.alerts.reconsider(NOW + 10)
    story.up(20)
    assert story.down(30) == []
    assert story.at(90) == ["DeviceDown d1"]
    assert story.alert().severity == "warning"


def test_a_reload_that_changes_no_policy_changes_no_alert(story: Story) -> None:
    story.down(0)
    story.alerts.reconsider(NOW + 10)
    assert story.at(10) == []
    assert story.firing() == BOTH


# Planned windows ---------------------------------------------------------------------------------------------
def test_what_goes_down_inside_a_planned_window_alerts_when_it_ends(story: Story) -> None:
    story.up(0)
    story.planned(10)
    assert story.down(20) == []
    assert story.at(99) == []
    assert story.planned(100, end=True) == BOTH
    assert story.alert().starts_at == NOW + 20
    assert story.alert().wanted_at == NOW + 100


def test_thresholds_count_from_the_end_of_the_window(story: Story) -> None:
    story.down(0, engine="telegram")
    story.planned(299)
    assert story.at(400) == []
    story.planned(1000, end=True)
    assert story.at(1299) == []
    assert story.at(1300) == ["DeviceDown d1"]
    assert story.at(2800) == ["DeviceDownEscalated d1"]


def test_what_comes_up_inside_says_nothing(story: Story) -> None:
    story.up(0)
    story.planned(10)
    story.down(20)
    assert story.up(50) == []
    assert story.planned(100, end=True) == []
    assert story.standing() == []


def test_what_fired_when_the_window_began_goes_on_and_does_not_escalate(story: Story) -> None:
    story.down(0, engine="telegram")
    story.at(300)
    assert story.planned(600) == []
    assert story.at(1800) == []
    assert story.restart(1900) == ["-EngineOutage telegram", "DeviceDown d1"]
    assert story.planned(2000, end=True) == []
    story.alerts.reconsider(NOW + 2100)
    assert story.at(2100) == []
    assert story.firing() == ["DeviceDown d1"]
    assert story.at(3800) == ["DeviceDownEscalated d1"]
    assert story.up(4000) == ["-DeviceDown d1", "-DeviceDownEscalated d1"]


def test_a_window_that_has_begun_and_is_not_in_the_journal_yet_holds_alerts_back() -> None:
    story = Story(planned_until=lambda _device, now: NOW + 100 if NOW + 10 <= now < NOW + 100 else None)
    story.up(0)
    assert story.down(10) == []
    story.planned(11, event_at=10)
    assert story.at(100) == []
    assert story.planned(101, event_at=100, end=True) == BOTH


def test_planned_work_on_many_devices_is_no_mass_outage(story: Story) -> None:
    ids = story.fleet_of(20)
    for device_id in ids[:10]:
        story.planned(0, device_id)
    for device_id in ids[:10]:
        assert story.down(10, device_id) == []
    assert story.tidy(30) == []
    for device_id in ids[10:14]:
        story.down(40, device_id)
    assert ("EngineOutage", "wa") not in story.alerts.firing
    story.down(50, ids[14])  # five of the ten that are outside
    assert "EngineOutage wa" in story.at(50.5)


def test_a_mass_outage_does_not_end_because_a_window_begins(story: Story) -> None:
    ids = story.fleet_of(20)
    for device_id in ids[:10]:
        story.down(0, device_id)
    for device_id in ids:
        story.planned(60, device_id)
    story.tidy(120)
    story.tidy(240)
    assert ("EngineOutage", "wa") in story.alerts.firing
    for device_id in ids[:10]:
        story.up(300, device_id)
    story.tidy(420)
    assert ("EngineOutage", "wa") not in story.alerts.firing


def test_a_few_devices_that_stayed_down_are_no_mass_outage_when_the_others_are_planned(story: Story) -> None:
    ids = story.fleet_of(40)
    for number, device_id in enumerate(ids[:6]):
        story.down(60 * number, device_id)
    for device_id in ids:
        story.planned(600, device_id)
    story.tidy(660)
    assert ("EngineOutage", "wa") not in story.alerts.firing


def test_disconnects_inside_a_window_are_not_flapping(story: Story) -> None:
    story.up(0)
    story.planned(10)
    for at in range(20, 80, 10):
        story.down(at)
        story.up(at + 5)
    story.planned(100, end=True)
    assert "DeviceFlapping d1" not in story.down(110)


# Restarts ----------------------------------------------------------------------------------------------------
def test_a_restart_derives_the_same(story: Story) -> None:
    story.down(0)
    story.down(10, "d2", engine="telegram")
    assert story.restart(20) == ["-EngineOutage wa", "-EngineOutage telegram", *BOTH]
    assert story.alert().starts_at == NOW
    assert story.alert().wanted_at is None
    assert story.at(310) == ["DeviceDown d2"]


def test_a_restart_ends_again_what_may_have_ended_untold(story: Story) -> None:
    story.down(0)
    story.up(60)
    assert story.restart(120) == ["-EngineOutage wa", *ENDED]
    assert story.ended().ends_at == NOW + 60
    assert story.restart(4000) == ["-EngineOutage wa"]


def test_a_restart_knows_a_device_that_flaps(story: Story) -> None:
    for at in range(0, 60, 10):
        story.down(at)
        story.up(at + 5)
    assert "DeviceFlapping d1" in story.restart(120)
    assert "DeviceFlapping d1" not in story.restart(1860)


def test_an_adopted_alert_keeps_the_labels_that_people_saw(story: Story) -> None:
    story.down(0)
    story.restart(20)
    seen = {**device_labels("DeviceDown", identity(), "critical"), "device_name": "Front desk"}  # of an older version
    story.alerts.adopt(seen, NOW, NOW + 21)
    assert story.at(21) == []
    assert story.alert().labels == seen


@pytest.mark.parametrize(
    ("at", "end"), [pytest.param(60, 60, id="by event time"), pytest.param(300, 100, id="not in the future")]
)
def test_an_adopted_alert_of_a_device_that_is_up_ends(story: Story, at: int, end: int) -> None:
    story.down(0)
    story.up(50, event_at=at)
    story.restart(100, resolved_within=0 if at < 100 else -1000)
    story.at(100)
    story.alerts.adopt(device_labels("DeviceDown", identity(), "critical"), NOW, NOW + 100)
    assert story.at(100) == ["-DeviceDown d1"]
    assert (story.ended().starts_at, story.ended().ends_at) == (NOW, NOW + end)


def test_a_restart_goes_on_with_an_outage_that_was_heard_by_a_clock_ahead(story: Story) -> None:
    story.down(10, event_at=3600)
    story.restart(20)
    assert story.firing() == BOTH
    story.alerts.adopt(device_labels("DeviceDown", identity(), "critical"), NOW + 10, NOW + 21)
    assert story.at(21) == []
    assert story.firing() == BOTH


def test_an_adopted_alert_of_another_severity_ends_beside_one_that_was_told(story: Story) -> None:
    story.down(0)
    story.restart(20)
    story.alert().acknowledged_at = NOW + 20
    story.alerts.adopt(device_labels("DeviceDown", identity(), "warning"), NOW, NOW + 21)
    assert story.at(21) == ["-DeviceDown d1"]
    assert story.firing() == BOTH


def test_alerts_of_another_exporters_devices_are_left_alone(story: Story) -> None:
    story.alerts.adopt(device_labels("DeviceDown", identity("elsewhere"), "critical"), NOW, NOW)
    story.alerts.adopt(device_labels("DeviceFlapping", identity("elsewhere"), "critical"), NOW, NOW)
    story.alerts.adopt(mass_labels("EngineOutage", "line"), NOW, NOW)
    assert story.at(0) == []
    assert story.firing() == []


def test_an_adopted_flapping_goes_on_until_it_is_quiet(story: Story) -> None:
    story.down(0)
    story.restart(100)
    story.alerts.adopt(device_labels("DeviceFlapping", identity(), "critical"), NOW - 4000, NOW + 100)
    assert story.at(100) == ["DeviceFlapping d1"]
    assert story.tidy(1799) == []
    assert story.tidy(1800) == ["-DeviceFlapping d1"]


def test_an_adopted_mass_outage_that_is_over_ends_after_a_calm_minute(story: Story) -> None:
    story.fleet_of(10)
    story.restart(0)
    story.alerts.adopt(mass_labels("EngineOutage", "wa"), NOW - 600, NOW)
    assert story.at(0) == ["EngineOutage wa"]
    assert story.at(59) == []
    assert story.at(60) == ["-EngineOutage wa"]
    assert story.ended("EngineOutage", "wa").starts_at == NOW - 600


# Ends --------------------------------------------------------------------------------------------------------
def test_the_end_of_what_may_have_been_told_is_repeated_for_a_day(story: Story) -> None:
    """Alertmanager drops it while it is silenced, and would take the next outage for one that it has told."""
    story.down(0)
    story.up(10)
    story.tidy(86_409)
    assert story.standing() == ENDED
    story.tidy(86_410)
    assert story.standing() == []


def test_the_end_of_what_was_muted_all_the_time_is_repeated_for_five_minutes(story: Story) -> None:
    ids = story.fleet_of(10)
    for device_id in ids:
        story.change(0, Kind.DISCONNECTED, device_id)
    assert story.at(0) == []
    assert story.at(0.5)[0] == "EngineOutage wa"
    story.up(10, ids[0])
    story.tidy(309)
    assert f"-DeviceDown {ids[0]}" in story.standing()
    story.tidy(310)
    assert f"-DeviceDown {ids[0]}" not in story.standing()


def test_the_end_of_what_was_told_before_a_mass_outage_showed_is_repeated(story: Story) -> None:
    ids = story.fleet_of(10)
    for device_id in ids:
        story.down(0, device_id)
    for device_id in ids:
        story.up(10, device_id)
    story.tidy(3600)
    assert f"-DeviceDown {ids[0]}" in story.standing()
    assert f"-DeviceDown {ids[9]}" not in story.standing()


def test_no_more_than_the_newest_ends_are_repeated_for_long(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ended, "MOST_KNOWN", 2)
    for number in range(4):
        story.down(number * 10, f"d{number}")
        story.up(number * 10 + 5, f"d{number}")
    story.tidy(3600)
    assert story.standing() == ["-DeviceDown d3", "-DeviceDownEscalated d3"]


def test_an_end_is_not_repeated_once_the_device_is_down_again(story: Story) -> None:
    story.down(0)
    story.up(10)
    story.down(20)
    assert story.standing() == BOTH


# Flapping ----------------------------------------------------------------------------------------------------
def flap(story: Story, times: int, *, every: float = 10.0, start: float = 0.0) -> list[str]:
    out: list[str] = []
    for number in range(times):
        out += story.down(start + number * every)
        out += story.up(start + number * every + every / 2)
    return out


def test_the_sixth_disconnect_within_half_an_hour_is_flapping_and_comes_ahead_of_the_outage(story: Story) -> None:
    assert "DeviceFlapping d1" not in flap(story, 5)
    assert story.down(50) == ["DeviceFlapping d1", *BOTH]


def test_six_disconnects_within_more_than_half_an_hour_are_none(story: Story) -> None:
    assert "DeviceFlapping d1" not in flap(story, 7, every=361)


def test_flapping_ends_when_half_an_hour_was_quiet(story: Story) -> None:
    flap(story, 6)
    story.down(1000)
    assert story.tidy(2799) == []
    assert story.tidy(2800) == ["-DeviceFlapping d1"]
    assert story.firing() == BOTH


def test_disconnects_that_arrive_in_any_order_are_counted_by_their_event_times(story: Story) -> None:
    story.up(-4000)
    for at in (2, 2000, 2010, 2020, 2030):
        story.down(3000, event_at=at)
        story.up(3000, event_at=at + 1)
    assert "DeviceFlapping d1" not in story.firing()
    story.up(3000, event_at=2041)
    story.down(3000, event_at=2040)
    assert "DeviceFlapping d1" not in story.firing()
    story.down(3000, event_at=2050)
    assert "DeviceFlapping d1" in story.firing()


# Mass outages ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("devices", "down", "expected"),
    [
        pytest.param(10, 4, False, id="fewer than five"),
        pytest.param(10, 5, True, id="five and more than 30 %"),
        pytest.param(20, 5, False, id="five but fewer than 30 %"),
        pytest.param(20, 6, True, id="30 %"),
    ],
)
def test_a_mass_outage_is_30_percent_and_at_least_five(story: Story, devices: int, down: int, expected: bool) -> None:
    for device_id in story.fleet_of(devices)[:down]:
        story.down(0, device_id)
    story.at(0.5)
    assert ("EngineOutage wa" in story.firing()) is expected


def test_a_mass_outage_comes_ahead_of_its_devices_and_counts_all_that_are_down_when_it_is_posted(story: Story) -> None:
    ids = story.fleet_of(100)
    for device_id in ids:
        story.change(0, Kind.DISCONNECTED, device_id)
    out = story.at(0.5)
    assert out[0] == "EngineOutage wa"
    assert len(out) == 201
    extent = story.alert("EngineOutage", "wa").extent
    assert extent is not None
    assert (extent.down, extent.of, len(extent.businesses), extent.other_businesses) == (100, 100, 5, 95)


def test_a_mass_outage_is_told_once_nobody_joins_it_for_a_moment(story: Story) -> None:
    ids = story.fleet_of(100)
    for number in range(60):
        story.down(number * 0.05, ids[number])
    assert story.at(3.4) == []
    assert story.at(3.45)[0] == "EngineOutage wa"
    extent = story.alert("EngineOutage", "wa").extent
    assert extent is not None
    assert extent.down == 60


def test_a_mass_outage_that_goes_on_growing_is_told_after_five_seconds(story: Story) -> None:
    ids = story.fleet_of(1000)
    posted = [number for number in range(700) if "EngineOutage wa" in story.down(number * 0.01, ids[number])]
    assert posted == [519]  # the 20th was due 0.19 s after the first


def test_a_mass_outage_that_is_over_before_it_is_told_is_none(story: Story) -> None:
    ids = story.fleet_of(10)
    for device_id in ids:
        story.down(0, device_id)
    for device_id in ids:
        story.up(0.4, device_id)
    assert [line for line in [*story.at(0.5), *story.at(10)] if "Outage" in line] == []


def test_a_mass_outage_that_is_heard_late_has_all_its_devices_and_begins_when_they_went_down(story: Story) -> None:
    ids = [*story.fleet_of(6, business="toko"), *story.fleet_of(5, business="apotek")]
    for number, device_id in enumerate(ids):
        story.down(number / 10, device_id, event_at=-900 + number)
    story.down(5, story.fleet_of(1)[0], event_at=-5000)  # by itself, long before
    story.at(120.6)  # when some of them have been waited for
    story.at(121.1)
    alert = story.alert("EngineOutage", "wa")
    assert alert.extent is not None
    assert (alert.extent.down, alert.extent.of) == (12, 12)
    assert sum(count for _, count in alert.extent.businesses) == 12
    assert alert.starts_at == NOW - 900


def test_of_a_mass_outage_devices_in_a_planned_window_count_nowhere(story: Story) -> None:
    ids = story.fleet_of(11, business="toko")
    for device_id in ids[:4]:
        story.planned(0, device_id)
    for device_id in ids:
        story.down(1, device_id)
    story.tidy(60)
    extent = story.alert("EngineOutage", "wa").extent
    assert extent is not None
    assert (extent.down, extent.of, extent.businesses) == (7, 7, (("Toko Makmur", 7),))


def test_a_mass_outage_ends_after_a_calm_minute(story: Story) -> None:
    ids = story.fleet_of(10)
    for device_id in ids:
        story.down(0, device_id)
    for device_id in ids:
        story.up(100, device_id)
    assert story.at(159) == []
    assert story.at(160) == ["-EngineOutage wa"]


def test_a_mass_outage_that_comes_back_within_the_minute_goes_on(story: Story) -> None:
    ids = story.fleet_of(10)
    for device_id in ids:
        story.down(0, device_id)
    for device_id in ids:
        story.up(100, device_id)
    for device_id in ids:
        assert "EngineOutage wa" not in story.down(130, device_id)
    assert story.at(300) == []
    assert "EngineOutage wa" in story.firing()


def test_devices_that_moved_to_another_engine_are_counted_there(story: Story) -> None:
    ids = story.fleet_of(10, "telegram")
    for device_id in ids[:5]:
        story.down(0, device_id)
    assert "EngineOutage telegram" in story.at(0.5)
    for device_id in ids[:5]:
        story.down(10, device_id, engine="wa")
    assert "EngineOutage wa" in story.at(10.5)
    assert "-EngineOutage telegram" not in story.at(69)
    assert "-EngineOutage telegram" in story.at(70)


@pytest.mark.parametrize(
    ("down", "seconds", "expected"),
    [
        pytest.param(19, 0.0, False, id="nineteen"),
        pytest.param(20, 0.0, True, id="twenty at once"),
        pytest.param(20, 59.0, True, id="twenty within a minute"),
        pytest.param(20, 61.0, False, id="twenty within more than a minute"),
    ],
)
def test_twenty_devices_of_an_engine_within_a_minute_are_a_mass_outage_however_large_the_fleet(
    story: Story, down: int, seconds: float, expected: bool
) -> None:
    ids = story.fleet_of(1000)
    for number, device_id in enumerate(ids[:down]):
        story.down(seconds * number / (down - 1), device_id)
    assert ("EngineOutage wa" in story.at(seconds + 0.5)) is expected


def test_twenty_short_outages_below_their_threshold_are_no_mass_outage(story: Story) -> None:
    ids = story.fleet_of(1000, "telegram")
    for device_id in ids[:30]:
        story.down(0, device_id)
    for device_id in ids[:30]:
        assert story.up(200, device_id) == []
    assert story.firing() == []
    for device_id in ids[:30]:
        story.down(400, device_id)
    assert story.at(700) == []
    assert story.at(700.5)[0] == "EngineOutage telegram"


def test_a_mass_outage_by_size_goes_on_until_few_of_its_devices_are_down(story: Story) -> None:
    ids = story.fleet_of(1000)
    for device_id in ids[:3]:
        story.down(-5000, device_id)  # it is none of the mass outage, and may stay down for ever
    for device_id in ids[10:40]:
        story.down(0, device_id)
    for device_id in ids[10:35]:
        story.up(100, device_id)
    story.at(1000)
    assert "EngineOutage wa" in story.firing()
    story.up(1000, ids[35])
    assert "-EngineOutage wa" not in story.at(1059)
    assert "-EngineOutage wa" in story.at(1060)
    assert len([line for line in story.firing() if line.startswith("DeviceDown ")]) == 3 + 4


def test_of_a_thousand_devices_at_once_three_speak_for_themselves(story: Story) -> None:
    ids = story.fleet_of(1000)
    for number, device_id in enumerate(ids):
        story.down(number / 1000, device_id)
    story.at(2)
    assert len([alert for alert in story.alerts.firing.values() if alert.known]) == 3 * 2 + 1


def test_old_news_is_no_mass_outage_until_it_was_waited_for(story: Story) -> None:
    ids = story.fleet_of(10)
    for device_id in ids:
        story.down(0, device_id, event_at=-1000)
    story.tidy(60)
    assert story.firing() == []
    story.at(120)
    assert "EngineOutage wa" in story.at(120.5)
    for device_id in ids:
        story.up(130, device_id)
    assert "-EngineOutage wa" in story.at(190)


# One gateway -------------------------------------------------------------------------------------------------
def go_down(story: Story, at: float, ids: list[str]) -> list[str]:
    """Let devices go down in one moment; return what is posted within two seconds of it."""
    for device_id in ids:
        story.change(at, Kind.DISCONNECTED, device_id)
    return [*story.at(at), *story.at(at + 1.9), *story.at(at + 2)]


@pytest.mark.parametrize(
    ("devices", "down", "expected"),
    [
        pytest.param(10, 4, False, id="fewer than five"),
        pytest.param(16, 5, True, id="30 %"),
        pytest.param(17, 5, False, id="less than 30 %"),
        pytest.param(200, 19, False, id="nineteen of many"),
        pytest.param(200, 20, True, id="twenty of many together"),
    ],
)
def test_an_outage_of_a_gateway_is_told_as_such_in_a_fleet_of_others(
    story: Story, devices: int, down: int, expected: bool
) -> None:
    story.fleet_of(1199)
    out = go_down(story, 0, story.fleet_of(devices, gateway="evo")[:down])
    assert ("GatewayOutage evo" in out) is expected
    assert "EngineOutage wa" not in out


def test_the_outage_of_a_gateway_is_one_message_that_counts_its_devices(story: Story) -> None:
    story.fleet_of(1199)
    ids = story.fleet_of(20, gateway="evo")
    go_down(story, 0, ids)
    known = [alert for alert in story.alerts.firing.values() if alert.known]
    assert [alert.name for alert in known] == ["GatewayOutage"]
    extent = story.alert("GatewayOutage", "evo").extent
    assert extent is not None
    assert (extent.down, extent.of) == (20, 20)
    for device_id in ids:
        story.up(100, device_id)
    assert "-GatewayOutage evo" not in story.at(159)
    assert "-GatewayOutage evo" in story.at(160)


@pytest.mark.parametrize("came_back", [0, 3, 12, 16])
def test_a_gateway_whose_devices_are_forgotten_is_not_back(story: Story, came_back: int) -> None:
    story.fleet_of(1199)
    ids = story.fleet_of(20, gateway="evo")
    go_down(story, 0, ids)
    for device_id in ids[:came_back]:
        story.up(90, device_id)
    for device_id in ids[came_back:-1]:
        story.forget(100, device_id)
    assert "-GatewayOutage evo" in story.at(160)
    [ended] = [alert for alert in story.alerts.ended.all() if alert.name == "GatewayOutage"]
    assert ended.forgotten is (came_back < 10)


def test_a_gateway_of_which_one_device_is_forgotten_and_the_others_come_up_is_back(story: Story) -> None:
    ids = story.fleet_of(10, gateway="evo")
    go_down(story, 0, ids[:5])
    story.forget(100, ids[0])
    for device_id in ids[1:5]:
        story.up(110, device_id)
    assert "-GatewayOutage evo" in story.at(160)
    assert not story.alerts.ended.is_forgotten(("GatewayOutage", "evo"))


def test_a_gateway_that_goes_on_after_some_were_forgotten_is_back_when_it_is(story: Story) -> None:
    story.fleet_of(1199)
    ids = story.fleet_of(20, gateway="evo")
    go_down(story, 0, ids)
    for device_id in ids[:-1]:
        story.forget(100, device_id)
    for device_id in ids[:-1]:
        story.change(110, Kind.DISCONNECTED, device_id, gateway="evo")  # they were not gone for good
    for device_id in ids:
        story.up(200, device_id)
    assert "-GatewayOutage evo" in story.at(260)
    assert not story.alerts.ended.is_forgotten(("GatewayOutage", "evo"))


def test_a_gateway_that_has_all_devices_of_its_engine_is_told_as_such(story: Story) -> None:
    out = go_down(story, 0, story.fleet_of(20, gateway="evo"))
    assert "GatewayOutage evo" in out
    assert "EngineOutage wa" not in out


def test_gateways_that_go_down_with_the_rest_of_their_engine_are_part_of_its_outage(story: Story) -> None:
    out = go_down(story, 0, [id_ for name in ("evo", "waha") for id_ in story.fleet_of(50, gateway=name)])
    assert [line for line in out if "Outage" in line] == ["EngineOutage wa"]


def test_an_engine_goes_down_beside_a_gateway_with_its_other_devices_only(story: Story) -> None:
    others, ids = story.fleet_of(100), story.fleet_of(40, gateway="evo")
    go_down(story, 0, ids)
    assert "EngineOutage wa" not in go_down(story, 10, others[:10])
    assert "EngineOutage wa" in go_down(story, 20, others[10:30])


def test_the_built_in_gateway_is_not_told_of_as_one(story: Story) -> None:
    out = go_down(story, 0, story.fleet_of(30))
    assert [line for line in out if "Outage" in line] == ["EngineOutage wa"]


def test_a_restart_goes_on_with_the_outage_of_a_gateway(story: Story) -> None:
    story.fleet_of(100)
    ids = story.fleet_of(10, gateway="evo")
    go_down(story, 0, ids)
    out = story.restart(100)
    assert "GatewayOutage evo" in out
    assert "EngineOutage wa" not in out


def test_a_digest_is_no_place_for_a_device_that_flaps(story: Story) -> None:
    ids = story.fleet_of(300)
    flap(story, 7, start=-100.0)
    for number, device_id in enumerate(ids[:10]):
        story.down(number * 4.0, device_id)
        story.down(number * 4.0 + 1, "d1")
        story.up(number * 4.0 + 2, "d1")
    story.at(45)
    extent = story.alert("ManyDevicesDown", "critical").extent
    assert extent is not None
    assert extent.down == 4
    assert len(story.fleet.down) == 10


# One business ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("devices", "down", "expected"),
    [
        pytest.param(3, 2, False, id="fewer than three"),
        pytest.param(3, 3, True, id="three of three"),
        pytest.param(6, 3, True, id="half"),
        pytest.param(7, 3, False, id="less than half"),
    ],
)
def test_half_of_a_business_and_at_least_three_devices_are_one_outage(
    story: Story, devices: int, down: int, expected: bool
) -> None:
    story.fleet_of(100)
    for device_id in story.fleet_of(devices, business="toko")[:down]:
        story.down(0, device_id)
    assert "BusinessOutage toko" not in story.at(1.9)
    assert ("BusinessOutage toko" in story.at(2)) is expected


def test_of_a_business_one_device_speaks_before_the_outage_does(story: Story) -> None:
    story.fleet_of(100)
    told = [line for device_id in story.fleet_of(5, business="toko") for line in story.down(0, device_id)]
    assert told == ["DeviceDown tokowa0", "DeviceDownEscalated tokowa0"]
    told = story.at(2)
    assert told[0] == "BusinessOutage toko"
    assert len(told) == 1 + 2 * 4
    extent = story.alert("BusinessOutage", "toko").extent
    assert extent is not None
    assert (extent.down, extent.of, extent.businesses) == (5, 5, (("Toko Makmur", 5),))


def test_a_business_whose_engine_is_in_a_mass_outage_has_none_of_its_own(story: Story) -> None:
    story.fleet_of(20)
    for device_id in [*story.fleet_of(4, business="toko"), *story.fleet_of(6)]:
        story.down(0, device_id)
    story.at(3)
    assert "EngineOutage wa" in story.firing()
    assert "BusinessOutage toko" not in story.firing()


def test_a_business_goes_on_although_its_engine_follows_and_ends_with_its_own_devices(story: Story) -> None:
    others, ids = story.fleet_of(20), story.fleet_of(4, business="toko")
    for device_id in ids:
        story.down(0, device_id)
    story.at(2)
    for device_id in others:
        story.down(10, device_id)
    story.tidy(200)
    assert {"EngineOutage wa", "BusinessOutage toko"} <= set(story.firing())
    for device_id in ids:
        story.up(300, device_id)
    assert "-BusinessOutage toko" in story.at(360)


def test_warnings_are_no_outage_of_a_business_as_they_are_told_together_anyway(story: Story) -> None:
    for device_id in story.fleet_of(4, "slack", business="toko"):
        story.down(0, device_id)
    story.at(900)
    story.at(903)
    assert "BusinessOutage toko" not in story.firing()


def test_a_restart_goes_on_with_the_outage_of_a_business(story: Story) -> None:
    story.fleet_of(100)
    ids = story.fleet_of(4, business="toko")
    for device_id in ids:
        story.down(0, device_id)
    story.at(2)
    story.restart(100)
    story.alerts.adopt(mass_labels("BusinessOutage", "toko"), NOW, NOW + 101)
    story.tidy(160)
    assert story.alert("BusinessOutage", "toko").starts_at == NOW
    for device_id in ids:
        story.up(200, device_id)
    assert "-BusinessOutage toko" in story.at(260)


# Many single outages -----------------------------------------------------------------------------------------
def storm(story: Story, count: int, *, every: float = 4.0) -> list[str]:
    """Let devices of many businesses go down one after the other, too slowly for a mass outage of their engine."""
    ids = story.fleet_of(1000)[:count]
    return [line for number, device_id in enumerate(ids) for line in story.down(number * every, device_id)]


def test_the_seventh_single_outage_within_a_minute_begins_a_digest_which_has_the_rest(story: Story) -> None:
    told = storm(story, 30)
    assert told.index("ManyDevicesDown critical") == 2 * 6
    singles = [alert for alert in story.alerts.firing.values() if "digest" not in alert.labels]
    assert len([alert for alert in singles if alert.name == "DeviceDown"]) == 6
    assert len([alert for alert in singles if alert.name == "DeviceDownEscalated"]) == 6
    story.at(130)
    extent = story.alert("ManyDevicesDown", "critical").extent
    assert extent is not None
    assert (extent.down, len(extent.devices), extent.other_businesses) == (24, 5, 19)


def test_six_a_minute_go_on_speaking_for_themselves(story: Story) -> None:
    assert "ManyDevicesDown critical" not in storm(story, 30, every=10.1)


def test_a_device_that_goes_down_after_the_pile_stands_still_speaks_for_itself(story: Story) -> None:
    storm(story, 12)
    story.down(44 + 60, "wa900")
    assert "digest" not in story.alert(subject="wa900").labels
    assert story.alert(subject="wa900").known


def test_a_digest_ends_a_minute_after_all_but_two_are_back(story: Story) -> None:
    storm(story, 12)
    for number in range(6, 10):
        story.up(100, f"wa{number}")
    story.tidy(110)
    extent = story.alert("ManyDevicesDown", "critical").extent
    assert extent is not None
    assert (extent.down, extent.of) == (2, 6)
    assert story.at(159) == []
    assert story.at(160) == ["-ManyDevicesDown critical"]
    left = [alert for alert in story.alerts.firing.values() if "digest" in alert.labels]
    assert len(left) == 2 * 2
    story.tidy(200)
    assert all(alert.known for alert in left)


def test_a_digest_goes_on_over_a_restart_with_its_members(story: Story) -> None:
    storm(story, 12)
    seen = [(alert.labels, alert.starts_at) for alert in story.alerts.firing.values()]
    story.restart(100)
    for labels, starts_at in seen:
        story.alerts.adopt(labels, starts_at, NOW + 100)
    story.tidy(120)
    assert "ManyDevicesDown critical" in story.firing()
    extent = story.alert("ManyDevicesDown", "critical").extent
    assert extent is not None
    assert extent.down == 6
    for number in range(12):
        story.up(200, f"wa{number}")
    assert "-ManyDevicesDown critical" in [*story.at(200), *story.at(260)]


def test_devices_that_were_down_before_a_start_are_no_digest(story: Story) -> None:
    storm(story, 30, every=60)
    assert "ManyDevicesDown critical" not in story.restart(5000)


# Bursts ------------------------------------------------------------------------------------------------------
def burst(story: Story, count: int, *, of: int = 1000) -> list[str]:
    return [text for device_id in story.fleet_of(of)[:count] for text in story.down(0, device_id)]


def test_three_devices_alert_at_once_and_the_fourth_waits_a_moment(story: Story) -> None:
    assert len(burst(story, 4)) == 2 * 3
    assert len(story.standing()) == 2 * 3
    assert story.alerts.next_due() == NOW + 0.5
    assert story.at(0.49) == []
    assert story.at(0.5) == ["DeviceDown wa3", "DeviceDownEscalated wa3"]


def test_a_second_device_of_a_business_waits_a_moment(story: Story) -> None:
    story.fleet_of(100)
    first, second = story.fleet_of(20, business="toko")[:2]
    assert len(story.down(0, first)) == 2
    assert story.down(1, second) == []
    assert story.at(1.4) == []
    assert story.at(1.5) == [f"DeviceDown {second}", f"DeviceDownEscalated {second}"]


def test_what_waits_goes_on_waiting_while_more_come_but_not_for_ever(story: Story) -> None:
    ids = [*story.fleet_of(1000)[:13], *story.fleet_of(1000, "line-wa")[:13]]  # of two engines: no mass outage
    story.policies = changed(**{"line-wa": POLICIES.by_engine["wa"]})
    order = [device_id for pair in zip(ids[:13], ids[13:], strict=True) for device_id in pair]
    out = [text for number, device_id in enumerate(order) for text in story.down(number * 0.45, device_id)]
    assert len(out) == 2 * 3
    assert story.at(11.34) == []
    released = story.at(11.36)
    assert {f"DeviceDown {order[3]}", f"DeviceDown {order[-1]}", "ManyDevicesDown critical"} <= set(released)


def test_a_mass_outage_lets_go_what_waits_behind_it(story: Story) -> None:
    assert len(burst(story, 30, of=100)) == 2 * 3
    out = story.at(0.5)
    assert out[0] == "EngineOutage wa"
    assert len(out) == 1 + 2 * 27


def test_what_ends_while_it_waits_is_never_posted_as_firing(story: Story) -> None:
    burst(story, 4)
    story.up(0.1, "wa3")
    assert story.at(0.8) == []


# Memory ------------------------------------------------------------------------------------------------------
def test_nothing_is_kept_of_what_is_over() -> None:
    story = Story(changed(slack=Policy(alert_after=3600.0, escalate_after=7200.0)))
    ids = story.fleet_of(400, "slack")
    for round_ in range(5):
        for device_id in ids[:100]:
            story.down(round_ * 100, device_id)
            story.up(round_ * 100 + 50, device_id)
    story.tidy(100_000)
    kept = story.alerts
    assert len(kept._due._agenda) <= 1000
    assert kept._flapping._flaps._times == {}
    assert kept._bursts.held() == set()
    assert not any(kept._digests._members.values())
    assert kept._mass._counts._old == {}
    assert story.standing() == []
