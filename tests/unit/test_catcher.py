"""The demo's catcher: what is sent to it is shown as its receiver would see it."""

from __future__ import annotations

import json
import smtplib
import subprocess
import sys
import urllib.error
import urllib.request
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

import pytest

from tests.patience import wait_for
from tests.ports import free_port
from tests.tools import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator


class Catcher:
    def __init__(self, port: int, mail_port: int) -> None:
        self.url, self.mail_port = f"http://127.0.0.1:{port}", mail_port

    def page(self) -> str:
        with urllib.request.urlopen(self.url, timeout=10) as answer:
            text: str = answer.read().decode()
        return text

    def answers(self) -> bool:
        try:
            return bool(self.page())
        except urllib.error.URLError:
            return False

    def post(self, path: str, body: dict[str, Any]) -> bytes:
        request = urllib.request.Request(f"{self.url}{path}", json.dumps(body).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            found: bytes = answer.read()
        return found


@pytest.fixture(scope="module")
def catcher() -> Iterator[Catcher]:
    port, mail_port = free_port(), free_port()
    command = [sys.executable, "-m", "scripts.catcher", f"--port={port}", f"--mail-port={mail_port}", "--language=id"]
    with subprocess.Popen(command, cwd=ROOT) as process:
        running = Catcher(port, mail_port)
        wait_for(running.answers, "the catcher answers", 20)
        yield running
        process.terminate()


def test_a_mail_is_shown_as_its_html_in_a_frame_without_scripts(catcher: Catcher) -> None:
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = "🔴 MATI: Kasir", "a@demo.invalid", "team@demo.invalid"
    mail.set_content("plain")
    mail.add_alternative("<b>Toko Makmur</b>\n.\n", subtype="html")
    with smtplib.SMTP("127.0.0.1", catcher.mail_port, timeout=10) as client:
        client.send_message(mail)
    page = catcher.page()
    assert "surel · team@demo.invalid · baru saja" in page
    assert "&lt;h3&gt;🔴 MATI: Kasir&lt;/h3&gt;&lt;b&gt;Toko Makmur&lt;/b&gt;\n.\n" in page
    assert "iframe sandbox srcdoc" in page


def test_slack_telegram_and_sms_are_shown_as_texts(catcher: Catcher) -> None:
    text = {"title": "🔴 Kasir", "text": "*Bisnis*: Toko &amp; Co <https://x.example|Halaman>"}
    with urllib.request.urlopen(
        urllib.request.Request(f"{catcher.url}/slack", json.dumps({"attachments": [text]}).encode(), method="POST"),
        timeout=10,
    ) as answer:  # Alertmanager takes anything else for a failure, and tries again and again
        assert (answer.read(), answer.headers.get_content_type()) == (b"ok", "text/plain")
    assert json.loads(catcher.post("/botdemo/sendMessage", {"chat_id": 1, "text": "<b>MATI</b>\nKasir"}))["ok"]
    catcher.post("/sms", {"message": "MATI: Kasir <script>"})
    page = catcher.page()
    assert "🔴 Kasir\nBisnis: Toko &amp; Co Halaman (https://x.example)" in page
    assert "&lt;b&gt;MATI&lt;/b&gt;&lt;br&gt;Kasir" in page
    assert "SMS · 20 karakter" in page
    assert "<h1>Pesan</h1>" in page
    assert "<script>" not in page
