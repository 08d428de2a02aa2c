"""Exporter health: does it hear, does it keep, does it tell, and is it quick enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter import conventions as c
from grafana.source import exporter_queries as e
from grafana.source import page as pages
from grafana.source import panels as p
from grafana.source import shared
from grafana.source import tables as t

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

RELOADED = {"0": ("failed", "red"), "1": ("good", "green")}
SMALL = (3, 4)
REFUSED = (c.INVALID, c.UNAUTHORIZED, c.TOO_LARGE, c.QUARANTINED, c.OVERLOADED, c.UNAVAILABLE)


def make(language: str) -> Dashboard:
    """Return the dashboard."""
    about = "Whether the exporter hears the platform, keeps what it hears, tells Alertmanager and answers quickly."
    page = pages.Page("exporter-health", language, "Exporter health", about, start="now-6h")
    page.choose(pages.instance)
    page.annotate("Exporter blind", e.blind_now(), "orange", "")
    page.row("Now", *_numbers())
    page.row("Does it hear", _events(), _refused(), _requests(), _answers())
    page.row("Does it keep", _commits(), _batches(), _queue(), _failures())
    page.row("Does it tell", _pushes(), _latency(), _ways())
    page.row("Gateways", _gateways(), _states_read(), _reconnects(), _reasons(), _corrections(), _silent())
    page.row("Several exporters", _leading(), _behind(), _clocks())
    page.row("Is it quick enough", _scrapes(), _lag(), _tasks())
    page.row("What changes around it", _moves(), _fullness())
    return page.build()


def _numbers() -> list[p.Panel]:
    return [
        p.stat(
            "Exporters",
            "Exporters that Prometheus reaches, by version.",
            [p.Query(f"count by (version) ({e.of_the_instances('build_info')})", "{{version}}")],
            "short",
            named=True,
            steps=((None, p.BAD), (1, p.GOOD)),
            empty="No exporter answers",
            size=SMALL,
        ),
        shared.last_event(SMALL),
        shared.unknown_time(SMALL),
        p.stat(
            "Devices",
            "Devices in the metrics.",
            [p.Query(f"max({e.of_the_instances('devices')})")],
            "short",
            decimals=0,
            size=SMALL,
        ),
        p.stat(
            "Configuration",
            "Whether the last reload of the configuration succeeded; a bad file keeps the old one.",
            [p.Query(f"min({e.of_the_instances('config_last_reload_successful')})")],
            "none",
            mapping=RELOADED,
            size=SMALL,
        ),
        p.stat(
            "Loaded",
            "When the configuration was last loaded.",
            [p.Query(f"1000 * max({e.of_the_instances('config_last_reload_success_timestamp_seconds')})")],
            "dateTimeAsIsoNoDateIfToday",
            size=SMALL,
        ),
        p.stat(
            "Quarantine",
            "Rejected bodies that wait for a decision: see device-exporter quarantine.",
            [p.Query(f"max({e.of_the_instances('quarantine_entries')})")],
            "short",
            steps=p.ANY_IS_ODD,
            decimals=0,
            size=SMALL,
        ),
        p.stat(
            "Failed tasks",
            "Failures of background tasks within the dashboard's range; each is logged, and the task goes on.",
            [p.Query(e.failures_in_range("task_failures_total"))],
            "short",
            steps=p.ANY_IS_ODD,
            decimals=0,
            size=SMALL,
            empty="None",
        ),
    ]


def _events() -> p.Panel:
    return p.lines(
        "Events by outcome",
        "Webhook events by what became of them.",
        [p.Query(e.some(e.per_second("events_total", "outcome")), "{{outcome}}")],
        p.PER_SECOND,
        stacked=True,
        empty="Nothing heard yet",
    )


def _refused() -> p.Panel:
    where = f'outcome=~"{"|".join(REFUSED)}"'
    return p.lines(
        "Refused",
        "Requests a minute that were not accepted, by outcome: each of them needs a reason.",
        [p.Query(e.some(e.per_minute("events_total", "outcome", where)), "{{outcome}}")],
        p.PER_MINUTE,
        stacked=True,
        shade=p.BAD,
        empty="Nothing was refused",
    )


def _requests() -> p.Panel:
    return p.lines(
        "Time to answer",
        "Time to answer a request, by listener: 99 of 100 are faster.",
        [p.Query(e.quantile("0.99", "request_duration_seconds", "listener"), "{{listener}}")],
        "s",
        empty="Nothing asked yet",
    )


def _answers() -> p.Panel:
    return p.lines(
        "Answers by code",
        "Requests by listener and status code.",
        [p.Query(e.some(e.per_second("request_duration_seconds_count", "listener, code")), "{{listener}} {{code}}")],
        p.PER_SECOND,
        stacked=True,
        empty="Nothing asked yet",
    )


def _commits() -> p.Panel:
    return p.lines(
        "Journal commits",
        "Time of a commit of the journal; every acknowledged event waits for one.",
        [
            p.Query(e.quantile("0.5", "journal_commit_duration_seconds"), "half"),
            p.Query(e.quantile("0.99", "journal_commit_duration_seconds"), "99 of 100"),
        ],
        "s",
        size=(8, 7),
        empty="Nothing was written yet",
    )


def _batches() -> p.Panel:
    return p.lines(
        "Events in a commit",
        "Mean number of events in one commit of the journal.",
        [p.Query(e.mean("journal_batch_size"), "{{instance}}")],
        "short",
        size=(5, 7),
        decimals=1,
        empty="Nothing was written yet",
    )


def _queue() -> p.Panel:
    return p.lines(
        "Waiting for the journal",
        "Events that wait to be written, and for how long the disk has been at one piece of work.",
        [
            p.Query(e.of_the_instances("journal_queue_depth"), "{{instance}}"),
            p.Query(e.of_the_instances("journal_oldest_wait_seconds"), "{{instance}} seconds"),
        ],
        "short",
        size=(5, 7),
        decimals=0,
    )


def _failures() -> p.Panel:
    return p.lines(
        "Journal failures",
        "Operations of the journal that failed. The platform is answered 503 and tries again.",
        [p.Query(e.some(e.per_minute("journal_failures_total", "operation")), "{{operation}}")],
        p.PER_MINUTE,
        shade=p.BAD,
        size=(6, 7),
        empty="None",
    )


def _pushes() -> p.Panel:
    return p.lines(
        "Direct alerts by result",
        "Posts of alerts, by Alertmanager and result, and silences that could not follow an acknowledgement.",
        [
            p.Query(e.per_minute("alert_pushes_total", "alertmanager, result"), "{{alertmanager}} {{result}}"),
            p.Query(e.per_minute("silence_failures_total", "alertmanager"), "silence {{alertmanager}}"),
        ],
        p.PER_MINUTE,
        size=(8, 7),
        empty="No alert was pushed",
    )


def _latency() -> p.Panel:
    return p.lines(
        "From the event to Alertmanager",
        "Time from receiving an event until Alertmanager acknowledged its alert.",
        [
            p.Query(e.quantile("0.5", "alert_push_latency_seconds"), "half"),
            p.Query(e.quantile("0.99", "alert_push_latency_seconds"), "99 of 100"),
        ],
        "s",
        size=(8, 7),
        empty="No alert was pushed",
    )


def _leading() -> p.Panel:
    return p.lines(
        "Who leads",
        "1: this exporter does what only one may do: failover, incidents, cleaning up.",
        [p.Query(e.of_the_instances("leading"), "{{instance}}")],
        "short",
        size=(8, 7),
        decimals=0,
        stepped=True,
        empty="No exporter answers",
    )


def _behind() -> p.Panel:
    return p.lines(
        "Behind the journal",
        "Since when an exporter does not know what others wrote; 5 s: silent, 30 s: no devices.",
        [p.Query(e.of_the_instances("journal_lag_seconds"), "{{instance}}")],
        "s",
        size=(8, 7),
        empty="No exporter answers",
    )


def _clocks() -> p.Panel:
    clock = e.of_the_instances("time_seconds")
    return p.lines(
        "Clocks and standbys",
        "Clocks of exporters ahead of Prometheus'; servers that hold each commit besides the first.",
        [
            p.Query(f"{clock} - timestamp({clock})", "{{instance}}"),
            p.Query(f"max({e.of_the_instances('journal_synchronous_standbys')}) >= 0", "synchronous standbys"),
        ],
        "short",
        size=(8, 7),
        least=None,
        empty="No exporter answers",
    )


def _scrapes() -> p.Panel:
    return p.lines(
        "Time to render a scrape",
        "Time to write the metrics for one scrape.",
        [
            p.Query(e.quantile("0.5", "scrape_duration_seconds"), "half"),
            p.Query(e.quantile("0.99", "scrape_duration_seconds"), "99 of 100"),
        ],
        "s",
        size=(8, 7),
    )


def _lag() -> p.Panel:
    return p.lines(
        "Delay of the event loop",
        "How much later than asked the exporter's loop wakes up: 99 of 100 are faster.",
        [p.Query(e.quantile("0.99", "loop_lag_seconds", "instance"), "{{instance}}")],
        "s",
        size=(8, 7),
    )


def _tasks() -> p.Panel:
    return p.lines(
        "Background tasks that failed",
        "Failures of background tasks; each is logged, and the task goes on.",
        [p.Query(e.some(e.per_minute("task_failures_total", "task")), "{{task}}")],
        p.PER_MINUTE,
        shade=p.BAD,
        size=(8, 7),
        empty="None",
    )


def _gateways() -> p.Panel:
    return p.states(
        "State of gateways",
        "Whether each gateway's state API answers, and whether its webhooks are set up.",
        [
            p.Query(e.of_gateways(c.GATEWAY_UP), "{{gateway}}"),
            p.Query(e.of_gateways(c.GATEWAY_WEBHOOK_CONFIGURED), "{{gateway}} webhooks"),
        ],
        shared.YES_NO,
        size=(16, 7),
        empty="No gateway has a state API",
    )


def _states_read() -> p.Panel:
    return t.table(
        "States read",
        "How long ago each gateway's state API last answered.",
        [p.Query(e.state_read_ago())],
        [t.Column("gateway", "Gateway"), t.Column("Value", "Ago", p.DURATION, width=140)],
        size=(8, 7),
        empty="No gateway has a state API",
        sort=("Ago", True),
    )


def _silent() -> p.Panel:
    return t.table(
        "Connected, but silent",
        "Sessions that their gateway calls connected although no message has gone through them for silent_after.",
        [p.Query(e.silent_for())],
        [
            t.Column("device_id", "Device"),
            t.Column("gateway", "Gateway"),
            t.Column("Value", "Silent for", p.DURATION, width=160),
        ],
        size=(24, 6),
        empty="None",
        sort=("Silent for", True),
    )


def _reconnects() -> p.Panel:
    return p.lines(
        "Reconnects that were no outage",
        "Sessions that were back in time, in the hour before each point, by gateway.",
        [p.Query(e.within_an_hour(c.DEVICE_RECONNECTS, "gateway"), "{{gateway}}")],
        "short",
        size=(8, 7),
        decimals=0,
        empty="None",
    )


def _reasons() -> p.Panel:
    return p.lines(
        "Outages by reason",
        "Outages that began in the hour before each point, by the reason that was known then.",
        [p.Query(e.within_an_hour(c.DEVICE_DISCONNECT_REASONS, "reason"), "{{reason}}")],
        "short",
        size=(8, 7),
        decimals=0,
        empty="None",
    )


def _corrections() -> p.Panel:
    return p.lines(
        "Corrections by gateways' own word",
        "In the hour before each point: states that a webhook did not tell and the state API did. More than none: "
        "webhooks are lost.",
        [
            p.Query(e.within_an_hour(c.GATEWAY_CORRECTIONS, "gateway, direction"), "{{gateway}} {{direction}}"),
            p.Query(e.within_an_hour(c.GATEWAY_BLIND, "gateway"), "{{gateway}} (s)"),
        ],
        "short",
        size=(8, 7),
        decimals=0,
        empty="None",
    )


def _moves() -> p.Panel:
    return p.lines(
        "Moves and jumps of the clock",
        "Devices that an event named under another engine or business, and jumps of the system clock.",
        [
            p.Query(e.per_minute("device_moves_total", "instance"), "moves {{instance}}"),
            p.Query(e.per_minute("clock_jumps_total", "instance"), "jumps {{instance}}"),
        ],
        p.PER_MINUTE,
        size=(12, 7),
    )


def _fullness() -> p.Panel:
    return p.lines(
        "Part of the most that there may be",
        "Devices, engines and groups against fleet.max_devices and its like; at 100 % new ones are refused.",
        [p.Query(f"max by (of) ({e.of_the_instances('fleet_fullness_ratio')})", "{{of}}")],
        "percentunit",
        size=(12, 7),
    )


def _ways() -> p.Panel:
    return p.lines(
        "Ways to tell people",
        "Receivers that each Alertmanager has; none: nobody is notified.",
        [p.Query(e.of_the_instances("notification_ways"), "{{alertmanager}}")],
        "short",
        size=(8, 7),
        decimals=0,
        empty="No Alertmanager has answered",
    )
