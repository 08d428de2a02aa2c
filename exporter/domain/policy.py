"""The alert policy: how long a device of an engine may be down before somebody is told, and the objective.

Pure. An engine without a policy of its own has the policy named `default`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from exporter.lib.durations import Duration

DEFAULT_ENGINE: Final = "default"

MANAGEMENT: Final = "management"

Severity = Literal["critical", "warning", "info"]


class Step(msgspec.Struct, frozen=True):
    """One step of an escalation: after so many seconds down others are told as well."""

    after: Duration
    to: str = MANAGEMENT
    """Who, as the label `escalation` says to Alertmanager's routes."""
    unless: Literal["acknowledged"] | None = None
    """When the step is left out: while somebody has the outage. None: never."""


class Policy(msgspec.Struct, frozen=True):
    """What applies to the devices of one engine."""

    alert_after: Duration = 900.0
    """Seconds down before `DeviceDown`."""
    severity: Severity = "warning"
    escalate_after: Duration | None = None
    """Seconds down before management is told, unless somebody has the outage; None: never. Short for `escalate`."""
    escalate: tuple[Step, ...] | None = None
    """Steps in the place of `escalate_after`."""
    acknowledge_max: Duration = 12 * 3600.0
    """Seconds after which whoever has an outage is asked again, however long they wanted to have it."""
    objective: float = 99.0
    """Availability objective in percent, between 0 and 100, both excluded."""
    rescan_url: str = ""
    """Where a QR code is scanned anew; `{device_id}`, `{session}` and `{gateway}` stand for the device's own."""

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps of escalation."""
        if self.escalate is not None:
            return self.escalate
        return (Step(self.escalate_after, unless="acknowledged"),) if self.escalate_after is not None else ()

    @property
    def objective_ratio(self) -> float:
        """Return the objective between 0 and 1, without binary noise: 99.5 % is 0.995."""
        return round(self.objective / 100, 12)


BUILT_IN: Final[Mapping[str, Policy]] = {
    DEFAULT_ENGINE: Policy(),
    "wa": Policy(alert_after=0.0, severity="critical", escalate_after=0.0, objective=99.5),
    "telegram": Policy(alert_after=300.0, severity="critical", escalate_after=1800.0, objective=99.5),
    "slack": Policy(alert_after=900.0, severity="warning", objective=99.0),
}
"""The platform's advice: WhatsApp at once and to management, Telegram after 5 minutes, Slack after 15 minutes."""


class Policies(msgspec.Struct, frozen=True):
    """All policies by engine; `default` is always among them."""

    by_engine: Mapping[str, Policy] = msgspec.field(default_factory=lambda: BUILT_IN)

    def __post_init__(self) -> None:
        if DEFAULT_ENGINE not in self.by_engine:
            raise ValueError("policies need a default")

    @property
    def default(self) -> Policy:
        """The policy of every engine that has none of its own."""
        return self.by_engine[DEFAULT_ENGINE]

    @property
    def engines(self) -> tuple[str, ...]:
        """The engines that have a policy of their own, sorted."""
        return tuple(sorted(engine for engine in self.by_engine if engine != DEFAULT_ENGINE))

    def for_engine(self, engine: str) -> Policy:
        """Return the policy of an engine. The name is matched exactly; the platform writes engines in lower case."""
        return self.by_engine.get(engine) or self.by_engine[DEFAULT_ENGINE]
