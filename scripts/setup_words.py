"""What `make setup` says, in both languages."""

from __future__ import annotations

from typing import NamedTuple


class Words(NamedTuple):
    """One language."""

    keys: str
    timezone: str
    zone: str
    address: str
    url: str
    telegram: str
    token: str
    write_to_bot: str
    chat: str
    slack: str
    webhook: str
    mail: str
    server: str
    user: str
    password: str
    sender: str
    to: str
    sms: str
    apprise: str
    management: str
    kept: str
    test: str
    sent: str
    unreachable: str
    refused: str
    again: str
    nobody: str
    done: str
    no_compose: str
    """Instead of what is done: the next step needs Docker Compose, which is not here."""


INDONESIAN = Words(
    keys="Enter memakai yang ada di dalam kurung atau melewati pertanyaan; - menghapusnya.",
    timezone="Zona waktu untuk pesan, jam tenang, dan laporan: WIB, WITA, WIT, atau misalnya Asia/Singapore.",
    zone="Zona waktu",
    address="Alamat mesin ini di internet, untuk webhook dan tautan di pesan. Tanpa alamat, pesan tanpa tautan.",
    url="Alamat, misalnya https://alerts.example.com",
    telegram="Telegram: buat bot di @BotFather (/newbot), lalu masukkan bot itu ke grup tim.",
    token="Token bot",
    write_to_bot="Kirim satu pesan di grup itu sekarang (atau ke bot), lalu tekan Enter.",
    chat="Nomor chat",
    slack="Slack: buat Incoming Webhook di api.slack.com/apps.",
    webhook="Alamat webhook",
    mail="Surel (e-mail).",
    server="Server SMTP, misalnya smtp.gmail.com:587",
    user="Nama akun",
    password="Kata sandi",
    sender="Pengirim",
    to="Kepada (beberapa alamat dipisah koma)",
    sms="SMS, WhatsApp, atau lainnya lewat Apprise (docs/notify.id.md); dicoba dengan device-exporter notify-test.",
    apprise="Alamat Apprise, dipisah spasi",
    management="Manajemen: mendapat eskalasi dan gangguan massal.",
    kept="tetap yang sekarang",
    test="Uji coba dari device-exporter: pesan gangguan perangkat akan sampai di sini.",
    sent="Pesan uji coba terkirim: periksa apakah sampai.",
    unreachable="Tidak dicoba, karena tidak terjangkau dari sini: {}. Jawaban tetap disimpan.",
    refused="Ditolak: {}",
    again="Coba lagi? [Y/t]",
    nobody="Belum ada yang diberi tahu bila perangkat mati: isi Telegram, Slack, surel, atau SMS.",
    done="Tersimpan di .env dan secrets/. Sekarang jalankan: make up",
    no_compose="Tersimpan di .env dan secrets/. Docker Compose belum terpasang di sini: pasang Docker beserta plugin "
    "Compose-nya (https://docs.docker.com/engine/install/), lalu jalankan: make up",
)

ENGLISH = Words(
    keys="Enter takes what stands in brackets, or skips the question; - takes it away.",
    timezone="The time zone of messages, quiet hours and reports: WIB, WITA, WIT, or for instance Asia/Singapore.",
    zone="Time zone",
    address="This machine's address on the internet, for webhooks and links in messages. Without it: no links.",
    url="Address, such as https://alerts.example.com",
    telegram="Telegram: make a bot at @BotFather (/newbot), then add it to the team's group.",
    token="The bot's token",
    write_to_bot="Write one message in that group now (or to the bot), then press Enter.",
    chat="The chat's number",
    slack="Slack: make an Incoming Webhook at api.slack.com/apps.",
    webhook="The webhook's address",
    mail="E-mail.",
    server="SMTP server, such as smtp.gmail.com:587",
    user="Account",
    password="Password",
    sender="Sender",
    to="To (several addresses with commas)",
    sms="SMS, WhatsApp or another service by Apprise (docs/notify.md); tried with device-exporter notify-test.",
    apprise="Apprise addresses, parted by spaces",
    management="Management: hears of escalations and mass outages.",
    kept="as it is",
    test="Test of device-exporter: messages about devices that go down will come here.",
    sent="The test message was sent: look whether it arrived.",
    unreachable="Not tried, as it cannot be reached from here: {}. The answer is kept.",
    refused="Refused: {}",
    again="Again? [Y/n]",
    nobody="Nobody is told yet when a device goes down: answer at least one of Telegram, Slack, e-mail or SMS.",
    done="Saved in .env and secrets/. Now: make up",
    no_compose="Saved in .env and secrets/. Docker Compose is not installed here: install Docker with its Compose "
    "plugin (https://docs.docker.com/engine/install/), then: make up",
)
