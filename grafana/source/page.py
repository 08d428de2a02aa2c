"""A dashboard in one language: variables, links, annotations, and panels placed from left to right, row by row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from grafana_foundation_sdk.builders import dashboard as dashboards
from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    GridPos,
    VariableHide,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from exporter import conventions as c
from grafana.source import queries as q
from grafana.source.translation import translator

if TYPE_CHECKING:
    from collections.abc import Callable

    from grafana_foundation_sdk.models.dashboard import Dashboard

    from grafana.source.panels import Panel, Say

    Variable = dashboards.QueryVariable | dashboards.TextBoxVariable

WIDTH: Final = 24
TAG: Final = "device-exporter"
SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
NAMES: Final = ("fleet-overview", "device", "slo", "incidents", "exporter-health")


CHOICE: Final = 500
"""The most devices of a choice."""
EXPORTER: Final = "http://localhost:9877"
"""Where the exporter's pages are; a stack puts its own address here."""


def uid(name: str, language: str) -> str:
    """Return the stable identifier of a dashboard: links and bookmarks hold it."""
    return f"devices-{name}" if language == "en" else f"devices-{name}-{language}"


class Page:
    """Collects what one dashboard consists of."""

    def __init__(self, name: str, language: str, title: str, about: str, *, start: str, refresh: str = "1m") -> None:
        self.language = language
        self.say = translator(language)
        self._number = 0
        self._x = self._y = self._height = 0
        builder = dashboards.Dashboard(self.say(title)).uid(uid(name, language)).description(self.say(about))
        builder = builder.tags([TAG, language]).timezone("").editable().refresh(refresh).time(start, "now")
        self.builder = builder.tooltip(DashboardCursorSync.CROSSHAIR).with_variable(_source())
        self.builder = self.builder.link(self._others()).link(self._incidents())

    def _others(self) -> dashboards.DashboardLink:
        link = dashboards.DashboardLink(self.say("Dashboards")).type(DashboardLinkType.DASHBOARDS)
        return link.tags([TAG, self.language]).as_dropdown(True).include_vars(True).keep_time(True)

    def _incidents(self) -> dashboards.DashboardLink:
        link = dashboards.DashboardLink(self.say("Incidents")).type(DashboardLinkType.LINK)
        return link.url(f"{EXPORTER}/incidents").icon("bolt").target_blank(True)

    def choose(self, *makers: Callable[[Say], Variable]) -> None:
        """Add variables, each by its maker, in the order in which they narrow the choice."""
        for make in makers:
            self.builder = self.builder.with_variable(make(self.say))

    def annotate(self, title: str, expr: str, color: str, text: str) -> None:
        """Mark on all graphs when `expr` returned something other than 0."""
        query = prometheus.Dataquery().expr(expr).ref_id("Anno").interval("60s").range().datasource(SOURCE)
        found = dashboards.AnnotationQuery().name(self.say(title)).datasource(SOURCE).enable(True).hide(False)
        found = found.icon_color(color).target(query).title_format(self.say(title)).text_format(text)
        self.builder = self.builder.annotation(found)

    def row(self, title: str, *panels: Panel) -> None:
        """Begin a row with a heading, then place its panels."""
        self._next_line()
        heading = dashboards.Row(self.say(title)).id(self._next_number())
        self.builder = self.builder.with_row(heading.grid_pos(GridPos(h=1, w=WIDTH, x=0, y=self._y)))
        self._y += 1
        for panel in panels:
            self._place(panel)

    def build(self) -> Dashboard:
        """Return the finished dashboard."""
        return self.builder.build()

    def _place(self, panel: Panel) -> None:
        width, height = panel.size
        if self._x + width > WIDTH:
            self._next_line()
        place = GridPos(h=height, w=width, x=self._x, y=self._y)
        self.builder = self.builder.with_panel(panel.build(self.say, self._next_number(), place))
        self._x, self._height = self._x + width, max(self._height, height)

    def _next_line(self) -> None:
        self._x, self._y, self._height = 0, self._y + self._height, 0

    def _next_number(self) -> int:
        self._number += 1
        return self._number


# Variables ---------------------------------------------------------------------------------------------------
def _source() -> dashboards.DatasourceVariable:
    return (
        dashboards.DatasourceVariable("datasource")
        .label("Prometheus")
        .type("prometheus")
        .hide(VariableHide.HIDE_VARIABLE)
    )


def _everything() -> VariableOption:
    return VariableOption(text="All", value="$__all", selected=True)


def choice(name: str, label: str, query: str, regex: str = "", *, all_of_them: bool = True) -> dashboards.QueryVariable:
    """Return a variable whose values come from Prometheus; with `all_of_them` several may be chosen, all at first."""
    variable = dashboards.QueryVariable(name).label(label).datasource(SOURCE).query(query).regex(regex)
    variable = variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(
        VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC
    )
    if not all_of_them:
        return variable.multi(False).include_all(False)
    return variable.multi(True).include_all(True).all_value(".*").current(_everything())


def _by_name(what: str) -> str:
    """Return what finds the id and the name in `{what="NAME",what_id="ID"} 1 2`, whatever is in them.

    Grafana writes labels in the order of their names and quotes nothing.
    """
    return f'/^\\{{{what}="(?<text>.*)",{what}_id="(?<value>.*)"\\}} [^ ]+ [^ ]+$/'


def business(say: Say) -> dashboards.QueryVariable:
    named = q.called(q.BUSINESSES, "business")
    query = f"query_result(max by (business, business_id) ({named}))"
    return choice("business", say("Business"), query, _by_name("business"))


def engine(say: Say) -> dashboards.QueryVariable:
    return choice("engine", say("Engine"), "label_values(engine:fleet_devices:sum, engine)")


def find(say: Say) -> dashboards.TextBoxVariable:
    """Part of a device's name, or its id: of a large fleet the choice holds no more than some."""
    return dashboards.TextBoxVariable("find").label(say("Find")).default_value("")


def device(say: Say) -> dashboards.QueryVariable:
    """What is down first, the longest first; then the others as they are found, CHOICE at most."""
    part, by = "device_name=~`(?i).*${find:regex}.*`", "by (device, device_id)"
    down = f"topk({CHOICE}, time() - {c.DEVICE_DOWN_SINCE}{{{q.SELECTED}, {part}}}) + 2"
    known = f"topk({CHOICE}, {c.DEVICE_INFO}{{{q.SELECTED}, {part}}})"
    same = f"{c.DEVICE_INFO}{{device_id=`$find`}} + 1e9"
    found = f"max {by} ({q.called(f'({same} or on (device_id) {down} or on (device_id) {known})', 'device')})"
    made = choice(
        "device", say("Device"), f"query_result(topk({CHOICE}, {found}))", _by_name("device"), all_of_them=False
    )
    return made.sort(VariableSort.DISABLED)


def channel(_: Say) -> dashboards.QueryVariable:
    """The device's channel, not shown: a query for one channel need not look at all."""
    query = f'label_values({c.DEVICE_UP}{{device_id="$device"}}, channel_id)'
    return choice("channel", "channel", query, all_of_them=False).hide(VariableHide.HIDE_VARIABLE)


def instance(say: Say) -> dashboards.QueryVariable:
    return choice("instance", say("Exporter"), "label_values(device_exporter_build_info, instance)")


def runbook(say: Say) -> dashboards.TextBoxVariable:
    """Where docs/runbook.md is published; alerts link to its headings."""
    return dashboards.TextBoxVariable("runbook").label(say("Runbook")).default_value("docs/runbook.md")


def to_device(language: str) -> tuple[str, str]:
    """Return the link from a row with a device to the device's dashboard."""
    chosen = "var-find=${__data.fields.device_id}&var-device=${__data.fields.device_id}"
    query = f"{chosen}&var-business=All&var-engine=All&${{__url_time_range}}"
    return ("Open the device", f"/d/{uid('device', language)}?{query}")


def to_incidents() -> tuple[str, str]:
    """Return the link from a row with a device to its incidents on the exporter's pages."""
    return ("Open its incidents", f"{EXPORTER}/incidents?device_id=${{__data.fields.device_id:percentencode}}")
