"""Tables: rows from instant queries, with a column each for what is worth knowing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grafana_foundation_sdk.builders import common
from grafana_foundation_sdk.builders import table as tables
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig, DynamicConfigValue, FieldColorModeId
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from grafana.source.panels import (
    NEUTRAL,
    Builder,
    Named,
    Panel,
    Query,
    Say,
    Steps,
    color_by,
    mapped,
    said_unit,
    shared_parts,
    steps_of,
    targets,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Column:
    """One column of a table: the field that it shows, its title and its looks."""

    source: str
    title: str
    unit: str = "string"
    decimals: int | None = None
    steps: Steps | None = None
    mapping: Named | None = None
    link: tuple[str, str] | None = None
    width: int | None = None
    bar: tuple[float, float | None] | None = None
    """Draw the value as a bar, from a least to a most value (None: the largest of the column)."""


def ranking(
    title: str,
    about: str,
    query: Query,
    labels: Sequence[Column],
    value: Column,
    *,
    size: tuple[int, int] = (12, 8),
    empty: str,
    descending: bool = True,
) -> Panel:
    """Rows with a bar each, the largest (or smallest) first."""
    return table(title, about, [query], [*labels, value], size=size, empty=empty, sort=(value.title, descending))


def table(
    title: str,
    about: str,
    queries: Sequence[Query],
    columns: Sequence[Column],
    *,
    size: tuple[int, int] = (24, 8),
    empty: str,
    sort: tuple[str, bool] | Sequence[tuple[str, bool]],
    join: str = "",
) -> Panel:
    """Rows from instant queries: joined by one field, or merged by all that they share. `sort`: title, descending."""
    order_by = [sort] if isinstance(sort[0], str) else sort

    def make(say: Say) -> Builder:
        panel = shared_parts(tables.Panel(), say, about, "none", empty).max_data_points(50)
        panel = panel.targets(targets(say, queries, instant=True, shape=PromQueryFormat.TABLE)).filterable(False)
        panel = panel.cell_height(kinds.TableCellHeight.SM).show_header(True).thresholds(steps_of(NEUTRAL))
        panel = panel.color_scheme(color_by(FieldColorModeId.THRESHOLDS))
        if len(queries) > 1:
            how = ("joinByField", {"byField": join, "mode": "outer"}) if join else ("merge", {})
            panel = panel.with_transformation(DataTransformerConfig(id_val=how[0], options=how[1]))
        names = {column.source: say(column.title) for column in columns}
        chosen = {"include": {"names": list(names)}}
        panel = panel.with_transformation(DataTransformerConfig(id_val="filterFieldsByName", options=chosen))
        order = {"renameByName": names, "indexByName": {name: index for index, name in enumerate(names)}}
        panel = panel.with_transformation(DataTransformerConfig(id_val="organize", options=order))
        for column in columns:
            panel = panel.override_by_name(say(column.title), _looks(say, column))
        by = [common.TableSortByFieldState().display_name(say(name)).desc(desc) for name, desc in order_by]
        return panel.sort_by(by)

    return Panel(title, size, make)


def outages(title: str, about: str, query: Query, *, size: tuple[int, int], empty: str) -> Panel:
    """A row for each value of a query over time, which is when something began, in milliseconds."""

    def make(say: Say) -> Builder:
        panel = shared_parts(tables.Panel(), say, about, "none", empty).max_data_points(1000)
        panel = panel.targets(targets(say, [query], instant=False, shape=PromQueryFormat.TABLE)).filterable(False)
        panel = panel.cell_height(kinds.TableCellHeight.SM).show_header(True).thresholds(steps_of(NEUTRAL))
        fields = {
            "Value": {"operation": "groupby", "aggregations": []},
            "Time": {"operation": "aggregate", "aggregations": ["last"]},
        }
        panel = panel.with_transformation(DataTransformerConfig(id_val="groupBy", options={"fields": fields}))
        names = {"Value": say("Began"), "Time (last)": say("Over by")}
        order = {"renameByName": names, "indexByName": {name: index for index, name in enumerate(names)}}
        panel = panel.with_transformation(DataTransformerConfig(id_val="organize", options=order))
        for name in names.values():
            panel = panel.override_by_name(name, [DynamicConfigValue("unit", "dateTimeAsIso")])
        return panel.sort_by([common.TableSortByFieldState().display_name(say("Began")).desc(True)])

    return Panel(title, size, make)


def _looks(say: Say, column: Column) -> list[DynamicConfigValue]:
    found = [DynamicConfigValue("unit", said_unit(say, column.unit)), DynamicConfigValue("noValue", "-")]
    if column.decimals is not None:
        found.append(DynamicConfigValue("decimals", column.decimals))
    if column.width:
        found.append(DynamicConfigValue("custom.width", column.width))
    if column.mapping:
        found.append(DynamicConfigValue("mappings", mapped(say, column.mapping)))
    if column.steps:
        found.append(DynamicConfigValue("thresholds", steps_of(column.steps).build()))
    if column.bar:
        found.append(
            DynamicConfigValue("custom.cellOptions", {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"})
        )
        found.append(DynamicConfigValue("min", column.bar[0]))
        if column.bar[1] is not None:
            found.append(DynamicConfigValue("max", column.bar[1]))
    elif column.steps or (column.mapping and any(color for _, color in column.mapping.values())):
        found.append(DynamicConfigValue("custom.cellOptions", {"type": "color-text"}))
    if column.link:
        title, url = column.link
        found.append(DynamicConfigValue("links", [{"title": say(title), "url": url, "targetBlank": False}]))
    return found
