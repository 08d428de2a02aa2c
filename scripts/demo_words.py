"""What the demo and its catcher say, in both languages, and which of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

from scripts.env_file import read_env

LANGUAGES: Final = ("id", "en")


class Words(NamedTuple):
    """One language. Texts with braces are formats."""

    history: str
    ready: str
    not_started: str
    ended: str
    failed: str
    full: str
    pages: str
    status_page: str
    messages: str
    grafana: str
    stop: str
    stopping: str
    title: str
    """Of the catcher's page."""
    so_far: str
    minutes_ago: str
    just_now: str
    mail: str
    chat: str
    webhook_channel: str
    characters: str
    scan: str
    scan_hint: str


INDONESIAN: Final = Words(
    history="menulis riwayat {} hari, sekali saja",
    ready="{} siap",
    not_started="{} tidak mau mulai; lihat {}",
    ended="{} berhenti sendiri; lihat {}",
    failed="sebuah langkah gagal: lihat di atas, dan *.log di {}",
    full="terisi setelah {:.0f} detik",
    pages="(halaman, insiden, API, metrik)",
    status_page="halaman status",
    messages="(surel, Slack, Telegram, dan SMS seperti yang diterima orang)",
    grafana="Grafana ada di stack: COMPOSE_PROJECT_NAME=demo docker compose --profile demo up -d --wait",
    stop="Ctrl-C menghentikan semuanya.",
    stopping="berhenti",
    title="Pesan",
    so_far="Sudah ada {} pesan, yang terbaru di atas: seperti tampil di surel, Slack, Telegram, dan SMS.",
    minutes_ago="{} mnt lalu",
    just_now="baru saja",
    mail="surel",
    chat="chat {}",
    webhook_channel="channel milik webhook",
    characters="{} karakter",
    scan="Pindai",
    scan_hint="Di sini {} menampilkan kode QR sesi {}. Ponselnya memindai kode itu di Perangkat tertaut.",
)

ENGLISH: Final = Words(
    history="writing {} days of history, once",
    ready="{} is ready",
    not_started="{} did not start; see {}",
    ended="{} ended; see {}",
    failed="a step failed: see above, and *.log in {}",
    full="full after {:.0f} s",
    pages="(pages, incidents, API, metrics)",
    status_page="status page",
    messages="(mail, Slack, Telegram and SMS as people get them)",
    grafana="Grafana is part of the stack: COMPOSE_PROJECT_NAME=demo docker compose --profile demo up -d --wait",
    stop="Ctrl-C stops all of this.",
    stopping="stopping",
    title="Messages",
    so_far="{} messages so far, the newest first: as mail, Slack, Telegram and SMS show them.",
    minutes_ago="{} min ago",
    just_now="just now",
    mail="e-mail",
    chat="chat {}",
    webhook_channel="the channel of the webhook",
    characters="{} characters",
    scan="Scan",
    scan_hint="Here {} would show the QR code of the session {}. Its phone scans it under Linked devices.",
)


def language_here() -> str:
    """Return what LANGUAGE says in the `.env` beside these scripts, else in the shell, which may say en_US:en."""
    here = Path(__file__).resolve().parent.parent / ".env"
    given = (read_env(here).get("LANGUAGE", ""), os.environ.get("LANGUAGE", ""))
    return next((value[:2].lower() for value in given if value[:2].lower() in LANGUAGES), "id")


def words_of(language: str) -> Words:
    """Return what is said in a language."""
    return ENGLISH if language == "en" else INDONESIAN
