"""What a feature is: a part beside the recording of events, with a name and whichever of these members it has.

A feature is an object in its own room (`impact/feature.py`, …) that has never heard of this module. At its construction
it subscribes to what it wants to hear; the exporter asks every feature for the rest, in one loop for each member.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiohttp import web

    from exporter.config import Config
    from exporter.journal.port import Piece
    from exporter.lib.tasks import Task
    from exporter.metrics.gauges import Gauge
    from exporter.web.operations import Operation


class Feature(Protocol):
    """Every feature."""

    @property
    def name(self) -> str:
        """What it is called in logs."""


@runtime_checkable
class Keeps(Protocol):
    """Has tables of its own in the journal; failures to use them are counted under the piece's name."""

    @property
    def piece(self) -> Piece:
        """Its part of the schema."""


@runtime_checkable
class Starts(Protocol):
    """Must be made ready once the journal is loaded."""

    async def start(self) -> None:
        """Load what was known. JournalUnavailable if it cannot be read: the exporter does not start."""


@runtime_checkable
class Leads(Protocol):
    """Keeps in memory what only the exporter that leads may change."""

    async def lead(self) -> None:
        """Load what another leader left; before the tasks of this one. JournalUnavailable: it is called again."""


@runtime_checkable
class Works(Protocol):
    """Does something by itself."""

    def tasks(self) -> Iterable[Task]:
        """Return what to run, from when every feature has started."""


@runtime_checkable
class Measures(Protocol):
    """Shows gauges in the exposition."""

    def gauges(self) -> Iterable[Gauge]:
        """Return what is asked for its values at each scrape."""


@runtime_checkable
class Answers(Protocol):
    """Adds to the API."""

    def operations(self) -> Iterable[Operation]:
        """Return what is described in the OpenAPI document, too."""


@runtime_checkable
class Draws(Protocol):
    """Has pages for people."""

    def routes(self) -> Iterable[web.RouteDef]:
        """Return the pages."""


@runtime_checkable
class Publishes(Protocol):
    """Has pages for people outside, on the pages listener."""

    def outside(self) -> Iterable[web.RouteDef]:
        """Return the routes, below `/a/` or `/s/` but for pages with a host of their own; see `exporter.web.pages`."""


@runtime_checkable
class Reloads(Protocol):
    """Keeps something that depends on the configuration."""

    async def reload(self, config: Config, /) -> None:
        """Take a new configuration into use; must not raise."""


@runtime_checkable
class Stops(Protocol):
    """Has something to finish."""

    async def stop(self) -> None:
        """Finish, once its tasks have ended. JournalUnavailable: the rest stops all the same."""


MEMBERS = (Keeps, Starts, Leads, Works, Measures, Answers, Draws, Publishes, Reloads, Stops)
