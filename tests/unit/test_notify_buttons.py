"""A button under a text, for the services that have some."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from exporter.notify.buttons import with_button
from exporter.notify.sending import Result, send_now
from tests.e2e.harness import HttpSink

LINK = "https://status.example.id/a/abcdefghijklmnop"


def test_ntfy_posts_the_form_by_one_tap() -> None:
    with HttpSink() as sink:
        url = with_button(f"ntfy://{sink.address}/perangkat", LINK, "piket", "id")
        assert send_now(url, "MATI: Kasir Depan", resolved=False) is Result.SENT
    [post] = sink.posts
    actions = {name.lower(): value for name, value in post.headers.items()}["x-actions"]
    assert actions == (
        f"http, Saya tangani, {LINK}, method=POST, headers.Content-Type=application/x-www-form-urlencoded, "
        "body='by=ntfy+piket&for=4h', clear=true"
    )


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("ntfys://ntfy.example.id/topic", ""),
        ("json://127.0.0.1/x", LINK),
        ("ntfys://ntfy.example.id/topic?actions=view,+Open,+https://example.id", LINK),
    ],
)
def test_what_has_no_link_no_buttons_or_its_own_stays_as_it_is(url: str, link: str) -> None:
    assert with_button(url, link, "piket", "id") == url


def test_what_the_url_says_beside_it_is_kept() -> None:
    query = parse_qs(urlsplit(with_button("ntfys://ntfy.example.id/topic?priority=high", LINK, "piket", "en")).query)
    assert query["priority"] == ["high"]
    assert query["actions"][0].startswith("http, I have it, ")
