"""`make setup`: eight questions in a terminal, each answer tried where it can be; then .env and secrets/ are written.

Enter keeps what stands in brackets, "-" takes it away. Nothing is written before the last answer:
Ctrl-C changes nothing.
"""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from scripts import settings, trials
from scripts.env_file import read_env, write_env, write_private
from scripts.setup_words import ENGLISH, INDONESIAN, Words

if TYPE_CHECKING:
    from collections.abc import Callable

GONE = "-"


class Setup:
    """The answers, and the words to ask for them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.before = read_env(folder / ".env")
        self.values: dict[str, str] = {}
        self.secrets: dict[str, str] = {}
        self.words: Words = INDONESIAN

    def run(self) -> None:
        """Ask everything, then write."""
        self.language()
        self.timezone()
        self.address()
        self.telegram()
        self.slack()
        self.mail()
        self.sms()
        self.management()
        self.write()

    # -- the questions ---------------------------------------------------------------------------------------------
    def language(self) -> None:
        """Ask for the language first: all that follows is asked in it."""
        print("Bahasa / language: id = Bahasa Indonesia, en = English")
        self.ask("LANGUAGE", "1/8", settings.language, "id")
        self.words = ENGLISH if self.values["LANGUAGE"] == "en" else INDONESIAN
        print(f"\n{self.words.keys}")

    def timezone(self) -> None:
        """Ask for WIB, WITA, WIT or any zone."""
        self.head(2, self.words.timezone)
        self.ask("TIMEZONE", self.words.zone, settings.timezone, "WIB")

    def address(self) -> None:
        """Ask for the address; without one messages have no links."""
        self.head(3, self.words.address)
        self.ask("PUBLIC_URL", self.words.url, settings.public_url)

    def telegram(self) -> None:
        """Ask for a token, and for a chat that the bot knows."""
        self.head(4, self.words.telegram)
        token = self.ask_secret("telegram_bot_token", self.words.token)
        if not token:
            self.values["TELEGRAM_CHAT"] = ""
            return
        self.show_chats(token)
        self.chat("TELEGRAM_CHAT", token)

    def slack(self) -> None:
        """Ask for an incoming webhook."""
        self.head(5, self.words.slack)
        self.until_tried(
            lambda: self.ask_secret("slack_url", self.words.webhook),
            lambda url: trials.try_slack(url, self.words.test),
        )

    def mail(self) -> None:
        """Ask for server, account and who gets it."""
        self.head(6, self.words.mail)

        def answers() -> str:
            if not self.ask("SMTP_HOST", self.words.server, settings.host_and_port):
                self.values |= {"SMTP_USER": "", "SMTP_FROM": "", "MAIL_TO": ""}
                self.secrets["smtp_password"] = ""
                return ""
            user = self.ask("SMTP_USER", self.words.user, str)
            if user:
                self.ask_secret("smtp_password", self.words.password)
            if not settings.MAIL.fullmatch(user):
                self.ask("SMTP_FROM", self.words.sender, settings.sender)
            return self.ask("MAIL_TO", self.words.to, settings.mail_addresses)

        self.until_tried(answers, self.try_mail)

    def sms(self) -> None:
        """Ask for Apprise addresses, which `device-exporter notify-test` tries once the stack runs."""
        self.head(7, self.words.sms)
        self.ask_secret("sms_urls", self.words.apprise)

    def management(self) -> None:
        """Ask who hears of what lasts, by the ways that are on."""
        self.head(8, self.words.management)
        if self.values["SMTP_HOST"]:
            self.ask("MANAGEMENT_MAIL_TO", self.words.to, settings.mail_addresses)
        token = self.secret("telegram_bot_token")
        if token:
            self.chat("MANAGEMENT_TELEGRAM_CHAT", token)

    # -- one answer ------------------------------------------------------------------------------------------------
    def head(self, number: int, text: str) -> None:
        """Begin a question."""
        print(f"\n{number}/8  {text}")

    def ask(self, key: str, text: str, check: Callable[[str], object], default: str = "") -> str:
        """Ask until the answer can be used; remember it under its key."""
        shown = self.values.get(key) or self.before.get(key) or default
        while True:
            answer = input(f"  {text}{f' [{shown}]' if shown else ''}: ").strip() or shown
            if answer in ("", GONE):
                self.values[key] = ""
                return ""
            try:
                check(answer)
            except ValueError as error:
                print(f"  ! {error}")
                continue
            self.values[key] = answer if key != "LANGUAGE" else settings.language(answer)
            return self.values[key]

    def ask_secret(self, name: str, text: str) -> str:
        """Ask without showing what is typed; Enter keeps the secret that is there."""
        shown = f" [{self.words.kept}]" if self.secret(name) else ""
        while True:
            answer = getpass.getpass(f"  {text}{shown}: ").strip()
            if not answer:
                return self.secret(name)
            self.secrets[name] = "" if answer == GONE else answer
            problem = settings.problem_with(name, self.secrets[name])
            if not problem:
                return self.secrets[name]
            print(f"  ! {problem}")
            del self.secrets[name]

    def secret(self, name: str) -> str:
        """Return the answer, else what .env or secrets/ had."""
        file = self.folder / "secrets" / name
        kept = self.before.get(name.upper()) or (file.read_text(encoding="utf-8").strip() if file.is_file() else "")
        return self.secrets.get(name, kept)

    def chat(self, key: str, token: str) -> None:
        """Ask for a chat and write to it."""
        self.until_tried(
            lambda: self.ask(key, self.words.chat, settings.chat),
            lambda chat: trials.try_telegram(token, int(chat), self.words.test),
        )

    def show_chats(self, token: str) -> None:
        """Show the numbers of the chats that wrote to the bot: nobody knows them by heart."""
        input(f"  {self.words.write_to_bot} ")
        try:
            found = trials.chats(token)
        except (trials.Refused, trials.Unreachable) as error:
            print(f"  ! {error}")
            return
        for number, name in found.items():
            print(f"    {number}  {name}")
        if found and not self.before.get("TELEGRAM_CHAT"):
            self.values["TELEGRAM_CHAT"] = str(next(iter(found)))

    def try_mail(self, to: str) -> None:
        """Send a mail with what was answered."""
        user = self.values["SMTP_USER"]
        sender = self.values.get("SMTP_FROM") or f"Device Exporter <{user}>"
        tls = settings.yes_or_no(self.before.get("SMTP_TLS") or "yes")
        host = settings.host_and_port(self.values["SMTP_HOST"])
        trials.try_mail(host, user, self.secret("smtp_password"), sender, to, self.words.test, tls=tls)

    def until_tried(self, answer: Callable[[], str], trial: Callable[[str], None]) -> None:
        """Ask and try, again where the other side refuses; what cannot be reached from here is kept, and said."""
        while value := answer():
            try:
                trial(value)
            except trials.Unreachable as error:
                print(f"  ? {self.words.unreachable.format(error)}")
                return
            except trials.Refused as error:
                print(f"  ! {self.words.refused.format(error)}")
                if input(f"  {self.words.again} ").strip().lower() in ("n", "no", "t", "tidak"):
                    return
            else:
                print(f"  ✓ {self.words.sent}")
                return

    # -- the end ---------------------------------------------------------------------------------------------------
    def write(self) -> None:
        """Write both; a secret that stood in .env stays there."""
        (self.folder / "secrets").chmod(0o700)
        for name, value in self.secrets.items():
            if name.upper() in self.before:
                self.values[name.upper()] = value
            elif value:
                write_private(self.folder / "secrets" / name, f"{value}\n")
            else:
                (self.folder / "secrets" / name).unlink(missing_ok=True)
        write_env(self.folder / ".env", self.values)
        ways = [*map(self.secret, ("telegram_bot_token", "slack_url", "sms_urls")), self.values["MAIL_TO"]]
        if not any(ways):
            print(f"\n! {self.words.nobody}")
        print(f"\n{self.words.done if has_compose() else self.words.no_compose}")


def has_compose() -> bool:
    """Return whether the next step, `make up`, finds Docker Compose."""
    command = [*(os.environ.get("COMPOSE") or "docker compose").split(), "version"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def main() -> int:
    """Ask the person at this terminal."""
    if not sys.stdin.isatty():
        print("make setup asks questions and needs a terminal; without one copy .env.example to .env", file=sys.stderr)
        return 2
    try:
        Setup(Path(os.environ.get("SETUP_FOLDER", "."))).run()
    except (KeyboardInterrupt, EOFError):
        print("\nnothing was changed", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
