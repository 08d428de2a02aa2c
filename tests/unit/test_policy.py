"""Each engine has one policy."""

import pytest

from exporter.domain.policy import BUILT_IN, Policies, Policy


@pytest.mark.parametrize(
    ("engine", "alert_after", "escalate_after", "severity"),
    [
        pytest.param("wa", 0, 0, "critical", id="WhatsApp alerts at once and goes to management at once"),
        pytest.param("telegram", 300, 1800, "critical", id="Telegram alerts after 5 minutes"),
        pytest.param("slack", 900, None, "warning", id="Slack warns after 15 minutes and is never escalated"),
        pytest.param("line", 900, None, "warning", id="an engine without a policy has the default one"),
        pytest.param("WA", 900, None, "warning", id="engines are told apart by case"),
        pytest.param("", 900, None, "warning", id="an engine without a name has the default one"),
    ],
)
def test_the_built_in_policies_follow_the_platforms_advice(engine, alert_after, escalate_after, severity):
    policy = Policies().for_engine(engine)

    assert (policy.alert_after, policy.escalate_after, policy.severity) == (alert_after, escalate_after, severity)


def test_the_objective_is_exposed_as_a_ratio_without_binary_noise():
    assert [Policy(objective=percent).objective_ratio for percent in (99.5, 99.9, 99.95, 57.0)] == [
        0.995,
        0.999,
        0.9995,
        0.57,
    ]


def test_engines_lists_those_with_a_policy_of_their_own():
    assert Policies().engines == ("slack", "telegram", "wa")


def test_policies_without_a_default_are_refused():
    with pytest.raises(ValueError, match="default"):
        Policies({"wa": BUILT_IN["wa"]})
