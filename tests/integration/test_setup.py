"""`make setup` in a terminal: eight questions, each answer tried, then .env and secrets/."""

import os
import pty
import re
import select
import signal
import stat
import subprocess
import sys
import time

import pytest

from scripts.env_file import read_env
from tests.e2e.harness import HttpSink, MailSink
from tests.patience import patient
from tests.tools import ROOT

CHATS = b'{"ok": true, "result": [{"update_id": 1, "message": {"chat": {"id": -100777, "title": "Tim Toko"}}}]}'
TOKEN = "123456789:AAFabcdefghijklmnopqrstuvwxyz"
DEAD = "http://127.0.0.1:9/hook"


class Terminal:
    """A person at a pseudo terminal: waits for a question's words, types an answer."""

    def __init__(self, folder, **env):
        self.shown = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(ROOT)
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell starts what it puts behind itself with it ignored
            kept = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "SETUP_FOLDER": str(folder), "LANG": "C.UTF-8"}
            os.execve(sys.executable, [sys.executable, "-m", "scripts.setup"], kept | env)

    def read(self, seconds=20):
        ready, _, _ = select.select([self.fd], [], [], patient(seconds))
        assert ready, f"nothing more came after: {self.shown[-500:]}"
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # how Linux says that the other end was closed
            data = b""
        self.shown += data.decode()
        return data

    def asked(self, question):
        """Wait until the question, which has not been shown yet, stands there."""
        since = len(self.shown)
        while not re.search(question, self.shown[since:]):
            if not self.read():
                raise AssertionError(f"{question!r} was not asked: {self.shown}")
        # getpass switches the echo off just after it has asked
        time.sleep(0.05)

    def answer(self, question, text):
        """Type a text once the question stands there."""
        self.asked(question)
        os.write(self.fd, f"{text}\n".encode())

    def end(self):
        while self.read():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def interrupt(self):
        """Press Ctrl-C; again where nothing comes of it, as of one between a question and its wait for the answer."""
        for _ in range(20):
            os.kill(self.pid, signal.SIGINT)
            if select.select([self.fd], [], [], patient(1))[0]:
                return


@pytest.fixture
def http():
    with HttpSink() as sink:
        sink.answers[f"/bot{TOKEN}/getUpdates"] = CHATS
        yield sink


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "secrets").mkdir()
    return tmp_path


def skip(terminal, *questions):
    for question in questions:
        terminal.answer(question, "")


def test_the_eight_answers_are_tried_and_written(folder, http):
    with MailSink() as mail:
        (folder / ".env").write_text("WEBHOOK_PORT=8081\nSMTP_TLS=no\n")
        terminal = Terminal(folder, TELEGRAM_API=http.url)
        terminal.answer("1/8", "en")
        terminal.answer("Time zone", "WITA")
        terminal.answer("Address", "https://alerts.toko.id")
        terminal.answer("bot's token", TOKEN)
        terminal.answer("press Enter", "")
        terminal.answer("chat's number \\[-100777\\]", "")
        terminal.answer("webhook's address", f"{http.url}/slack")
        terminal.answer("SMTP server", mail.address)
        terminal.answer("Account", "")
        terminal.answer("Sender", "alerts@toko.id")
        terminal.answer("To ", "ops@toko.id")
        terminal.answer("Apprise", "json://sms.example")
        terminal.answer("To ", "boss@toko.id")
        terminal.answer("chat's number", "")

        assert terminal.end() == 0
        sent = [message["Subject"].strip() for message in mail.to("ops@toko.id")]

    assert read_env(folder / ".env") == {
        "WEBHOOK_PORT": "8081",
        "SMTP_TLS": "no",
        "LANGUAGE": "en",
        "TIMEZONE": "WITA",
        "PUBLIC_URL": "https://alerts.toko.id",
        "TELEGRAM_CHAT": "-100777",
        "SMTP_HOST": mail.address,
        "SMTP_FROM": "alerts@toko.id",
        "MAIL_TO": "ops@toko.id",
        "MANAGEMENT_MAIL_TO": "boss@toko.id",
    }
    secrets = {path.name: path.read_text().strip() for path in (folder / "secrets").iterdir()}
    assert secrets == {"telegram_bot_token": TOKEN, "slack_url": f"{http.url}/slack", "sms_urls": "json://sms.example"}
    private = [folder / ".env", *(folder / "secrets").iterdir()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}
    assert sent == ["Test of device-exporter: messages about devices that go down will come here."]
    assert [post.json["text"] for post in http.at("/slack")] == sent
    assert [post.json["chat_id"] for post in http.at(f"/bot{TOKEN}/sendMessage")] == [-100777]
    assert "-100777  Tim Toko" in terminal.shown
    assert TOKEN not in terminal.shown
    assert f"{http.url}/slack" not in terminal.shown


def test_what_cannot_be_reached_is_said_and_kept(folder):
    terminal = Terminal(folder, COMPOSE="true")
    skip(terminal, "1/8", "Zona waktu ", "Alamat, ", "Token bot")
    terminal.answer("Alamat webhook", DEAD)
    skip(terminal, "Server SMTP", "Alamat Apprise")

    assert terminal.end() == 0
    assert "Tidak dicoba, karena tidak terjangkau dari sini" in terminal.shown
    assert terminal.shown.strip().endswith("Sekarang jalankan: make up")
    assert (folder / "secrets/slack_url").read_text() == f"{DEAD}\n"


def test_what_is_refused_is_asked_again(folder, http):
    http.status = 404
    terminal = Terminal(folder)
    skip(terminal, "1/8", "Zona waktu ", "Alamat, ", "Token bot")
    terminal.answer("Alamat webhook", f"{http.url}/wrong")
    terminal.answer("Coba lagi", "y")
    http.status = 200
    terminal.answer("Alamat webhook", f"{http.url}/right")
    skip(terminal, "Server SMTP", "Alamat Apprise")

    assert terminal.end() == 0
    assert "Ditolak: 404" in terminal.shown
    assert (folder / "secrets/slack_url").read_text() == f"{http.url}/right\n"


def test_a_wrong_answer_is_explained_and_asked_again(folder):
    terminal = Terminal(folder, COMPOSE="no-such-program compose")
    terminal.answer("1/8", "jawa")
    terminal.answer("1/8", "id")
    terminal.answer("Zona waktu ", "Bandung")
    terminal.answer("Zona waktu ", "WIT")
    terminal.answer("Alamat, ", "http://localhost")
    terminal.answer("Alamat, ", "")
    skip(terminal, "Token bot", "Alamat webhook", "Server SMTP", "Alamat Apprise")

    assert terminal.end() == 0
    assert "expected WIB, WITA, WIT or a zone" in terminal.shown
    assert read_env(folder / ".env") == {"LANGUAGE": "id", "TIMEZONE": "WIT"}
    assert "Belum ada yang diberi tahu" in terminal.shown
    last = terminal.shown.strip().splitlines()[-1]
    assert "Docker Compose belum terpasang" in last
    assert last.endswith("(https://docs.docker.com/engine/install/), lalu jalankan: make up")


def test_enter_keeps_what_was_answered_before_and_a_dash_takes_it_away(folder, http):
    (folder / ".env").write_text("LANGUAGE=en\nTIMEZONE=WIT\nPUBLIC_URL=https://old.toko.id\n")
    (folder / "secrets/slack_url").write_text(f"{http.url}/slack\n")
    (folder / "secrets/sms_urls").write_text("json://old\n")
    terminal = Terminal(folder)
    skip(terminal, "1/8", "Time zone", "Address")
    skip(terminal, "bot's token", "webhook's address", "SMTP server")
    terminal.answer("Apprise", "-")

    assert terminal.end() == 0
    assert read_env(folder / ".env") == {"LANGUAGE": "en", "TIMEZONE": "WIT", "PUBLIC_URL": "https://old.toko.id"}
    assert [path.name for path in (folder / "secrets").iterdir()] == ["slack_url"]


def test_ctrl_c_changes_nothing(folder):
    terminal = Terminal(folder)
    terminal.answer("1/8", "en")
    terminal.answer("Time zone", "WIT")
    terminal.asked("Address")
    terminal.interrupt()

    assert terminal.end() == 130
    assert not (folder / ".env").exists()


def test_without_a_terminal_it_says_what_to_do():
    done = subprocess.run(
        [sys.executable, "-m", "scripts.setup"],
        check=False,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 2
    assert ".env.example" in done.stderr
