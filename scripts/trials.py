"""One message by each way, to see that it arrives: what `make setup` tries before it writes anything."""

from __future__ import annotations

import json
import os
import smtplib
import ssl
from email.message import EmailMessage
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

TIMEOUT = 15
TELEGRAM = "https://api.telegram.org"


class Refused(Exception):
    """The other side was reached and said no."""


class Unreachable(Exception):
    """The other side could not be reached from here: nothing is known about the answer."""


def try_slack(url: str, text: str) -> None:
    """Post a text to an incoming webhook."""
    _post(url, {"text": text})


def try_telegram(token: str, chat: int, text: str) -> None:
    """Send a text to a chat."""
    _telegram(token, "sendMessage", {"chat_id": chat, "text": text})


def chats(token: str) -> dict[int, str]:
    """Return the chats that wrote to the bot lately, with their names."""
    found = {}
    for update in _telegram(token, "getUpdates", {}).get("result", []):
        for part in update.values():
            chat = part.get("chat") if isinstance(part, dict) else None
            if chat:
                names = (chat.get("title"), chat.get("first_name"), chat.get("username"))
                found[int(chat["id"])] = next(filter(None, names), "")
    return found


def try_mail(host: str, user: str, password: str, sender: str, to: str, text: str, *, tls: bool = True) -> None:
    """Send a mail as Alertmanager will."""
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = text, sender, to
    message.set_content(text)
    name, _, port = host.rpartition(":")
    try:
        with _connected(name.strip("[]"), int(port), tls=tls) as server:
            if user:
                server.login(user, password)
            server.send_message(message)
    except smtplib.SMTPResponseException as error:
        raise Refused(_short(error.smtp_error)) from None
    except smtplib.SMTPRecipientsRefused as error:
        raise Refused(_short(next(iter(error.recipients.values()))[1])) from None
    except smtplib.SMTPException as error:
        raise Refused(_short(error)) from None
    except OSError as error:
        raise Unreachable(_short(error)) from None


def _connected(host: str, port: int, *, tls: bool) -> smtplib.SMTP:
    context = ssl.create_default_context()
    if port == 465:
        return smtplib.SMTP_SSL(host, port, timeout=TIMEOUT, context=context)
    server = smtplib.SMTP(host, port, timeout=TIMEOUT)
    if tls:
        server.starttls(context=context)
    return server


def _telegram(token: str, method: str, body: dict[str, object]) -> dict[str, Any]:
    base = os.environ.get("TELEGRAM_API", TELEGRAM)
    answer: dict[str, Any] = json.loads(_post(f"{base}/bot{token}/{method}", body) or b"{}")
    return answer


def _post(url: str, body: dict[str, object]) -> bytes:
    """Return the answer's body. No message shows the address: it holds a secret."""
    request = Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urlopen(request, timeout=TIMEOUT) as answer:
            content: bytes = answer.read()
            return content
    except HTTPError as error:
        with error:
            raise Refused(f"{error.code} {_short(error.read(300))}") from None
    except URLError as error:
        raise Unreachable(_short(error.reason)) from None
    except (OSError, HTTPException, ValueError) as error:
        raise Unreachable(_short(error)) from None


def _short(reason: object) -> str:
    text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
    return " ".join(text.split())[:200]
