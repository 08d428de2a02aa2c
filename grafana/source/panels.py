"""Panel constructors: each takes what distinguishes a panel and fills in what all panels of its kind share.

A text given here is English; the page translates it. Every panel must have a unit and a description.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from grafana_foundation_sdk.builders import (
    common,
    prometheus,
    statetimeline,
    timeseries,
)
from grafana_foundation_sdk.builders import (
    dashboard as dashboards,
)
from grafana_foundation_sdk.builders import (
    heatmap as heatmaps,
)
from grafana_foundation_sdk.builders import (
    stat as stats,
)
from grafana_foundation_sdk.builders import (
    table as tables,
)
from grafana_foundation_sdk.builders import (
    text as texts,
)
from grafana_foundation_sdk.cog import builder as cogbuilder
from grafana_foundation_sdk.cog import variants
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    DynamicConfigValue,
    FieldColorModeId,
    GridPos,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode, HeatmapColorScale
from grafana_foundation_sdk.models.prometheus import PromQueryFormat, QueryEditorMode

from exporter.lib.words import ENGINE_NAMES

Say = Callable[[str], str]
"""Translates a text."""
Steps = Sequence[tuple[float | None, str]]
"""Thresholds: from which value on which colour; None begins."""
Named = Mapping[str, tuple[str, str]]
"""Names of values: value to (text, colour or nothing)."""
Builder = stats.Panel | timeseries.Panel | statetimeline.Panel | heatmaps.Panel | tables.Panel | texts.Panel
Target = cogbuilder.Builder[variants.Dataquery]
Kind = TypeVar("Kind", stats.Panel, timeseries.Panel, statetimeline.Panel, heatmaps.Panel, tables.Panel)

SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
GOOD, WARN, BAD, CALM, MUTED = "green", "orange", "red", "blue", "text"

IDLE: Final = "#6b7280"
NEUTRAL: Final = ((None, MUTED),)
ANY_IS_BAD: Final = ((None, IDLE), (0, GOOD), (1, BAD))
"""Unknown is grey, never green."""
ANY_IS_ODD: Final = ((None, IDLE), (0, GOOD), (1, WARN))
BUDGET: Final = ((None, IDLE), (-1e9, BAD), (0, WARN), (0.25, GOOD))
"""A budget left: none is bad, less than a quarter is a warning. It is relative to the policy's objective by itself."""
RESULTS: Final = {"/(^| )(ok|sent|accepted)$/": GOOD, "/(^| )(error|failed|timeout|invalid_url|unavailable)$/": BAD}
"""Series that end in the name of a result say by their colour whether it is a good one."""
BURN: Final = ((None, GOOD), (1, WARN), (6, BAD))
ENGINE_COLORS: Final = {
    "wa": "#5794f2",
    "telegram": "#b877d9",
    "slack": "#ff9830",
    "intercom": "#8ab8ff",
    "instagram": "#fade2a",
    "facebook": "#3274d9",
}
"""Each engine has one colour on all dashboards; green and red are for good and bad."""
ENGINES: Final[Named] = {engine: (name, "") for engine, name in ENGINE_NAMES.items()}

DURATION: Final = "dtdhms"  # days, then hours, minutes and seconds as a clock: the same in every language
HOURS, MINUTES = "suffix:h", "suffix:min"
PER_SECOND, PER_MINUTE = "suffix:/s", "suffix:/min"


@dataclass(frozen=True)
class Query:
    """One query of a panel. `color` fixes the colour of what it returns; `step` is its least step."""

    expr: str
    legend: str = ""
    color: str = ""
    step: str = ""
    dashed: bool = False


@dataclass(frozen=True)
class Panel:
    """A panel that still lacks its language and place: `make` gives its builder, `size` its columns and rows."""

    title: str
    size: tuple[int, int]
    make: Callable[[Say], Builder] = field(repr=False)

    def build(self, say: Say, number: int, place: GridPos) -> Builder:
        return self.make(say).id(number).title(say(self.title)).grid_pos(place)


def steps_of(steps: Steps) -> dashboards.ThresholdsConfig:
    found = [Threshold(value=value, color=color) for value, color in steps]
    return dashboards.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(found)


def _fixed(color: str) -> DynamicConfigValue:
    return DynamicConfigValue("color", {"mode": "fixed", "fixedColor": color})


def color_by(mode: FieldColorModeId, fixed: str = "") -> dashboards.FieldColor:
    builder = dashboards.FieldColor().mode(mode)
    return builder.fixed_color(fixed) if fixed else builder


def mapped(say: Say, mapping: Named) -> list[ValueMapping]:
    results = {
        value: ValueMappingResult(
            text=text if text in ENGINE_NAMES.values() else say(text), color=color or None, index=index
        )
        for index, (value, (text, color)) in enumerate(mapping.items())
    }
    return [ValueMap(options=results)]


def targets(say: Say, queries: Sequence[Query], *, instant: bool, shape: PromQueryFormat | None = None) -> list[Target]:
    found: list[Target] = []
    for ref, query in zip("ABCDEFGHIJ", queries, strict=False):
        target = (
            prometheus.Dataquery().expr(query.expr).ref_id(ref).datasource(SOURCE).editor_mode(QueryEditorMode.CODE)
        )
        target = target.instant() if instant else target.range()
        if shape:
            target = target.format(shape)
        if query.step:
            target = target.interval(query.step)
        words = re.sub(r"{{\w+}}", "", query.legend).strip(" -/·:()")  # what is left of it when the labels are out
        legend = say(query.legend) if words else query.legend
        found.append(target.legend_format(legend or "__auto"))
    return found


def shared_parts(builder: Kind, say: Say, about: str, unit: str, empty: str) -> Kind:
    return builder.description(say(about)).datasource(SOURCE).unit(said_unit(say, unit)).no_value(say(empty))


def said_unit(say: Say, unit: str) -> str:
    """Return a unit in the language; Grafana's own are the same in all."""
    return say(unit) if unit.startswith("suffix:") else unit


def engines(builder: Kind, say: Say, queries: Sequence[Query]) -> Kind:
    """Call what is one engine's by its name, in its colour; a query that has a colour of its own keeps it."""
    legends = {query.legend: query for query in queries if "{{engine}}" in query.legend}
    for legend, query in legends.items():
        for engine, name in ENGINE_NAMES.items():
            shown = legend if legend == "{{engine}}" else say(legend)
            properties = [DynamicConfigValue("displayName", shown.replace("{{engine}}", name))]
            if not query.color:
                properties.append(_fixed(ENGINE_COLORS[engine]))
            builder = builder.override_by_name(shown.replace("{{engine}}", engine), properties)
    return builder


def _colored(builder: Kind, queries: Sequence[Query]) -> Kind:
    for ref, query in zip("ABCDEFGHIJ", queries, strict=False):
        properties = []
        if query.color:
            properties.append(_fixed(query.color))
        if query.dashed:
            properties += [
                DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [8, 8]}),
                DynamicConfigValue("custom.fillOpacity", 0),
                DynamicConfigValue("custom.stacking", {"mode": "none", "group": ref}),
            ]
        if properties:
            builder = builder.override_by_query(ref, properties)
    return builder


# Kinds of panels ---------------------------------------------------------------------------------------------
def stat(
    title: str,
    about: str,
    queries: Sequence[Query],
    unit: str,
    *,
    steps: Steps = NEUTRAL,
    empty: str = "No data yet",
    size: tuple[int, int] = (4, 4),
    decimals: int | None = None,
    mapping: Named | None = None,
    named: bool = False,
    background: bool = False,
) -> Panel:
    """One number a query, or one a series with `named`."""

    def make(say: Say) -> Builder:
        panel = shared_parts(stats.Panel(), say, about, unit, empty)
        panel = panel.targets(targets(say, queries, instant=True)).thresholds(steps_of(steps))
        panel = panel.color_scheme(color_by(FieldColorModeId.THRESHOLDS)).graph_mode(kinds.BigValueGraphMode.NONE)
        panel = panel.color_mode(
            kinds.BigValueColorMode.BACKGROUND_SOLID if background else kinds.BigValueColorMode.VALUE
        )
        panel = panel.text_mode(kinds.BigValueTextMode.VALUE_AND_NAME if named else kinds.BigValueTextMode.VALUE)
        panel = panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        panel = panel.wide_layout(False).justify_mode(kinds.BigValueJustifyMode.CENTER)
        if decimals is not None:
            panel = panel.decimals(decimals)
        if mapping:
            panel = panel.mappings(mapped(say, mapping))
        return engines(_colored(panel, queries), say, queries)

    return Panel(title, size, make)


def lines(
    title: str,
    about: str,
    queries: Sequence[Query],
    unit: str,
    *,
    size: tuple[int, int] = (12, 8),
    bars: bool = False,
    stacked: bool = False,
    empty: str = "No data yet",
    least: float | None = 0,
    most: float | None = None,
    decimals: int | None = None,
    marks: Steps | None = None,
    stepped: bool = False,
    points: bool = False,
    span: str = "",
    shade: str = "",
    most_points: int | None = None,
) -> Panel:
    """Values over time. `marks` are horizontal lines, `span` is an own time range, `shade` colours all series alike.

    `most_points` bounds what a query over all businesses costs.
    """

    def make(say: Say) -> Builder:
        panel = shared_parts(timeseries.Panel(), say, about, unit, empty).targets(targets(say, queries, instant=False))
        panel = panel.draw_style(kinds.GraphDrawStyle.BARS if bars else kinds.GraphDrawStyle.LINE)
        panel = panel.bar_alignment(kinds.BarAlignment.AFTER).bar_width_factor(0.7)
        panel = panel.fill_opacity(70 if bars else (25 if stacked else 0)).line_width(1 if bars else 2)
        shown = kinds.VisibilityMode.ALWAYS if points else kinds.VisibilityMode.NEVER
        colors = FieldColorModeId.SHADES if shade else FieldColorModeId.PALETTE_CLASSIC_BY_NAME
        panel = panel.show_points(shown).point_size(6).color_scheme(color_by(colors, shade))
        if stepped:
            panel = panel.line_interpolation(kinds.LineInterpolation.STEP_AFTER)
        panel = panel.time_from(span) if span else panel
        panel = panel.max_data_points(most_points) if most_points else panel
        if stacked:
            panel = panel.stacking(common.StackingConfig().mode(kinds.StackingMode.NORMAL).group("A"))
        if least is not None:
            panel = panel.axis_soft_min(least)
        if most is not None:
            panel = panel.axis_soft_max(most)
        if decimals is not None:
            panel = panel.decimals(decimals)
        if marks:
            style = common.GraphThresholdsStyleConfig().mode(kinds.GraphThresholdsStyleMode.DASHED)
            panel = panel.thresholds(steps_of(marks)).thresholds_style(style)
        else:
            panel = panel.thresholds(steps_of(((None, GOOD),)))
        legend = common.VizLegendOptions().show_legend(True).display_mode(kinds.LegendDisplayMode.LIST)
        panel = panel.legend(legend.placement(kinds.LegendPlacement.BOTTOM))
        tooltip = common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING)
        for results, color in RESULTS.items():
            panel = panel.override_by_regexp(results, [_fixed(color)])
        return engines(_colored(panel.tooltip(tooltip.hide_zeros(False)), queries), say, queries)

    return Panel(title, size, make)


def states(
    title: str,
    about: str,
    queries: Sequence[Query],
    mapping: Named,
    *,
    size: tuple[int, int] = (24, 8),
    empty: str = "No data yet",
) -> Panel:
    """One bar a series over time, named and coloured by `mapping`."""

    def make(say: Say) -> Builder:
        panel = shared_parts(statetimeline.Panel(), say, about, "none", empty).targets(
            targets(say, queries, instant=False)
        )
        panel = panel.mappings(mapped(say, mapping)).thresholds(steps_of(NEUTRAL))
        panel = panel.color_scheme(color_by(FieldColorModeId.FIXED, MUTED)).merge_values(True).max_data_points(240)
        panel = panel.show_value(kinds.VisibilityMode.NEVER).fill_opacity(80).line_width(0).row_height(0.85)
        shown = common.VizLegendOptions().show_legend(True).display_mode(kinds.LegendDisplayMode.LIST)
        return panel.legend(shown.placement(kinds.LegendPlacement.BOTTOM))

    return Panel(title, size, make)


def heatmap(
    title: str, about: str, query: Query, unit: str, *, size: tuple[int, int] = (12, 8), empty: str, span: str
) -> Panel:
    """Counts by bucket over time; the query returns a classic histogram's growth by `le`."""

    def make(say: Say) -> Builder:
        panel = shared_parts(heatmaps.Panel(), say, about, unit, empty)
        query_by_bucket = replace(query, legend="{{le}}")
        panel = panel.targets(targets(say, [query_by_bucket], instant=False, shape=PromQueryFormat.HEATMAP))
        panel = panel.calculate(False)
        color = heatmaps.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").steps(32)
        panel = panel.color(color.scale(HeatmapColorScale.EXPONENTIAL).exponent(0.5).reverse(False).fill("dark-orange"))
        panel = panel.time_from(span).cell_gap(2).show_legend().y_axis(heatmaps.YAxisConfig().unit("s"))
        panel = panel.cell_values(heatmaps.CellValues().unit(unit).decimals(0))
        panel = panel.filter_values(heatmaps.FilterValueRange().le(0.5))
        return panel.tooltip(heatmaps.HeatmapTooltip().mode(kinds.TooltipDisplayMode.SINGLE).y_histogram(False))

    return Panel(title, size, make)


def note(title: str, about: str, markdown: str, size: tuple[int, int] = (24, 4)) -> Panel:
    """Text that stands still."""

    def make(say: Say) -> Builder:
        return texts.Panel().description(say(about)).content(say(markdown)).unit("none")

    return Panel(title, size, make)
