"""The demo's catcher: takes mail, Slack, Telegram and SMS, and shows each as its receiver would see it.

    python -m scripts.catcher [--host 127.0.0.1] [--port 8025] [--mail-port 1025] [--language id]

It keeps the newest messages in memory and passes none on. To a link for a scan it answers in place of the gateway.
"""

from __future__ import annotations

import argparse
import email
import email.policy
import html
import json
import re
import socketserver
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import unquote

from scripts.demo_words import LANGUAGES, Words, language_here, words_of

if TYPE_CHECKING:
    from email.message import EmailMessage

KEPT: Final = 200
LARGEST: Final = 1_000_000
"""Bytes of a message."""
PAGE: Final = """<!doctype html><html lang="{language}"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="5"><title>{title}</title><style>
:root {{ color-scheme: light dark }}
body {{ font: 16px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 640px; padding: 0 1rem }}
article {{ border: 1px solid #8886; border-radius: .6rem; margin: 1rem 0; overflow: hidden }}
header {{ background: #8882; font-size: .85rem; padding: .4rem .8rem }}
iframe {{ background: #fff; border: 0; height: 19rem; width: 100% }}
p {{ margin: 0; overflow-wrap: anywhere; padding: .8rem; white-space: pre-line }}</style>
<h1>{title}</h1><div>{so_far}</div>
{messages}</html>"""

SCAN: Final = """<!doctype html><html lang="{language}"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>{title}</title><style>:root {{ color-scheme: light dark }}
body {{ font: 16px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 640px; padding: 0 1rem }}</style>
<h1>{title}</h1><p>{text}</p></html>"""


class Message(NamedTuple):
    """One message: its way, for whom, when, and plain text, or HTML to show in a frame without scripts."""

    way: str
    to: str
    at: float
    text: str
    framed: str = ""

    def card(self, words: Words) -> str:
        """Return it as HTML."""
        minutes = int(time.time() - self.at) // 60
        when = words.minutes_ago.format(minutes) if minutes else words.just_now
        shown = (
            f'<iframe sandbox srcdoc="{html.escape(self.framed)}"></iframe>'
            if self.framed
            else f"<p>{html.escape(self.text)}</p>"
        )
        return f"<article><header>{html.escape(f'{self.way} · {self.to} · {when}')}</header>{shown}</article>"


class Box:
    """The newest messages, and the words around them. Safe for threads."""

    def __init__(self, language: str) -> None:
        self.language, self.words = language, words_of(language)
        self._messages: deque[Message] = deque(maxlen=KEPT)
        self._count = 0
        self._lock = threading.Lock()

    def put(self, message: Message) -> None:
        """Keep one."""
        with self._lock:
            self._messages.appendleft(message)
            self._count += 1

    def page(self) -> str:
        """Return the page of all that are kept."""
        with self._lock:
            cards = "".join(each.card(self.words) for each in self._messages)
            so_far = self.words.so_far.format(self._count)
        return PAGE.format(language=self.language, title=self.words.title, so_far=so_far, messages=cards)

    def scan_page(self, path: str) -> str:
        """Return the page that the gateway itself would have for a session, /scan/GATEWAY/SESSION."""
        gateway, _, session = unquote(path.removeprefix("/scan/")).partition("/")
        text = html.escape(self.words.scan_hint.format(gateway, session))
        return SCAN.format(language=self.language, title=self.words.scan, text=text)


def of_mail(to: str, raw: bytes, now: float, words: Words) -> Message:
    """Return a mail as its reader shows it: its HTML, else its text."""
    mail: EmailMessage = email.message_from_bytes(raw, policy=email.policy.default)
    part = mail.get_body(("html", "plain"))
    body = part.get_content().replace("\r\n", "\n") if part is not None else ""
    is_html = part is not None and part.get_content_subtype() == "html"
    subject = str(mail["Subject"] or "")
    framed = f"<h3>{html.escape(subject)}</h3>{body}" if is_html else ""
    return Message(words.mail, to, now, f"{subject}\n{body}", framed)


def of_post(path: str, body: dict[str, Any], now: float, words: Words) -> Message:
    """Return what Slack, Telegram or an SMS gateway was sent."""
    if path.endswith("/sendMessage"):
        text = str(body.get("text", "")).replace("\n", "<br>")
        framed = f'<body style="font: 16px system-ui">{text}'
        return Message("Telegram", words.chat.format(body.get("chat_id")), now, "", framed)
    if path == "/slack":
        lines = [text for each in body.get("attachments", []) for text in (each.get("title"), each.get("text")) if text]
        return Message("Slack", str(body.get("channel") or words.webhook_channel), now, _slack("\n".join(lines)))
    text = str(body.get("message", ""))
    return Message("SMS", words.characters.format(len(text)), now, text)


def _slack(text: str) -> str:
    named = re.sub(r"<(https?://[^|>]+)\|([^>]+)>", r"\2 (\1)", text)
    return html.unescape(re.sub(r"\*([^*\n]+)\*", r"\1", named))


def web(box: Box) -> type[BaseHTTPRequestHandler]:
    """Return the handler that shows the page and takes posts."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = box.scan_page(self.path) if self.path.startswith("/scan/") else box.page()
            self._answer(page.encode(), "text/html; charset=utf-8")

        def do_POST(self) -> None:
            length = min(int(self.headers.get("Content-Length", 0)), LARGEST)
            box.put(of_post(self.path, json.loads(self.rfile.read(length)), time.time(), box.words))
            told = {"ok": True, "result": {"message_id": 1, "date": 0, "chat": {"id": 1, "type": "group"}}}
            if self.path == "/slack":  # whose answer is a word; as JSON it would be no answer, and be tried again
                self._answer(b"ok", "text/plain")
            else:
                self._answer(json.dumps(told).encode(), "application/json")

        def _answer(self, body: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    return Handler


def mail(box: Box) -> type[socketserver.StreamRequestHandler]:
    """Return the handler that speaks as much of SMTP as a sender on this machine needs."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            to = ""
            self._say("220 catcher")
            while line := self.rfile.readline(4096).decode(errors="replace").strip():
                verb = line[:4].upper()
                if verb == "QUIT":
                    self._say("221 bye")
                    return
                if verb == "RCPT":
                    to = line.partition(":")[2].strip(" <>")
                if verb == "DATA":
                    self._say("354 go on")
                    box.put(of_mail(to, self._data(), time.time(), box.words))
                self._say("250 ok")

        def _data(self) -> bytes:
            lines: list[bytes] = []
            while (line := self.rfile.readline()) not in (b".\r\n", b""):
                lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
            return b"".join(lines)

        def _say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    return Handler


class _Mail(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def main() -> int:
    """Serve until it is ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1", help="what it listens on")
    parser.add_argument("--port", type=int, default=8025, help="of the page and of posts")
    parser.add_argument("--mail-port", type=int, default=1025, help="of SMTP")
    parser.add_argument(
        "--language", choices=LANGUAGES, default=language_here(), help="of its page; else LANGUAGE of .env"
    )
    options = parser.parse_args()
    box = Box(options.language)
    with _Mail((options.host, options.mail_port), mail(box)) as smtp:
        threading.Thread(target=smtp.serve_forever, daemon=True).start()
        with ThreadingHTTPServer((options.host, options.port), web(box)) as pages:
            pages.serve_forever()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
