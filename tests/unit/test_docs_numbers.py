"""Numbers in the guides that the code decides: each sentence is made of the constant, and must stand in its page."""

from __future__ import annotations

import re

import pytest

from exporter.acknowledge import links, service
from exporter.alerting import bursts, digest, ended, mass_counts, mass_outages, silences
from exporter.app import housekeeping
from exporter.config.schema import Config
from exporter.conventions import ALERT_BUSINESS_OUTAGE, ALERT_ENGINE_OUTAGE
from exporter.domain import thresholds
from exporter.failover import machine, sender
from exporter.incidents import folding
from exporter.journal.sqlite import journal
from exporter.notify import relay
from exporter.recording import following, leading
from exporter.sessions import feature as sessions
from exporter.status_pages import picture
from exporter.status_pages import service as status
from exporter.web import descriptors, pages
from exporter.web.limits import Limits
from tests.tools import ROOT

LIMITS = Limits()
OF_ENGINE, OF_BUSINESS = (mass_counts.MASS_KINDS[name] for name in (ALERT_ENGINE_OUTAGE, ALERT_BUSINESS_OUTAGE))
KIB, MIB = 1 << 10, 1 << 20
SENTENCES = {
    "security": [
        f"a TLS handshake and a head have {LIMITS.head_timeout:g} s, a head has {LIMITS.max_head // KIB} KiB",
        f"all unfinished ones together {LIMITS.max_unread // MIB} MiB",
        f"A form has {pages.FORM_LIMIT // KIB} KiB at most",
        f"until {'a day' if links.KEPT_FOR == 86_400 else links.KEPT_FOR} after its end",
        f"Each address gets {pages.EACH[0]:g} requests a second",
        f"all together {pages.ALL[0]:g} and",
    ],
    "api": [
        f"longer than `webhook.max_body` ({Config().webhook.max_body // KIB} KiB)",
        f"headers beyond {LIMITS.max_head // KIB} KiB together",
        f"must each be whole within {LIMITS.head_timeout:g} s",
        f"idle connections are closed after {LIMITS.idle_timeout:g} s",
        f"none of its answers for {LIMITS.stall_timeout:g} s is cut off",
        f"A head has at most {LIMITS.max_headers} headers and {LIMITS.max_head // KIB} KiB",
        f"all unfinished heads together {LIMITS.max_unread // MIB} MiB",
        f"has not heard of a shared journal for {following.FRESH:g} seconds",
        f"its clock is more than {following.SKEW:g} seconds off",
        f"its disk has not answered for {journal.PATIENCE:g} seconds",
    ],
    "scale": [
        f"sets {descriptors.RESERVED} aside for files, alerts and hooks",
        f"a quarter of the rest (at most {descriptors.USUAL:,}) and the public one what is left",
        f"(at most {descriptors.USUAL:,}). {descriptors.RESERVED + 4 * descriptors.USUAL:,} are enough for both",
    ],
    "metrics": [
        f"beyond {journal.PATIENCE:g} seconds webhooks are answered 503",
        f"beyond {following.FRESH:g} seconds it raises no alarm and is not ready",
        f"beyond {following.SILENT:g} it shows no devices",
        f"can be held back by this, for at most {housekeeping.CHECKPOINT_INTERVAL:g} s",
    ],
    "alerting": [
        f"The next ones wait until {bursts.HOLD:g} s bring no further one, for {bursts.LONGEST_HOLD:g} s at most",
        f"for {silences.AHEAD / 60:g} minutes ahead and renewed",
        f"within {service.UNDO_FOR / 60:g} minutes it can be undone",
        f"more than {digest.MOST_SINGLE} devices of a severity would be told of one by one within a minute",
        f"fewer than {digest.LEAST} of its own are down",
        f"once nobody joins it for {bursts.HOLD:g} s, after {mass_outages.SETTLED_AFTER:g} s at most",
        f"the newest {ended.MOST_KNOWN:,}",
        f"{OF_ENGINE.share * 100:g} % of an engine's devices and at least {OF_ENGINE.devices} are down",
        f"or {OF_ENGINE.together} that are due went down within a minute",
        f"{OF_BUSINESS.share * 100:g} % of a business' devices and at least {OF_BUSINESS.devices} are down",
        f"more than {thresholds.OLD_NEWS / 60:g} minutes late (a delivery",
        f"only if its end does not follow within {thresholds.OLD_NEWS_WAIT / 60:g} minutes",
    ],
    "incidents": [f"with less than {'half an hour' if folding.QUIET == 1800 else folding.QUIET} between them"],
    "notify": [f"and {relay.MOST_RUNNING} are on their way"],
    "gateways": [f"only if it lasts for `soft_after` ({sessions.SOFT_AFTER:g} s unless the preset says otherwise)"],
    "failover": [
        f"Anything but a 2xx within {sender.TIMEOUT:g} seconds is tried again",
        f"after {machine.FIRST_BACKOFF:g} s, 2 s, 4 s … {machine.LAST_BACKOFF:g} s",
    ],
    "pages": [
        f"drawn anew after {status.AGE:g} seconds or when a device changes",
        f"begins within {picture.AHEAD // 86_400} days",
    ],
    "high-availability": [
        f"has not heard from PostgreSQL for {following.FRESH:g} seconds sends no firing alerts and is not ready",
        f"after {following.SILENT:g} seconds it shows no devices",
        f"wait {leading.TTL:g} seconds, until its lease is over",
    ],
    "operations": ["a minute after each start and once a day" * (housekeeping.FIRST_CHECK == 60)],
}


@pytest.mark.parametrize(
    ("page", "sentence"), [(page, sentence) for page, sentences in SENTENCES.items() for sentence in sentences]
)
def test_a_number_of_the_code_stands_in_its_page(page: str, sentence: str) -> None:
    text = re.sub(r"\s+", " ", (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8"))

    assert sentence
    assert sentence in text
