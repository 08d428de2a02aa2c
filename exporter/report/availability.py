"""Availability, exactly: rows of `GET /api/v1/availability` and of the `report` command.

How it counts, for a window [start, end):
- A device is observed from its first event on, until it is forgotten. Nothing before the first event counts.
- Blind time (the exporter could not hear events, or a gateway's own word showed that those of one device were lost) and
  planned maintenance are taken out of the observed time and out
  of the downtime alike: they are neither up nor down. Each has its own column; time that is both counts as blind.
- availability = 1 - downtime / observed, summed over the devices of a row.
- `outages` begun inside the window. MTTR is the mean length of outages that ended inside it, MTBF the uptime per
  outage. Lengths of outages (longest, MTTR) run from event to event, also where an outage began before the window; a
  running one counts up to `end`. An outage that lies wholly in blind or planned time, also beyond the window, is left
  out.

Pure: no clock. Sums are whole milliseconds, so that rows add up exactly in any order.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import msgspec

from exporter.report.device_account import Window
from exporter.report.intervals import total

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from exporter.domain.identity import Identity
    from exporter.report.device_account import DeviceAccount
    from exporter.report.history import History

    Objective = Callable[[str], float | None]
    """The availability objective of an engine as a ratio, such as 0.995; None: it has none."""

KEYS: Final[dict[str, tuple[str, str]]] = {
    "engine": ("engine", "engine"),
    "business": ("business_id", "business_name"),
    "channel": ("channel_id", "channel_name"),
    "device": ("device_id", "device_name"),
    "group": ("device_id", "device_name"),
}
"""`by` → the fields of Identity that are a row's key and its name. A group is a channel with its backup: its history
stands for all its devices (see `groups`) and counts as one."""


class Row(msgspec.Struct, frozen=True):
    """One line of the account. Durations in seconds, summed over the row's devices; ratios 0 to 1."""

    key: str
    name: str
    devices: int
    engine: str | None
    """None where the row's devices have different ones."""
    business_name: str | None
    availability_ratio: float | None
    """None where nothing was observed."""
    downtime_seconds: float
    observed_seconds: float
    blind_seconds: float
    planned_seconds: float
    outages: int
    longest_seconds: float
    """0 without outages."""
    mttr_seconds: float | None
    """None where no outage ended in the window."""
    mtbf_seconds: float | None
    """None where no outage began in the window."""
    objective_ratio: float | None
    """None without objectives; of several engines, weighted by their observed time."""
    budget_left_ratio: float | None
    """What is left of the downtime that the objective allows: 1 all of it, below 0 overspent."""
    budget_left_seconds: float | None
    reasons: dict[str, int] = msgspec.field(default_factory=dict)
    """How many of the outages began for which reason, where gateways told."""


class Account:
    """Sums over devices."""

    def __init__(self, key: str, name: str) -> None:
        self.key, self.name = key, name
        self._devices = self._observed = self._down = self._blind = self._planned = 0
        self._begun = self._repaired = self._repair_ms = self._longest = 0
        self._reasons: Counter[str] = Counter()
        self._allowed: float | None = 0.0
        self._engine: str | None = None
        self._business: str | None = None

    def add(self, device: DeviceAccount, objective: float | None) -> None:
        """Count one device in."""
        identity, observed = device.identity, total(device.counted)
        first = self._devices == 0
        self._engine = identity.engine if first or self._engine == identity.engine else None
        self._business = identity.business_name if first or self._business == identity.business_name else None
        self._devices += 1
        self._observed += observed
        self._down += total(device.down)
        self._blind += device.blind_ms
        self._planned += device.planned_ms
        self._begun += len(device.begun)
        self._reasons.update(device.reasons)
        self._repaired += device.repaired
        self._repair_ms += device.repair_ms
        self._longest = max(self._longest, device.longest_ms)
        if objective is None or self._allowed is None:
            self._allowed = None
        else:
            self._allowed += observed * round(1 - objective, 12)  # so that 99.5 % allows exactly 0.5 %

    def row(self) -> Row:
        """Return the sums as a row."""
        observed, down, allowed = self._observed, self._down, self._allowed
        up = observed - down
        return Row(
            key=self.key,
            name=self.name,
            devices=self._devices,
            engine=self._engine,
            business_name=self._business,
            availability_ratio=up / observed if observed else None,
            downtime_seconds=down / 1000,
            observed_seconds=observed / 1000,
            blind_seconds=self._blind / 1000,
            planned_seconds=self._planned / 1000,
            outages=self._begun,
            longest_seconds=self._longest / 1000,
            mttr_seconds=self._repair_ms / self._repaired / 1000 if self._repaired else None,
            mtbf_seconds=up / self._begun / 1000 if self._begun else None,
            objective_ratio=None if allowed is None or not observed else 1 - allowed / observed,
            budget_left_ratio=None if not allowed else 1 - down / allowed,
            budget_left_seconds=None if allowed is None else (allowed - down) / 1000,
            reasons=dict(self._reasons.most_common()),
        )


class Accounts:
    """Rows by one key, and their total, from one pass over the devices."""

    def __init__(self, by: str, objective: Objective | None = None) -> None:
        if by not in KEYS:
            raise ValueError(f"cannot group by {by!r}; allowed: {', '.join(KEYS)}")
        self._key, self._name = KEYS[by]
        self._objective = objective
        self._accounts: dict[str, Account] = {}
        self._total = Account("", "")

    def add(self, device: DeviceAccount) -> None:
        """Count one device in, unless the window has nothing of it."""
        if not (device.counted or device.blind or device.planned):
            return
        objective = self._objective(device.identity.engine) if self._objective is not None else None
        key = self.key_of(device.identity)
        account = self._accounts.get(key)
        if account is None:
            account = self._accounts[key] = Account(key, getattr(device.identity, self._name))
        account.add(device, objective)
        self._total.add(device, objective)

    def key_of(self, identity: Identity) -> str:
        """Return the key of the row that a device belongs to."""
        key: str = getattr(identity, self._key)
        return key

    def rows(self) -> list[Row]:
        """Return the rows, sorted by key."""
        return [account.row() for _, account in sorted(self._accounts.items())]

    def total(self) -> Row:
        """Return the sum over all rows; its key is empty."""
        return self._total.row()


def availability(
    histories: Iterable[History],
    *,
    blind: Sequence[tuple[float, float]],
    start: float,
    end: float,
    by: str,
    objective: Objective | None = None,
) -> list[Row]:
    """Return one row per engine, business, channel or device that was known in [start, end), sorted by key.

    Times are Unix seconds; `end` must not lie ahead of now, because what is running counts up to it. Raises
    ValueError for an unknown `by` and for an empty window.
    """
    window, accounts = Window(start, end, blind=blind), Accounts(by, objective)
    for history in histories:
        accounts.add(window.account(history))
    return accounts.rows()
