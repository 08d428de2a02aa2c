"""Outages that somebody has, and escalation in steps: what fires, what waits, what is told again."""

from __future__ import annotations

import pytest

from exporter.alerting.taken import Taken
from exporter.domain.policy import Policies, Policy, Step
from tests.unit.alerting_site import NOW, Story

STEPS = (Step(600.0, "management", "acknowledged"), Step(3600.0, "director"))
POLICIES = Policies({"default": Policy(alert_after=0.0, severity="critical", escalate_after=None, escalate=STEPS)})


def taken(number: int, at: float, until: float, device_id: str = "d1", since: int = 0) -> Taken:
    words = ("13:22 WIB", "13.22 WIB")
    return Taken(number, ("DeviceDown", device_id), NOW + since, "Sari", "", NOW + at, NOW + until, words)


def take(story: Story, one: Taken, at: float) -> list[str]:
    story.alerts.taken.take(one, NOW + at)
    story.alerts.reconsider(NOW + at)
    return story.at(at)


def run_out(story: Story, one: Taken, at: float) -> list[str]:
    story.alerts.run_out(one, NOW + at)
    story.alerts.reconsider(NOW + at)
    return story.at(at)


@pytest.fixture
def story() -> Story:
    found = Story(POLICIES)
    found.down(0)
    return found


def labels(story: Story, name: str) -> list[dict[str, str]]:
    return [dict(alert.labels) for alert in story.alerts.firing.values() if alert.name == name]


def test_each_step_tells_whom_it_is_for_at_its_time(story: Story) -> None:
    assert story.at(599) == []
    assert story.at(601) == ["DeviceDownEscalated d1"]
    assert story.at(3599) == []
    assert story.at(3601) == ["DeviceDownEscalated d1"]
    assert [one["escalation"] for one in labels(story, "DeviceDownEscalated")] == ["management", "director"]
    assert story.up(4000) == ["-DeviceDown d1", "-DeviceDownEscalated d1", "-DeviceDownEscalated d1"]


def test_a_step_that_an_acknowledgement_holds_up_waits_and_the_others_do_not(story: Story) -> None:
    assert take(story, taken(1, 100, 9000), 100) == ["DeviceAcknowledged 1"]
    story.at(3601)
    assert [one["escalation"] for one in labels(story, "DeviceDownEscalated")] == ["director"]


def test_a_step_counts_from_when_the_time_is_over(story: Story) -> None:
    one = taken(1, 100, 5000)
    take(story, one, 100)
    story.at(3601)
    assert run_out(story, one, 5000) == ["DeviceStillDown 1"]
    assert story.at(5599) == []
    assert story.at(5601) == ["DeviceDownEscalated d1"]
    assert [one["escalation"] for one in labels(story, "DeviceDownEscalated")] == ["director", "management"]


def test_whom_a_step_told_before_is_told_again_once_and_under_another_identity(story: Story) -> None:
    story.at(601)
    one = taken(1, 700, 5000)
    take(story, one, 700)
    run_out(story, one, 5000)
    story.at(5601)
    again = [one for one in labels(story, "DeviceStillDown") if "escalation" in one]
    assert [(one["escalation"], one["ack"]) for one in again] == [("management", "1")]


def test_the_next_one_to_have_it_ends_what_reminded_and_a_second_reminder_is_another(story: Story) -> None:
    first, second = taken(1, 100, 1000), taken(2, 1100, 2000)
    take(story, first, 100)
    run_out(story, first, 1000)
    assert "-DeviceStillDown 1" in take(story, second, 1100)
    assert "DeviceStillDown 2" in run_out(story, second, 2000)


def test_given_back_it_escalates_as_if_nobody_had_had_it(story: Story) -> None:
    one = taken(1, 100, 9000)
    take(story, one, 100)
    story.at(700)
    story.alerts.taken.give_back(one, NOW + 700, NOW + 700)
    story.alerts.reconsider(NOW + 700)
    assert sorted(story.at(700)) == ["DeviceAcknowledged 1-undone", "DeviceDownEscalated d1"]


def test_when_it_is_up_nothing_is_left_and_whoever_keeps_it_hears_of_that(story: Story) -> None:
    over: list[int] = []
    story.alerts.taken.over = lambda one, _at: over.append(one.number)
    one = taken(1, 100, 1000)
    take(story, one, 100)
    run_out(story, one, 1000)
    assert "-DeviceStillDown 1" in story.up(1100)
    assert over == [1]
    assert story.firing() == []
    assert not story.alerts.taken.active
    assert not story.alerts.taken.ran_out


def test_a_restart_tells_the_same_again_and_nothing_else(story: Story) -> None:
    one = taken(1, 100, 1000)
    take(story, one, 100)
    seen = labels(story, "DeviceAcknowledged")
    story.restart(200, taken=([one], []))
    assert labels(story, "DeviceAcknowledged") == seen
    assert story.alert().holder == "Sari"
    assert "-DeviceAcknowledged 1" in story.at(221)  # when it would have ended without the restart
    story.restart(230, taken=([one], []))
    assert labels(story, "DeviceAcknowledged") == []  # told long ago
    assert labels(story, "DeviceDownEscalated") == []


def test_whom_an_escalation_told_before_somebody_had_it_is_told_of_its_end_after_a_restart_too(story: Story) -> None:
    story.at(601)
    one = taken(1, 700, 9000)
    take(story, one, 700)
    assert "DeviceDownEscalated d1" in story.restart(800, taken=([one], []))
    assert "-DeviceDownEscalated d1" in story.up(900)


WHOLE_ENGINE = Taken(7, ("EngineOutage", "wa"), 0, "Sari", "", NOW + 100, NOW + 5000)


@pytest.fixture
def mass() -> Story:
    """Six of ten devices are down together, which somebody has."""
    found = Story(POLICIES)
    ids = found.fleet_of(10)
    for device_id in ids[:6]:
        found.down(0, device_id)
    found.at(10)
    assert "EngineOutage wa" in found.firing()
    take(found, WHOLE_ENGINE, 100)
    return found


def test_a_device_that_comes_into_a_mass_outage_is_with_whoever_has_that(mass: Story) -> None:
    mass.down(200, "wa8")
    assert {alert.holder for alert in mass.alerts.firing.values() if alert.name == "DeviceDown"} == {"Sari"}
    mass.alerts.taken.give_back(WHOLE_ENGINE, NOW + 300, NOW + 300)
    assert {alert.holder for alert in mass.alerts.firing.values() if alert.name == "DeviceDown"} == {""}


def test_what_is_still_down_when_a_mass_outage_ends_is_nobodys_and_escalates(mass: Story) -> None:
    mass.at(700)
    assert labels(mass, "DeviceDownEscalated") == []
    for number in range(1, 6):
        mass.up(800 + number, f"wa{number}")
    for second in range(900, 1500, 60):
        mass.tidy(second)
    assert mass.firing() == ["DeviceDown wa0", "DeviceDownEscalated wa0"]
    assert mass.alert("DeviceDown", "wa0").holder == ""


def test_a_mass_outage_whose_time_is_over_lets_its_devices_escalate_from_then(mass: Story) -> None:
    run_out(mass, WHOLE_ENGINE, 5000)
    assert "management" not in [one["escalation"] for one in labels(mass, "DeviceDownEscalated")]
    mass.at(5601)
    assert [one["escalation"] for one in labels(mass, "DeviceDownEscalated")].count("management") == 6


def test_what_was_over_before_a_restart_is_nobodys() -> None:
    story = Story(POLICIES)
    story.down(0)
    story.up(5000)
    over: list[int] = []
    story.restart(9000, resolved_within=60)
    story.alerts.taken.over = lambda one, _at: over.append(one.number)
    story.alerts.taken.load([taken(1, 100, 20_000)], [], NOW + 9000)
    story.alerts.taken.tidy(NOW + 9000)
    assert over == [1]


def test_a_maintenance_that_begins_leaves_it_with_who_has_it(story: Story) -> None:
    take(story, taken(1, 100, 9000), 100)
    story.planned(200)
    story.planned(800, end=True)
    assert ("DeviceDown", "d1") in story.alerts.taken.active
    story.at(3601)
    assert all(one["escalation"] != "management" for one in labels(story, "DeviceDownEscalated"))


def test_a_device_that_flaps_runs_out_all_the_same(story: Story) -> None:
    for number in range(1, 8):
        story.up(number * 20)
        story.down(number * 20 + 10)
    assert any("DeviceFlapping" in line for line in story.firing())
    one = taken(1, 200, 1000, since=150)
    take(story, one, 200)
    assert "DeviceStillDown 1" in run_out(story, one, 1000)
