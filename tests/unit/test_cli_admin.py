"""The commands that ask a running exporter: how they log in, and what they say where it does not answer."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import bcrypt
import pytest
import trustme

from exporter.cli.main import main
from exporter.web.api_types import AlertmanagerState
from tests.unit.test_web_config import TLS, certificate, written
from tests.unit.web_site import NOW, running, state

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HASH = bcrypt.hashpw(b"kata sandi", bcrypt.gensalt(4)).decode()
SITE = {"operations": [state()]}


async def run(*arguments: str) -> int:
    """Run a command beside the exporter of the test."""
    return await asyncio.to_thread(main, arguments)


# -- devices, status, forget ------------------------------------------------------------------------------------------
async def test_devices_are_listed_with_what_is_down_longest_first(capsys: pytest.CaptureFixture[str]) -> None:
    async with running(admin=SITE) as site:
        now = int(NOW)
        site.recorder.put("a", (now - 500, True))
        site.recorder.put("b", (now - 500, True), (now - 100, False))
        site.recorder.put("c", (now - 500, True), (now - 300, False), engine="telegram")
        assert await run("devices", "--url", f"http://{site.admin}") == 0
        head, *rows = capsys.readouterr().out.splitlines()
        assert head.split() == ["STATE", "SINCE", "FOR", "ENGINE", "BUSINESS", "CHANNEL", "DEVICE"]
        assert [row.split()[0] + row.split()[-1] for row in rows] == ["down(c)", "down(b)", "up(a)"]
        assert "2025-01-28 17:21:40 WIB" in rows[0]  # in the exporter's zone
        assert await run("devices", "--state", "down", "--engine", "wa", "--json", "--url", f"http://{site.admin}") == 0
        (device,) = json.loads(capsys.readouterr().out)
    assert (device["device_id"], device["since"]) == ("b", now - 100)


async def test_devices_beyond_the_limit_are_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    async with running(admin=SITE) as site:
        for number in range(1100):
            site.recorder.put(f"d{number}", (int(NOW) - 500, True), (int(NOW) - 1 - number % 7, False))
        assert await run("devices", "--limit", "1050", "--url", f"http://{site.admin}") == 0
        shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 1051
    assert shown.err == "there are more than 1050: raise --limit\n"


async def test_the_status_says_who_would_be_told(capsys: pytest.CaptureFixture[str]) -> None:
    async with running(admin=SITE) as site:
        assert await run("status", "--url", f"http://{site.admin}") == 0
        lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
        assert lines["exporter"] == "1.2.3, ready"
        assert lines["devices"] == "3, 1 down, 0 in maintenance"
        assert lines["blind"] == "3m 20s until 2025-01-28 15:30:00 WIB"
        assert lines["alerts"].startswith("http://alertmanager:9093 took them ")
        assert lines["messages"] == "the relay sends to sms"
        assert await run("status", "--json", "--url", f"http://{site.admin}") == 0
        assert json.loads(capsys.readouterr().out)["timezone"] == "Asia/Jakarta"


UNTOLD: dict[str, tuple[dict[str, Any], str, int]] = {
    "an Alertmanager that is away": (
        {"alertmanagers": [AlertmanagerState("http://a:9093", None, failing=True)]},
        "does not take them",
        1,
    ),
    "one that was not reached yet": (
        {"alertmanagers": [AlertmanagerState("http://a:9093", None, failing=False)]},
        "has not been reached yet",
        1,
    ),
    "a name without addresses": (
        {"alertmanagers": [], "unknown_names": ["dns+http://am:9093"]},
        "dns+http://am:9093: its name has no address now",
        1,
    ),
    "a journal that is being loaded": (
        {"ready": False, "trouble": "no space left", "devices": None, "down": None, "in_maintenance": None},
        "exporter     1.2.3, not ready\ntrouble      no space left\ndevices      not known yet\n",
        1,
    ),
    "no direct alerts by choice": ({"direct_alerts": False, "alertmanagers": []}, "none are posted from here", 0),
}


@pytest.mark.parametrize(("other", "words", "status"), UNTOLD.values(), ids=UNTOLD)
async def test_the_status_fails_where_nobody_would_be_told(
    capsys: pytest.CaptureFixture[str], other: dict[str, Any], words: str, status: int
) -> None:
    async with running(admin={"operations": [state(**other)]}) as site:
        assert await run("status", "--url", f"http://{site.admin}") == status
    assert words in capsys.readouterr().out


class Terminal:
    """Standard input as a person types it."""

    def __init__(self, answer: str) -> None:
        self._answer = answer

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        return self._answer


@pytest.mark.parametrize(
    ("flags", "typed", "status"),
    [
        pytest.param([], "y\n", 0, id="a yes"),
        pytest.param([], "ya\n", 0, id="a yes in Indonesian"),
        pytest.param([], "\n", 1, id="no answer"),
        pytest.param([], "", 1, id="the end of the input"),
        pytest.param(["--yes"], "n\n", 0, id="said before"),
    ],
)
async def test_a_person_is_asked_before_a_device_is_forgotten(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flags: list[str], typed: str, status: int
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    async with running() as site:
        site.recorder.put("a/b", (int(NOW), True))
        assert await run("forget", "a/b", *flags, "--url", f"http://{site.admin}") == status
        assert ("a/b" in site.recorder.fleet.devices) is bool(status)
    assert ("name of a/b (a/b), wa, " in capsys.readouterr().out) is (not flags)


async def test_a_script_is_not_asked(capsys: pytest.CaptureFixture[str]) -> None:
    async with running() as site:
        site.recorder.put("a", (int(NOW), True))
        assert await run("forget", "a", "--url", f"http://{site.admin}") == 0
        assert capsys.readouterr().out == "a is forgotten\n"
        assert await run("forget", "a", "--url", f"http://{site.admin}") == 1
    assert capsys.readouterr().err == "device-exporter: no such device\n"


# -- logging in -------------------------------------------------------------------------------------------------------
async def test_a_user_logs_in_with_a_password_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "password").write_text("kata sandi\n")
    (tmp_path / "wrong").write_text("tebakan\n")
    config = written(tmp_path, f"basic_auth_users: {{admin: {HASH}}}\n")
    async with running(admin={"web_config": config, **SITE}) as site:
        url = ["--url", f"http://{site.admin}"]
        user = ["--web.user", "admin", "--web.password-file"]
        assert await run("status", *url, *user, str(tmp_path / "password")) == 0
        for given in ([], [*user, str(tmp_path / "wrong")]):
            capsys.readouterr()
            assert await run("status", *url, *given) == 1
            assert "give --web.user and --web.password-file" in capsys.readouterr().err


async def test_the_environment_logs_in_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "password").write_text("kata sandi\n")
    config = written(tmp_path, f"basic_auth_users: {{admin: {HASH}}}\n")
    async with running(admin={"web_config": config, **SITE}) as site:
        monkeypatch.setenv("EXPORTER_ADMIN_URL", f"http://{site.admin}/")
        monkeypatch.setenv("EXPORTER_ADMIN_USER", "admin")
        monkeypatch.setenv("EXPORTER_ADMIN_PASSWORD_FILE", str(tmp_path / "password"))
        assert await run("status") == 0


async def test_a_certificate_of_ones_own_needs_its_authority(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    certificate(tmp_path, trustme.CA())
    async with running(admin={"web_config": written(tmp_path, TLS), **SITE}) as site:
        url = ["--url", f"https://{site.admin}"]
        assert await run("status", *url, "--web.ca-file", str(tmp_path / "ca.pem")) == 0
        assert await run("status", *url) == 1
    assert "--web.ca-file names whom to trust" in capsys.readouterr().err


WRONG: dict[str, tuple[list[str], str]] = {
    "another scheme": (["--url", "ftp://x"], "expected http:// or https://"),
    "no host": (["--url", "http://"], "and a host"),
    "a broken address": (["--url", "http://[::1"], "and a host"),
    "a password in the URL": (["--url", "http://u:p@x"], "does not belong into a URL"),
    "a password without a user": (["--web.password-file", "x"], "needs --web.user"),
    "two ways to log in": (["--web.user", "u", "--web.token-file", "x"], "not both"),
    "no such file": (["--web.user", "u", "--web.password-file", "/nowhere"], "cannot read /nowhere"),
    "nobody who could type": (["--web.user", "u"], "needs --web.password-file where no terminal"),
    "no certificate": (["--web.ca-file", "/dev/null"], "--web.ca-file: /dev/null"),
}


@pytest.mark.parametrize(("flags", "words"), WRONG.values(), ids=WRONG)
def test_wrong_flags_are_told_before_anything_is_sent(
    capsys: pytest.CaptureFixture[str], flags: list[str], words: str
) -> None:
    assert main(["status", *flags]) == 2
    assert words in capsys.readouterr().err


# -- what does not answer as it should --------------------------------------------------------------------------------
@pytest.fixture
def other() -> Iterator[Any]:
    """Give a server that is no exporter; `answer` is what it says to everything, `seen` what it was told."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.seen.append(dict(self.headers))  # type: ignore[attr-defined]
            self.wfile.write(server.answer.replace(b"\n", b"\r\n"))  # type: ignore[attr-defined]
            self.close_connection = True

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.seen = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


ANSWERS: dict[str, tuple[bytes, str]] = {
    "another program": (b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", "does not answer as an exporter"),
    "a page that is not there": (b"HTTP/1.1 404 Not Found\nContent-Length: 5\n\nhello", "404 Not Found"),
    "a way elsewhere": (b"HTTP/1.1 302 Found\nLocation: http://x/login\nContent-Length: 0\n\n", "to http://x/login"),
    "no HTTP": (b"hello\n", "hello"),
    "half an answer": (b"HTTP/1.1 200 OK\nContent-Length: 50\n\n{", "IncompleteRead"),
    "nothing": (b"", "closed connection"),
}


@pytest.mark.parametrize(("answer", "words"), ANSWERS.values(), ids=ANSWERS)
def test_what_is_no_exporter_is_told_in_one_line(
    other: Any, capsys: pytest.CaptureFixture[str], answer: bytes, words: str
) -> None:
    other.answer = answer
    assert main(["status", "--url", f"http://127.0.0.1:{other.server_port}"]) == 1
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_a_token_goes_to_the_address_that_was_given_and_through_no_proxy(
    other: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("rahasia\n")
    other.answer = b"HTTP/1.1 404 Not Found\nContent-Length: 0\n\n"
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    url = f"http://127.0.0.1:{other.server_port}"
    assert main(["status", "--url", url, "--web.token-file", str(tmp_path / "token")]) == 1
    assert [headers["Authorization"] for headers in other.seen] == ["Bearer rahasia"]


def test_a_port_at_which_nobody_listens(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert main(["devices", "--url", url]) == 1
    assert f"{url}: nothing listens there" in capsys.readouterr().err
