from __future__ import annotations

import asyncio
import io

import pytest

from exporter.cli.main import main
from tests.unit.incident_site import BEGIN, identity
from tests.unit.test_incidents_web import site


async def command(*arguments: str) -> int:
    """Run a command beside the exporter of the test."""
    return await asyncio.to_thread(main, ["incidents", *arguments])


async def test_the_list_names_status_times_and_device(tmp_path, capsys):
    async with site(tmp_path) as browser:
        assert await command("list", "--url", browser.root) == 0
        head, row = capsys.readouterr().out.splitlines()
        assert head.split() == ["NUMBER", "STATUS", "STARTED", "DURATION", "ENGINE", "BUSINESS", "DEVICE"]
        assert row.startswith("1       investigating  2025-01-28 16:20:00 WIB ")
        assert row.endswith("5m        telegram  Toko Makmur  Front desk (device_1)")


async def test_the_list_is_filtered_and_bounded(tmp_path, capsys):
    async with site(tmp_path) as browser:
        for number in range(5):
            browser.desk.recorder.hear(BEGIN - 400, up=False, device=identity(f"d{number}", engine="wa"))
        await browser.desk.go(BEGIN + 300)
        await command("list", "--url", browser.root, "--engine", "wa", "--limit", "3")
        assert len(capsys.readouterr().out.splitlines()) == 4


async def test_a_note_and_a_status_show_in_the_timeline(tmp_path, capsys):
    async with site(tmp_path) as browser:
        assert await command("note", "1", "SIM", "blocked", "--url", browser.root) == 0
        assert await command("status", "1", "identified", "--note", "by the provider", "--url", browser.root) == 0
        assert await command("show", "1", "--url", browser.root) == 0
        out = capsys.readouterr().out
        assert "status    identified\n" in out
        assert [line.split("  ", 1)[1] for line in out.splitlines() if "  " in line][-4:] == [
            "down",
            "status: identified",
            "note: SIM blocked",
            "note: by the provider",
        ]


async def test_a_note_is_published_with_a_promise_of_the_next_one(tmp_path, capsys):
    async with site(tmp_path) as browser:
        flags = ("--public", "--next-update", "30m", "--url", browser.root)
        assert await command("note", "1", "SIM blocked", *flags) == 0
        assert await command("status", "1", "identified", "--note", "by the provider", *flags) == 0
        notes = [one for one in (await browser.api("/1"))["timeline"] if one["kind"] == "note"]
        assert [(one["public"], one["next_update_at"] - one["at"]) for one in notes] == [(True, 1800.0)] * 2
        assert await command("show", "1", "--url", browser.root) == 0
        assert capsys.readouterr().out.count("    next update by ") == 2
        assert await command("note", "1", "x", "--next-update", "soon", "--url", browser.root) == 1


async def test_a_note_is_read_from_standard_input(tmp_path, monkeypatch, capsys):
    async with site(tmp_path) as browser:
        monkeypatch.setattr("sys.stdin", io.StringIO("first line\nsecond line\n"))
        assert await command("note", "1", "--url", browser.root) == 0
        assert (await browser.api("/1"))["timeline"][1]["text"] == "first line\nsecond line"


async def test_an_export_goes_to_standard_output(tmp_path, capfdbinary):
    async with site(tmp_path) as browser:
        assert await command("export", "--format", "markdown", "--lang", "en", "--url", browser.root) == 0
        assert b"## \\#1 Front desk" in capfdbinary.readouterr().out


async def test_names_do_not_steer_the_terminal(tmp_path, capsys):
    async with site(tmp_path) as browser:
        who = identity("d2", device_name="\x1b[2J\nroot#", business_name="a\u202eb")
        await browser.desk.hear(BEGIN, up=False, now=BEGIN + 400, device=who)
        await command("list", "--url", browser.root)
        await command("show", "2", "--url", browser.root)
        out = capsys.readouterr().out
        assert "\x1b" not in out
        assert "\u202e" not in out
        assert "\ufffd[2J root# (d2)" in out


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        pytest.param(["show", "99"], 1, "no such incident", id="an unknown incident"),
        pytest.param(["note", "1", " "], 2, "the note is empty", id="an empty note"),
    ],
)
async def test_what_goes_wrong_is_said_in_words(tmp_path, capsys, arguments, status, words):
    async with site(tmp_path) as browser:
        assert await command(*arguments, "--url", browser.root) == status
        assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "status"), [pytest.param("ftp://x", 2, id="no HTTP"), pytest.param("http://127.0.0.1:1", 1, id="nobody")]
)
async def test_an_address_that_does_not_answer(capsys, url, status):
    assert await command("list", "--url", url) == status
    assert url in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["show", "0"], ["show", "x"], ["status", "1", "resolved"], ["list", "--from", "soon"], []]
)
def test_wrong_usage_is_2(capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        main(["incidents", *arguments])
    assert ended.value.code == 2
