"""The SLO rules: what `prometheus/rules/slo.yml` says, and how its series are called.

`python -m prometheus.slo_rules` writes the file; it is committed, and a test holds it equal to this module.

Method (docs/slo.md compares it with the alternatives): the exporter's sums are exact and survive restarts, so what
happened in a window is the sum at its end minus the sum at its start. They are the sums as known at that time: a late
event that takes an outage away lowers them, and the budget has it back. Differences of short windows add up to that
of a long one without a remainder; a missed scrape or a restart inside the window costs nothing. Every series is per
engine and business or coarser: no rule reads a device. Long windows change slowly and cost most, so they have a group
of their own with a longer interval.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from exporter.conventions import (
    FLEET_DEVICES,
    FLEET_DOWNTIME_KNOWN,
    FLEET_OBSERVED_KNOWN,
    POLICY_OBJECTIVE,
    SELF_PREFIX,
)

RULES_FILE: Final = Path(__file__).parent / "rules" / "slo.yml"
PERIOD: Final = "30d"
"""The rolling period for which the objective holds."""
BRIDGE: Final = "5m"
"""How old the newest scrape may be, at either end of a window, before the window has no such end."""


INTERVAL: Final = "30s"
LONG_INTERVAL: Final = "4m"
"""Of the long windows. Below 5 minutes: a series that is written every 5 is gone while its next value is computed."""
SPARSE_INTERVAL: Final = "1h"
"""Of the copies that stand for the start of a long window where that is not known."""


class Window(NamedTuple):
    """A window by its name in series, and its seconds."""

    name: str
    seconds: int


SHORT_WINDOWS: Final = (
    Window("5m", 300), Window("30m", 1800), Window("1h", 3600), Window("2h", 7200), Window("6h", 21600),
)  # fmt: skip
LONG_WINDOWS: Final = (Window("1d", 86400), Window("3d", 259200), Window("30d", 2592000))
WINDOWS: Final = (*SHORT_WINDOWS, *LONG_WINDOWS)
SECONDS: Final = {window.name: window.seconds for window in WINDOWS}


class Burn(NamedTuple):
    """One row of the workbook's table: alert where both windows burn the budget `factor` times too fast."""

    factor: str
    long: str
    short: str


FAST: Final = (Burn("14.4", "1h", "5m"), Burn("6", "6h", "30m"))
SLOW: Final = (Burn("3", "1d", "2h"), Burn("1", "3d", "6h"))

GROUP: Final = "by (engine, business_id)"
OBJECTIVE: Final = f"engine:{POLICY_OBJECTIVE}:max"


class Sum(NamedTuple):
    """A sum of the exporter per engine and business: its metric, its newest value, and a sparse copy for long looks."""

    metric: str
    newest: str
    sparse: str


def _sum(metric: str) -> Sum:
    return Sum(metric, f"engine_business:{metric}:max", f"engine_business:{metric}:max{SPARSE_INTERVAL}")


DOWN: Final = _sum(FLEET_DOWNTIME_KNOWN)
OBSERVED: Final = _sum(FLEET_OBSERVED_KNOWN)


# Recorded by devices.yml
TOLD: Final = "engine_business:device_alerts_told:sum"
"""How many devices of a group people were told of."""
MASS_OUTAGE: Final = "engine:fleet_mass_outage:count"
"""There, with the number of devices that are down, while a mass outage lasts."""


# Names of the recorded series --------------------------------------------------------------------------------
def downtime(window: str) -> str:
    """Return the series with the seconds of downtime in a window, per engine and business."""
    return f"engine_business:fleet_downtime_seconds:increase{window}"


def observed(window: str) -> str:
    """Return the series with the observed device-seconds in a window, per engine and business."""
    return f"engine_business:fleet_observed_seconds:increase{window}"


def availability(level: str, window: str) -> str:
    """Return the series with the availability, 0..1; `level` is engine_business, engine or fleet."""
    return f"{level}:fleet_availability:ratio_increase{window}"


def burn(level: str, window: str) -> str:
    """Return the series with the burn rate: 1 uses up the budget in exactly one period. `level`: not fleet."""
    return f"{level}:fleet_error_budget_burn:ratio_increase{window}"


def budget_remaining(level: str) -> str:
    """Return the series with the share of the period's budget that is left: 1 all of it, below 0 overdrawn."""
    return f"{level}:fleet_error_budget_remaining:ratio"


# Expressions -------------------------------------------------------------------------------------------------
def watched(window: str, at: str = "") -> str:
    """Return 1 or more if an exporter was scraped (or its history filled in) at the window's start, else nothing.

    An exporter answers a scrape only when it knows its whole fleet, and `backfill` writes the policy with everything.
    """
    back = f"[{BRIDGE}] offset {window}{at}"
    scraped, filled = f"{SELF_PREFIX}_build_info{back}", f"{POLICY_OBJECTIVE}{back}"
    return f"(count(last_over_time({scraped})) or count(last_over_time({filled})))"


def _start(of: Sum, window: Window) -> str:
    """Return the sum at the window's start: as scraped then, or 0 for a group that came later.

    Where that is not known, and where a correction has lowered the sum since, the least recorded within the window:
    what came after the correction counts, whatever it took away.
    """
    least = f"min_over_time({of.newest}[{window.name}])"
    if window in LONG_WINDOWS:
        least = f"(min_over_time({of.sparse}[{window.name}]) or {of.newest})"
    return (
        f"    (\n"
        f"        max {GROUP} (last_over_time({of.metric}[{BRIDGE}] offset {window.name}))\n"
        f"      or\n"
        f"        0 * {of.newest} and on () {watched(window.name)}\n"
        f"    ) < {least}\n"
        f"  or\n"
        f"    {least}"
    )


def _increases(window: Window, shorter: Window | None) -> list[dict[str, Any]]:
    """Observed time comes first: it tells whether the window's start is usable; if not, the shorter window serves."""
    seen, down = (f"{of.newest} - (\n{_start(of, window)}\n)" for of in (OBSERVED, DOWN))
    if shorter is not None:
        seen = f"({seen})\n>= {observed(shorter.name)}\nor {observed(shorter.name)}"
        down = f"({down})\nand {observed(window.name)} > {observed(shorter.name)}\nor {downtime(shorter.name)}"
    return [_record(observed(window.name), seen), _record(downtime(window.name), down)]


def _ratios(window: Window) -> list[dict[str, Any]]:
    name, rules = window.name, []
    for level, sums in (("engine_business", ""), ("engine", "sum by (engine) "), ("fleet", "sum ")):
        down, seen = (f"{sums}({series(name)})" if sums else series(name) for series in (downtime, observed))
        rules.append(_record(availability(level, name), f"clamp_min(1 - {down} / ({seen} > 0), 0)"))
        if level != "fleet":
            allowed = f"clamp_min({observed(name)}, {window.seconds})"  # an engine's: the sum of its businesses'
            burnt = (
                f"{down} / {f'{sums}({allowed})' if sums else allowed}\n/ on (engine) group_left () (1 - {OBJECTIVE})"
            )
            rules.append(_record(burn(level, name), burnt))
    return rules


def _record(record: str, expr: str) -> dict[str, Any]:
    return {"record": record, "expr": expr}


def _windows(windows: tuple[Window, ...]) -> list[dict[str, Any]]:
    rules = []
    for shorter, window in zip((None, *WINDOWS), WINDOWS, strict=False):
        if window in windows:
            rules += _increases(window, shorter) + _ratios(window)
    return rules


def _alert(name: str, expr: str, severity: str, **texts: str) -> dict[str, Any]:
    annotations = {**texts, "runbook_url": f"docs/runbook.md#{name.lower()}"}
    return {"alert": name, "expr": expr, "labels": {"severity": severity}, "annotations": annotations}


def _burns(rows: tuple[Burn, ...], *, more_than_one: bool = False) -> str:
    """Return where both windows burn; with `more_than_one` only where a single device could not have done it alone."""

    def both(row: Burn) -> str:
        one, other = (f"{burn('engine_business', window)} > {row.factor}" for window in (row.long, row.short))
        least = f"\n  and {downtime(row.long)} > {SECONDS[row.long]}" if more_than_one else ""
        return f"({one}\n  and {other}{least})"

    return "\nor\n".join(both(row) for row in rows)


def _pages() -> str:
    """Page what nobody was told of otherwise, and goes on.

    One device that is down is DeviceDown's to tell, a mass outage EngineOutage's; the windows go on burning for up to
    30 minutes after their end. What a late event adds to the past never shows among the devices that are down.
    """
    return (
        f"(\n{_burns(FAST, more_than_one=True)}\n)\n"
        f'and on (engine, business_id) max_over_time({FLEET_DEVICES}{{state="down"}}[5m]) > 0\n'
        f"unless on (engine, business_id) max_over_time({TOLD}[35m]) > 0\n"
        f"unless on (engine) max_over_time({MASS_OUTAGE}[35m]) > 0"
    )


# Texts -------------------------------------------------------------------------------------------------------
_ENGINE: Final = '{{ if eq $labels.engine "wa" }}WhatsApp{{ else }}{{ $labels.engine | title }}{{ end }}'
_BUSINESS: Final = (
    '{{ $name := $labels.business_id }}{{ range printf "topk(1, device_info{business_id=%q})" $labels.business_id '
    "| query }}{{ $name = or .Labels.business_name $name }}{{ end }}{{ $name }}"
)
_WHO: Final = f"{_BUSINESS} ({_ENGINE})"
_SPAN: Final = (
    'humanizeDuration | reReplaceAll "\\\\.\\\\d+" "" | reReplaceAll "^(\\\\d+d \\\\d+h).*" "$1" '
    '| reReplaceAll "^(\\\\d+h \\\\d+m).*" "$1" | reReplaceAll " 0\\\\w$" ""'
)
_SPANS: Final = {
    "en": (("d", "d"), ("h", "h"), ("m", "min"), ("s", "s")),
    "id": (("d", "hari"), ("h", "jam"), ("m", "menit"), ("s", "detik")),
}


def _duration(language: str) -> str:
    """Return what writes seconds as the two largest units, in a language's words."""
    words = " ".join(f'| reReplaceAll "(\\\\d+){unit}" "$1 {word}"' for unit, word in _SPANS[language])
    return f"{_SPAN} {words}"


def _asked(expr: str, then: str, otherwise: str = "") -> str:
    """Return what writes the value of a query about the group, piped through `then`; `otherwise` where it has none.

    `%[1]q` and `%[2]q` in the query are the engine and the business, `%[3]f` is the alert's value.
    """
    asked = f'with printf "{expr}" $labels.engine $labels.business_id $value | query'
    return f"{{{{ {asked} }}}}{{{{ . | first | value | {then} }}}}{{{{ else }}}}{otherwise}{{{{ end }}}}"


_OF: Final = "{engine=%[1]q, business_id=%[2]q}"
_LEFT: Final = f"{budget_remaining('engine_business')}{_OF}"
_ALLOWED: Final = (
    f"clamp_min({observed(PERIOD)}{_OF}, {SECONDS[PERIOD]}) "
    f"* on (engine) group_left () (1 - {OBJECTIVE}{{engine=%[1]q}})"
)
_DAYS_LEFT: Final = f"(({_LEFT} > 0) * {SECONDS[PERIOD]} / %[3]f)"
_SECONDS_LEFT: Final = f"(({_LEFT} > 0) * on (engine, business_id) ({_ALLOWED}))"
_UNUSED: Final = " + 0 * %[3]f"  # Go complains of arguments that a format does not use


def _objective(language: str) -> str:
    decimals = ' | reReplaceAll "\\\\." "," | reReplaceAll "%" " %"' if language == "id" else ' | reReplaceAll "%" " %"'
    asked = f'with printf "{OBJECTIVE}{{engine=%q}}" $labels.engine | query'
    return f"{{{{ {asked} }}}}{{{{ . | first | value | humanizePercentage{decimals} }}}}{{{{ end }}}}"


def _rate(language: str) -> tuple[str, str]:
    """Return (headline, sentence): when the month's allowance is gone at this rate, and what is left of it."""
    gone = _asked(_DAYS_LEFT, _duration(language), "\0")
    left = _asked(_SECONDS_LEFT + _UNUSED, _duration(language), "\0")
    if language == "en":
        return (
            _either(
                gone,
                "this month's allowance for downtime is gone in {} at this rate",
                "this month's allowance for downtime is used up, and it goes on",
            ),
            _either(
                left,
                "{} of downtime are left of what the objective of "
                + _objective("en")
                + " allows all its devices together in 30 days.",
                "More than the objective of " + _objective("en") + " allows in 30 days.",
            ),
        )
    return (
        _either(
            gone,
            "jatah gangguan 30 hari habis dalam {} kalau begini terus",
            "jatah gangguan 30 hari sudah habis, dan masih berlanjut",
        ),
        _either(
            left,
            "Sisa jatah gangguan {} untuk semua perangkatnya dalam 30 hari, menurut target " + _objective("id") + ".",
            "Sudah lebih dari yang diizinkan target " + _objective("id") + " dalam 30 hari.",
        ),
    )


def _either(asked: str, text: str, otherwise: str) -> str:
    """Return a text around what was asked, or another one where it has no value."""
    before, after = text.split("{}", 1)
    start, value = asked.split("}}", 1)
    return f"{start}}}}}{before}{value}".replace("{{ else }}\0", f"{after}{{{{ else }}}}{otherwise}")


def _alerts() -> list[dict[str, Any]]:
    (rate, left), (rate_id, left_id) = _rate("en"), _rate("id")
    return [
        _alert(
            "ErrorBudgetBurnFast",
            _pages(),
            "critical",
            summary=f"{_WHO}: {rate}",
            summary_id=f"{_WHO}: {rate_id}",
            description=f"Short outages of several devices, of which nobody was told one by one, add up. {left}",
            description_id="Gangguan singkat beberapa perangkat, yang tidak dikabarkan satu per satu, menumpuk. "
            f"{left_id}",
            action="Look at its dashboard for the devices that go down again and again, then call the business.",
            action_id="Lihat di dasbor perangkat mana yang berulang kali terputus, lalu hubungi bisnisnya.",
        ),
        _alert(
            "ErrorBudgetBurnSlow",
            f"(\n{_burns(SLOW)}\n)\n"
            f"unless on (engine) max_over_time({MASS_OUTAGE}[6h]) > 0\n"
            f"unless on (engine, business_id) (\n"
            f"  sum by (engine, business_id) (max by (engine, business_id, state) ({FLEET_DEVICES})) == 1\n"
            f"    and on (engine, business_id) max_over_time({TOLD}[1d]) > 0\n)",
            "warning",
            summary=f"{_WHO}: {rate}",
            summary_id=f"{_WHO}: {rate_id}",
            description=f"Outages of the last days add up. {left}",
            description_id=f"Gangguan beberapa hari terakhir menumpuk. {left_id}",
            action="Find out with the business what its outages have in common: phone, power, network, time of day.",
            action_id="Cari bersama bisnisnya apa kesamaan gangguannya: ponsel, listrik, jaringan, jam.",
        ),
        _alert(
            "ErrorBudgetExhausted",
            f"{budget_remaining('engine_business')} <= 0",
            "warning",
            summary=f"{_WHO}: this month's allowance for downtime is used up",
            summary_id=f"{_WHO}: jatah gangguan 30 hari sudah habis",
            description="Its devices were down for longer within the last 30 days than the objective of "
            f"{_objective('en')} allows.",
            description_id="Dalam 30 hari terakhir perangkatnya terputus lebih lama daripada yang diizinkan target "
            f"{_objective('id')}.",
            action="Tell the business before it asks, and agree on what will change.",
            action_id="Beri tahu bisnisnya sebelum mereka bertanya, dan sepakati apa yang akan diperbaiki.",
        ),
    ]


def groups() -> list[dict[str, Any]]:
    """Return the rule groups. In each, rules are evaluated in order and at one time, each after those that it reads."""
    newest = [
        _record(OBJECTIVE, f"max by (engine) (last_over_time({POLICY_OBJECTIVE}[{BRIDGE}]))"),
        *(_record(of.newest, f"max {GROUP} (last_over_time({of.metric}[{BRIDGE}]))") for of in (OBSERVED, DOWN)),
    ]
    sparse = [_record(of.sparse, of.newest) for of in (OBSERVED, DOWN)]
    left = [_record(budget_remaining(level), f"1 - {burn(level, PERIOD)}") for level in ("engine_business", "engine")]
    fast, *slow = _alerts()
    return [
        {"name": "slo", "interval": INTERVAL, "rules": [*newest, *_windows(SHORT_WINDOWS), fast]},
        {"name": "slo_sparse", "interval": SPARSE_INTERVAL, "rules": sparse},
        {"name": "slo_long", "interval": LONG_INTERVAL, "rules": [*_windows(LONG_WINDOWS), *left, *slow]},
    ]


# Output ------------------------------------------------------------------------------------------------------
_HEADER: Final = """\
# Written by `python -m prometheus.slo_rules`; change that module, not this file. docs/slo.md explains it.
# Nothing here names an objective: it comes from the policy file as the metric policy_slo_objective_ratio.
"""


class _Dumper(yaml.SafeDumper):
    """Writes expressions of several lines as blocks, as people do."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def render() -> str:
    """Return the text of the rules file."""
    return _HEADER + yaml.dump({"groups": groups()}, Dumper=_Dumper, sort_keys=False, width=10_000, allow_unicode=True)


if __name__ == "__main__":
    RULES_FILE.write_text(render(), encoding="utf-8")
