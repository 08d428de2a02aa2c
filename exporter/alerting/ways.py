"""Whether anybody is told at all: each Alertmanager is asked now and then which ways of notifying it has.

An Alertmanager that takes alerts and has no receiver looks like one that tells everybody. What is not known, as it
does not answer or does not let us ask, is not called nothing.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal

from exporter.alerting.client import Client, Unavailable, session
from exporter.lib.logs import fields
from exporter.lib.yaml import BadYaml, parse_yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from exporter.alerting.members import Member
    from exporter.config import Config
    from exporter.metrics.own import SelfMetrics

log = logging.getLogger(__name__)

FOR_PROGRAMS: Final = frozenset({"automation", "deadman"})
"""Receivers of the shipped configuration that are no people."""

USUAL: Final = "chat"
"""The receiver that takes what no other one does."""

ONCE: Final = "-once"
"""How receivers end that tell no ends: they are ways that others have already."""

Nobody = Literal["no_alertmanager", "no_receiver"]
_REASONS: Final[dict[Nobody, str]] = {
    "no_alertmanager": "nobody is notified: alertmanager.urls is empty, so alerts go nowhere",
    "no_receiver": "nobody is notified: Alertmanager has no receiver that is switched on",
}


class Ways:
    """`nobody` is the answer."""

    def __init__(
        self, config: Callable[[], Config], metrics: SelfMetrics, members: Callable[[], Sequence[Member]]
    ) -> None:
        self._config = config
        self._members = members
        self._metrics = metrics
        self._known: dict[str, int] = {}  # by Alertmanager
        self._said: Nobody | None = None

    @property
    def nobody(self) -> Nobody | None:
        """Why nobody is notified; None where somebody is, or where it is not known."""
        if not self._config().alertmanager.urls:
            return "no_alertmanager"
        return "no_receiver" if self._known and not any(self._known.values()) else None

    async def ask(self) -> None:
        """Ask every Alertmanager, and say once when nobody is notified."""
        known: dict[str, int] = {}
        job = self._config().alerts.labels.get("job", "")
        if members := self._members():
            async with session(self._config().alertmanager) as opened:
                for member in members:
                    count = await _count(Client(member.url, opened, member.server_name), job)
                    if count is not None:
                        known[member.url] = count
        for url in self._known.keys() - known.keys():
            self._metrics.ways.remove(url)
        for url, count in known.items():
            self._metrics.ways.labels(url).set(count)
        self._known = known
        self._say(self.nobody)

    def _say(self, nobody: Nobody | None) -> None:
        if nobody is not None and nobody != self._said:
            log.warning(_REASONS[nobody], extra=fields(see="docs/alerting.md"))
        self._said = nobody


async def _count(client: Client, job: str) -> int | None:
    """Return how many ways an Alertmanager has to tell people; None: not known."""
    try:
        return count_ways(await client.configuration(), job)
    except Unavailable:
        return None


@lru_cache(maxsize=8)  # it is the same each minute, and to read YAML of this size holds the loop up for 0.1 s
def count_ways(configuration: str, job: str = "") -> int | None:
    """Return how many integrations the receivers for people have; None: this is no configuration of Alertmanager.

    `job`: the one that our alerts bear, where they bear one.
    """
    found = _integrations(configuration, job)
    return None if found is None else len(found)


def integrations(configuration: str, job: str = "") -> set[str]:
    """Return the kinds of integrations that the receivers for people have, as Alertmanager's metrics call them."""
    return set(_integrations(configuration, job) or ())


def _integrations(configuration: str, job: str) -> list[str] | None:
    try:
        document: Any = parse_yaml(configuration)
        receivers = [one for one in _ours(document["receivers"], job) if _is_for_people(one["name"])]
        lists = ((key, ways) for one in receivers for key, ways in one.items() if key.endswith("_configs"))
        return [key.removesuffix("_configs") for key, ways in lists for _ in ways]
    except (BadYaml, TypeError, KeyError):
        return None


def _is_for_people(name: str) -> bool:
    last = name.rpartition("/")[2]
    return last not in FOR_PROGRAMS and not last.endswith(ONCE)


def _ours(receivers: list[dict[str, Any]], job: str) -> list[dict[str, Any]]:
    """Return the receivers of our routes where they stand among those of somebody else, all of them elsewhere.

    Beside others they have a job or, by the Prometheus operator, namespace and object in front of their names. Where
    some have our own job there, those of other fleets are none of ours.
    """
    fronts = {_front(one["name"]) for one in receivers if one["name"].endswith(f"/{USUAL}")}
    if job and any(_front(one["name"]) == job for one in receivers):
        fronts = {job}
    return [one for one in receivers if not fronts or _front(one["name"]) in fronts]


def _front(name: str) -> str:
    return name.rpartition("/")[0]
