"""The pages listener: only what features publish, harmless headers, bounds on requests."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import web

from exporter.errors import JournalUnavailable
from exporter.web import pages
from exporter.web.operations import NotFound
from exporter.web.rates import MOST_KEYS, Rates

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection


async def see(request: web.Request) -> web.StreamResponse:
    found = request.match_info["name"]
    if found == "hidden":
        raise NotFound("another's")
    if found == "broken":
        raise JournalUnavailable("disk full")
    headers = {"Cache-Control": "max-age=15"} if found == "kept" else {}
    return web.Response(text=pages.client_of(request), headers=headers)


async def send(request: web.Request) -> web.StreamResponse:
    return web.Response(text=str(len(await request.read())))


@asynccontextmanager
async def outside(
    clock: list[float] | None = None, own_hosts: Collection[str] = ()
) -> AsyncIterator[aiohttp.ClientSession]:
    time = clock or [0.0]
    routes = [web.get("/s/{name}", see), web.post("/a/{name}", send)]
    app = pages.pages_app(routes, lambda: time[0], own_hosts=lambda: own_hosts)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as session:
            yield session
    finally:
        await runner.cleanup()


async def test_every_answer_lets_nothing_foreign_in_and_tells_nobody_where_it_was_read() -> None:
    async with outside() as site:
        for path in ("/s/x", "/s/hidden", "/s/broken", "/elsewhere", "/metrics"):
            async with site.get(path) as answer:
                assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
                assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
                assert answer.headers["Referrer-Policy"] == "no-referrer"
                assert answer.headers["X-Robots-Tag"] == "noindex, nofollow"
                assert answer.headers["Cache-Control"] == "no-store"
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
        async with site.get("/s/kept") as answer:
            assert answer.headers["Cache-Control"] == "max-age=15"


async def test_what_is_not_there_and_what_is_anothers_look_the_same() -> None:
    async with outside() as site:
        found = []
        for path in ("/s/hidden", "/s/", "/a/x/y", "/", "/metrics", "/webhook", "/-/healthy", "/api/v1/devices"):
            async with site.get(path) as answer:
                left_out = {"Date"}
                headers = {name: value for name, value in answer.headers.items() if name not in left_out}
                found.append((answer.status, await answer.text(), headers))
        assert found[0][0] == 404
        assert all(one == found[0] for one in found)


async def test_a_journal_that_cannot_be_read_is_a_page_that_says_so() -> None:
    async with outside() as site, site.get("/s/broken") as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "30")
        assert "Coba lagi" in await answer.text()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, 200),
        ({"Origin": "null"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://elsewhere.example"}, 403),
    ],
)
async def test_a_form_of_another_site_is_refused(headers: dict[str, str], status: int) -> None:
    async with outside() as site, site.post("/a/x", data=b"by=x", headers=headers) as answer:
        assert answer.status == status


async def test_a_form_larger_than_a_form_is_refused() -> None:
    async with outside() as site:
        async with site.post("/a/x", data=b"x" * pages.FORM_LIMIT) as answer:
            assert answer.status == 200
        async with site.post("/a/x", data=b"x" * (pages.FORM_LIMIT + 1)) as answer:
            assert answer.status == 413
            assert "too large" in await answer.text()


async def test_every_refusal_is_a_page() -> None:
    async with outside() as site:
        asked = (site.post("/s/x"), site.put("/a/x"), site.post("/a/x", headers={"Sec-Fetch-Site": "cross-site"}))
        for one in asked:
            async with one as answer:
                assert answer.status in (403, 405)
                assert answer.content_type == "text/html"
                assert '<p lang="en">' in await answer.text()
        async with site.post("/s/x") as answer:
            assert "GET" in answer.headers["Allow"]


async def test_the_own_host_of_a_page_shows_nothing_else() -> None:
    async with outside(own_hosts={"status.toko.id"}) as site:
        async with site.post("/a/x", headers={"Host": "STATUS.toko.id.:8443"}) as answer:
            assert answer.status == 404
        async with site.get("/s/x", headers={"Host": "status.toko.id"}) as answer:
            assert answer.status == 404
        async with site.post("/a/x", headers={"Host": "elsewhere.id"}) as answer:
            assert answer.status == 200


async def test_an_address_that_asks_too_often_waits_and_no_other_does() -> None:
    clock = [0.0]
    async with outside(clock) as site:

        async def status(address: str) -> int:
            async with site.get("/s/x", headers={"X-Forwarded-For": address}) as answer:
                return answer.status

        statuses = [await status("203.0.113.7") for _ in range(int(pages.EACH[1]) + 1)]
        assert statuses[:-1] == [200] * int(pages.EACH[1])
        assert statuses[-1] == 429
        assert await status("203.0.113.8") == 200
        clock[0] += 1
        assert await status("203.0.113.7") == 200


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("rubbish", "127.0.0.1"),
        ("", "127.0.0.1"),
    ],
)
async def test_behind_a_proxy_of_ours_the_address_is_the_last_one_that_it_names(named: str, expected: str) -> None:
    async with outside() as site, site.get("/s/x", headers={"X-Forwarded-For": named}) as answer:
        assert await answer.text() == expected


def test_a_bucket_fills_at_its_rate_and_not_beyond() -> None:
    rates = Rates(0.5, 2)
    assert [rates.take("a", 0.0) for _ in range(3)] == [True, True, False]
    assert [rates.take("a", 1.9), rates.take("a", 2.0)] == [False, True]
    assert [rates.take("a", 1000.0) for _ in range(3)] == [True, True, False]
    assert rates.take("b", 1000.0)


def test_buckets_are_bounded_in_number() -> None:
    rates = Rates(0.0, 1)
    assert rates.take("first", 0.0)
    for number in range(MOST_KEYS):
        rates.take(str(number), 0.0)
    assert rates.take("first", 0.0)  # it was forgotten
