"""The texts of the dashboards in Indonesian. A text without a translation is an error, so that none is forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

LANGUAGES: Final = ("en", "id")


def translator(language: str) -> Callable[[str], str]:
    """Return what turns an English text into one of the language. Raises KeyError for a text without a translation."""
    return str if language == "en" else INDONESIAN.__getitem__


INDONESIAN: Final = {
    # Words
    "Incidents": "Insiden",
    "Open its incidents": "Buka insidennya",
    "Alert": "Peringatan",
    "Alerts": "Peringatan",
    "Availability": "Ketersediaan",
    "Backup channel id": "Id channel cadangan",
    "Burn": "Laju pakai",
    "Business": "Bisnis",
    "Business id": "Id bisnis",
    "Channel": "Channel",
    "Channel id": "Id channel",
    "Configuration": "Konfigurasi",
    "Connected": "Terhubung",
    "Conversations": "Percakapan",
    "Dashboards": "Dasbor",
    "Device": "Perangkat",
    "Device id": "Id perangkat",
    "Devices": "Perangkat",
    "Disconnected": "Terputus",
    "Down for": "Terputus selama",
    "Downtime": "Waktu putus",
    "Engine": "Jenis channel",
    "Exhausted": "Jatah habis",
    "Exporter": "Exporter",
    "Exporters": "Exporter",
    "For": "Selama",
    "History": "Riwayat",
    "Identity": "Identitas",
    "Loaded": "Dimuat",
    "Maintenance": "Pemeliharaan",
    "Method": "Cara menghitung",
    "None": "Tidak ada",
    "Now": "Saat ini",
    "Objective": "Target",
    "Outage": "Gangguan",
    "Outages": "Gangguan",
    "Quarantine": "Karantina",
    "Refused": "Ditolak",
    "Runbook": "Panduan",
    "Severity": "Tingkat",
    "Since": "Sejak",
    "State": "Keadaan",
    "Unknown": "Tidak diketahui",
    "User": "Pengguna",
    "Warnings": "Peringatan biasa",
    "connected": "terhubung",
    "conversations": "percakapan",
    "critical": "kritis",
    "delivered": "terkirim",
    "direct alert delivered": "peringatan langsung terkirim",
    "down": "terputus",
    "downtime": "waktu putus",
    "failed": "gagal",
    "good": "baik",
    "half": "separuh",
    "info": "info",
    "no": "tidak",
    "not delivered": "tidak terkirim",
    "objective {{engine}}": "target {{engine}}",
    "outages": "gangguan",
    "state": "keadaan",
    "warning": "peringatan",
    "yes": "ya",
    "99 of 100": "99 dari 100",
    # Fleet overview
    "Fleet overview": "Ikhtisar perangkat",
    "What is down now, whom it touches, and how the fleet does against its objectives.": (
        "Perangkat mana yang terputus, siapa yang terdampak, dan apakah target tercapai."
    ),
    "Mass outage": "Gangguan massal",
    "Exporter blind": "Exporter tidak memantau",
    "Devices down": "Perangkat terputus",
    "Devices that are disconnected now.": "Perangkat yang sedang terputus.",
    "Conversations affected": "Percakapan terdampak",
    "Conversations that were active on the channels of the devices that are down, at the time they went down.": (
        "Percakapan yang aktif di channel perangkat yang terputus, dihitung saat perangkat itu terputus."
    ),
    "Longest running outage": "Gangguan berjalan terlama",
    "How long the device that has been down longest is down already.": (
        "Sudah berapa lama perangkat yang paling lama terputus itu terputus."
    ),
    "Alerts not delivered": "Peringatan tidak terkirim",
    "Devices down past their threshold whose direct alert no Alertmanager has acknowledged.": (
        "Perangkat yang terputus melewati batasnya, tetapi peringatan langsungnya belum diterima satu Alertmanager pun."
    ),
    "Share of the fleet that is connected now. Its colour has no threshold: see the objectives below.": (
        "Bagian perangkat yang sedang tersambung. Warnanya tanpa ambang batas: lihat target di bawah."
    ),
    "No devices yet": "Belum ada perangkat",
    "Last event heard": "Kejadian terakhir",
    "Time since the exporter last received a webhook. A quiet fleet can be silent for long; an alert watches.": (
        "Waktu sejak exporter terakhir menerima webhook. Saat sepi bisa lama tanpa kejadian; ada peringatan "
        "yang mengawasi."
    ),
    "Nothing heard yet": "Belum ada kejadian",
    "Down now": "Sedang terputus",
    "No device is known to be down": "Tidak ada perangkat yang diketahui terputus",
    "Alert delivered": "Peringatan terkirim",
    "Open the device": "Buka perangkat",
    "Against the objective, last 30 days": "Dibandingkan dengan target, 30 hari terakhir",
    "Availability by engine": "Ketersediaan per jenis channel",
    "No data yet": "Belum ada data",
    "Error budget left": "Sisa jatah gangguan",
    "Budget left": "Sisa jatah",
    "No devices observed yet": "Belum ada perangkat yang teramati",
    "Devices that are disconnected, by engine. Outages shorter than a scrape do not show here.": (
        "Perangkat yang terputus, per jenis channel. Gangguan yang lebih pendek dari jeda scrape tidak tampak di sini."
    ),
    "No outage has finished yet": "Belum ada gangguan yang selesai",
    "Downtime by channel": "Waktu putus per channel",
    "No downtime recorded in this range": "Tidak ada waktu putus yang tercatat dalam rentang ini",
    "Availability of the 24 hours before each point, by engine; dashed: the policy's objective.": (
        "Ketersediaan dalam 24 jam sebelum tiap titik, per jenis channel; garis putus-putus: target kebijakan."
    ),
    "Devices with the most downtime": "Perangkat dengan waktu putus terbanyak",
    # Device
    "Whether the device is connected.": "Apakah perangkat tersambung.",
    "Choose a device": "Pilih perangkat",
    "How long it has been in this state.": "Sudah berapa lama dalam keadaan ini.",
    "Conversations active on its channel when it went down; only while it is down.": (
        "Percakapan yang aktif di channelnya saat perangkat terputus; hanya selama masih terputus."
    ),
    "Whether its direct alert reached an Alertmanager; only while it is down past its threshold.": (
        "Apakah peringatan langsungnya sampai di Alertmanager; hanya selama terputus melewati batasnya."
    ),
    "No alert": "Tidak ada",
    "Alerts after": "Memperingatkan setelah",
    "How long it must be down before it alerts, from the policy of its engine.": (
        "Berapa lama perangkat harus terputus sebelum ada peringatan, menurut kebijakan jenis channelnya."
    ),
    "No policy": "Tanpa kebijakan",
    "Observed for": "Teramati selama",
    "How long it has been known: before that it is neither up nor down.": (
        "Sudah berapa lama perangkat dikenal: sebelum itu tidak dihitung tersambung maupun terputus."
    ),
    "Connected share of the observed time. Green meets the policy's objective, red misses it.": (
        "Bagian waktu teramati saat tersambung. Hijau memenuhi target kebijakan, merah di bawahnya."
    ),
    "Last day": "Sehari terakhir",
    "Last 3 days": "3 hari terakhir",
    "Last 30 days": "30 hari terakhir",
    "Outages that began within the dashboard's time range.": "Gangguan yang dimulai dalam rentang waktu dasbor.",
    "Time disconnected within the dashboard's time range, the running outage included.": (
        "Waktu terputus dalam rentang waktu dasbor, termasuk gangguan yang masih berlangsung."
    ),
    "Mean outage": "Rata-rata gangguan",
    "Downtime by outages within the dashboard's time range.": (
        "Waktu putus dibagi jumlah gangguan dalam rentang waktu dasbor."
    ),
    "No outage": "Tanpa gangguan",
    "Connected or not, over time. A piece in which it was down at all is red: lengths are exact in the bars below.": (
        "Tersambung atau tidak dari waktu ke waktu. Potongan waktu yang memuat gangguan, sesingkat apa pun, berwarna "
        "merah; lamanya yang tepat ada pada batang di bawah."
    ),
    "Alerts that Prometheus holds for this device, and whether the direct alert was delivered (1) or not (0).": (
        "Peringatan Prometheus untuk perangkat ini, dan apakah peringatan langsungnya terkirim (1) atau tidak (0)."
    ),
    "No alerts in this range": "Tidak ada peringatan dalam rentang ini",
    "Active conversations on its channel": "Percakapan aktif di channelnya",
    "Conversations with a message within the impact window.": (
        "Percakapan yang mendapat pesan dalam rentang waktu dampak."
    ),
    "No messages heard on its channel": "Tidak ada pesan di channelnya",
    # SLO
    "SLO and error budget": "SLO dan jatah gangguan",
    "Availability against the objectives of the policy, the error budget of 30 days and how fast it is used up.": (
        "Ketersediaan dibandingkan dengan target kebijakan, jatah gangguan 30 hari, dan seberapa cepat terpakai."
    ),
    "Availability of the fleet": "Ketersediaan semua perangkat",
    "Connected share of the observed time of the last 30 days. Green meets the objectives, weighted by observed time; "
    "red misses them.": (
        "Bagian waktu teramati saat tersambung dalam 30 hari terakhir. Hijau memenuhi target, yang dibobot "
        "menurut waktu "
        "teramati; merah di bawahnya."
    ),
    "Share of the downtime that the objectives allow within 30 days and that is still unused.": (
        "Bagian waktu putus yang diizinkan target dalam 30 hari dan belum terpakai."
    ),
    "Engines of businesses that have no budget left.": "Jenis channel milik bisnis yang jatahnya sudah habis.",
    "Burning fast": "Cepat habis",
    "Unknown time": "Waktu tak terpantau",
    "Time within the dashboard's range in which the exporter was blind: what happened then is not known.": (
        "Waktu dalam rentang dasbor saat exporter tidak dapat menerima kejadian: yang terjadi saat itu tidak diketahui."
    ),
    "Who uses it up": "Siapa yang memakainya",
    "Error budgets": "Jatah gangguan",
    "Engines of businesses by the error budget that is left of the last 30 days, at most 100. A burn of 1 uses up "
    "the budget in exactly 30 days.": (
        "Jenis channel tiap bisnis menurut sisa jatah gangguan 30 hari terakhir, paling banyak 100. Laju pakai 1 "
        "menghabiskan "
        "jatah tepat dalam 30 hari."
    ),
    "Downtime still allowed": "Waktu putus yang tersisa",
    "Burn 1 h": "Laju 1 jam",
    "Burn 6 h": "Laju 6 jam",
    "Burn 1 d": "Laju 1 hari",
    "Burn 3 d": "Laju 3 hari",
    "How fast": "Seberapa cepat",
    "Burn rate by engine": "Laju pakai per jenis channel",
    "How many times faster than allowed the budget was used up within the 6 hours before each point. Lines: the "
    "factors of the alerts, 1, 6 and 14.4.": (
        "Berapa kali lebih cepat daripada yang diizinkan jatah terpakai dalam 6 jam sebelum tiap titik. "
        "Garis: faktor "
        "peringatan, 1, 6, dan 14,4."
    ),
    "Burn rate of the last hour, highest ten": "Sepuluh laju pakai tertinggi dalam sejam terakhir",
    "Engines of businesses that use up their budget fastest. Above 14.4 for an hour an alert pages.": (
        "Jenis channel milik bisnis yang paling cepat memakai jatahnya. Di atas 14,4 selama sejam, tim dipanggil."
    ),
    "No budget was used within the last hour": "Tidak ada jatah yang terpakai dalam sejam terakhir",
    "Budget burn-down": "Jatah dari waktu ke waktu",
    "The error budget of the dashboard's time range, and how much of it was left at each point, by engine.": (
        "Jatah gangguan untuk rentang waktu dasbor, dan berapa sisanya pada tiap titik, per jenis channel."
    ),
    "How to read this": "Cara membaca",
    "How these figures come about.": "Dari mana angka-angka ini berasal.",
    "**Availability** = 1 - downtime / observed time, by the times in the events, exact to the second. A device counts "
    "from its first event on. Planned maintenance counts neither as downtime nor as observed time. While the exporter "
    "was blind the last known state is assumed; that time is shown as unknown. **Budget** = (1 - objective) of the "
    "observed time of 30 days. **Burn** 1 uses it up in exactly 30 days. A late correction shows here from the moment "
    "it arrives; reports show it at the time of the event.": (
        "**Ketersediaan** = 1 - waktu putus / waktu teramati, menurut waktu kejadiannya, tepat sampai ke detik. "
        "Perangkat "
        "dihitung sejak kejadian pertamanya. Pemeliharaan terencana tidak dihitung sebagai waktu putus maupun waktu "
        "teramati. Selama exporter tidak memantau, keadaan terakhir dianggap masih berlaku; waktu itu "
        "ditampilkan sebagai "
        "waktu tak terpantau. **Jatah** = (1 - target) dari waktu teramati 30 hari. **Laju pakai** 1 "
        "menghabiskannya "
        "tepat dalam 30 hari. Koreksi yang terlambat tampak di sini sejak diterima; laporan menampilkannya pada waktu "
        "kejadiannya."
    ),
    # Incidents
    "Incidents and alerts": "Insiden dan peringatan",
    "Critical alerts": "Peringatan kritis",
    "Alerts delivered": "Peringatan terkirim",
    "Down, and nobody has it": "Terputus dan belum ada yang menangani",
    "Devices past their threshold that nobody has said to have, the longest first, at most 100. A click on a name "
    "opens the device, one on its id its incidents.": (
        "Perangkat yang melewati ambang dan belum ada yang menangani, yang terlama di atas, paling banyak 100. Klik "
        "nama untuk membuka perangkatnya, klik id untuk membuka insidennya."
    ),
    "Nothing is known to be down without somebody on it": "Tidak diketahui ada yang terputus tanpa ada yang menangani",
    "Time until somebody has it": "Waktu sampai ada yang menangani",
    "From when people were told of an outage until somebody said to have it, over the day before each moment.": (
        "Sejak orang diberi tahu tentang sebuah gangguan sampai ada yang menangani, selama satu hari sebelum tiap saat."
    ),
    "90 of 100": "90 dari 100",
    "Nobody has acknowledged anything yet": "Belum ada yang pernah menyatakan menangani",
    "Devices down past their threshold whose direct alert an Alertmanager has acknowledged.": (
        "Perangkat yang terputus melewati batasnya dan peringatan langsungnya sudah diterima Alertmanager."
    ),
    "In maintenance": "Dalam pemeliharaan",
    "Devices inside a planned maintenance window now: their alerts are silent.": (
        "Perangkat yang sedang dalam pemeliharaan terencana: peringatannya dibisukan."
    ),
    "No alert fires": "Tidak ada peringatan yang aktif",
    "Open the runbook": "Buka panduan",
    "Direct alerts by result": "Peringatan langsung menurut hasil",
    "No alert was pushed": "Tidak ada peringatan yang dikirim",
    "From the event to Alertmanager": "Dari kejadian ke Alertmanager",
    "Time from receiving an event until Alertmanager acknowledged its alert.": (
        "Waktu sejak kejadian diterima sampai Alertmanager menerima peringatannya."
    ),
    "Messages sent by the relay": "Pesan yang dikirim relay",
    "Notifications a minute through the exporter's relay (SMS, WhatsApp, ...), by target and result, and calls of "
    "its Telegram bot that failed.": (
        "Notifikasi per menit lewat relay exporter (SMS, WhatsApp, ...) menurut tujuan dan hasil, dan panggilan bot "
        "Telegram-nya yang gagal."
    ),
    "The relay has sent nothing": "Relay belum mengirim apa pun",
    "Alerts over time": "Peringatan dari waktu ke waktu",
    "Alerts that fire in Prometheus, by name.": "Peringatan yang aktif di Prometheus, menurut nama.",
    "No alert fired in this range": "Tidak ada peringatan dalam rentang ini",
    "Conversations affected over time": "Percakapan terdampak dari waktu ke waktu",
    "Conversations on the channels of the devices that were down.": "Percakapan di channel perangkat yang terputus.",
    "Backup channels": "Channel cadangan",
    "On backup": "Dialihkan",
    "Call open": "Menunggu",
    "Call failed": "Gagal",
    "Both down now": "Keduanya putus",
    "Both down": "Lama putus",
    "Available": "Tersedia",
    "Channels that have a backup: whether it carries the traffic now, whether the calls that switch it worked, and "
    "how long both were down within the dashboard's time range.": (
        "Channel yang punya cadangan: apakah sedang dialihkan, apakah panggilan pengalihannya berhasil, dan berapa "
        "lama keduanya putus dalam rentang waktu dasbor."
    ),
    "No channel has a backup": "Tidak ada channel yang punya cadangan",
    # Exporter health
    "Exporter health": "Kesehatan exporter",
    "Whether the exporter hears the platform, keeps what it hears, tells Alertmanager and answers quickly.": (
        "Apakah exporter menerima kejadian, menyimpannya, memberi tahu Alertmanager, dan menjawab dengan cepat."
    ),
    "Exporters that Prometheus reaches, by version.": "Exporter yang terjangkau Prometheus, menurut versi.",
    "No exporter answers": "Tidak ada exporter yang menjawab",
    "Devices in the metrics.": "Perangkat dalam metrik.",
    "Whether the last reload of the configuration succeeded; a bad file keeps the old one.": (
        "Apakah konfigurasi terakhir berhasil dimuat; berkas yang salah membuat yang lama tetap dipakai."
    ),
    "When the configuration was last loaded.": "Kapan konfigurasi terakhir dimuat.",
    "Rejected bodies that wait for a decision: see device-exporter quarantine.": (
        "Kiriman tertolak yang menunggu keputusan: lihat device-exporter quarantine."
    ),
    "Failed tasks": "Tugas gagal",
    "Failures of background tasks within the dashboard's range; each is logged, and the task goes on.": (
        "Kegagalan tugas latar dalam rentang dasbor; semuanya dicatat, dan tugasnya terus berjalan."
    ),
    "Does it hear": "Apakah menerima",
    "Events by outcome": "Kejadian menurut hasil",
    "Webhook events by what became of them.": "Kejadian webhook menurut hasil pengolahannya.",
    "Requests a minute that were not accepted, by outcome: each of them needs a reason.": (
        "Permintaan per menit yang tidak diterima, menurut hasil: masing-masing perlu ada alasannya."
    ),
    "Nothing was refused": "Tidak ada yang ditolak",
    "Time to answer": "Waktu menjawab",
    "Time to answer a request, by listener: 99 of 100 are faster.": (
        "Waktu menjawab permintaan, per listener: 99 dari 100 lebih cepat."
    ),
    "Nothing asked yet": "Belum ada permintaan",
    "Answers by code": "Jawaban menurut kode",
    "Requests by listener and status code.": "Permintaan menurut listener dan kode status.",
    "Does it keep": "Apakah menyimpan",
    "Journal commits": "Penulisan jurnal",
    "Time of a commit of the journal; every acknowledged event waits for one.": (
        "Lama satu penulisan jurnal; tiap kejadian baru dijawab setelah tertulis."
    ),
    "Nothing was written yet": "Belum ada yang ditulis",
    "Events in a commit": "Kejadian sekali tulis",
    "Mean number of events in one commit of the journal.": "Rata-rata jumlah kejadian dalam satu penulisan jurnal.",
    "Waiting for the journal": "Antrean jurnal",
    "Events that wait to be written, and for how long the disk has been at one piece of work.": (
        "Kejadian yang menunggu ditulis, dan sudah berapa lama disk mengerjakan satu pekerjaan."
    ),
    "Journal failures": "Kegagalan jurnal",
    "Operations of the journal that failed. The platform is answered 503 and tries again.": (
        "Operasi jurnal yang gagal. Platform dijawab 503 lalu mencoba lagi."
    ),
    "Does it tell": "Apakah memberi tahu",
    "Several exporters": "Beberapa exporter",
    "Who leads": "Siapa yang memimpin",
    "1: this exporter does what only one may do: failover, incidents, cleaning up.": (
        "1: exporter ini mengurus yang hanya boleh diurus satu: pengalihan, insiden, bersih-bersih."
    ),
    "Behind the journal": "Tertinggal dari jurnal",
    "Since when an exporter does not know what others wrote; 5 s: silent, 30 s: no devices.": (
        "Sejak kapan exporter tidak tahu tulisan yang lain; 5 detik: diam, 30 detik: tanpa perangkat."
    ),
    "Clocks and standbys": "Jam dan standby",
    "Clocks of exporters ahead of Prometheus'; servers that hold each commit besides the first.": (
        "Selisih jam exporter terhadap jam Prometheus; jumlah server lain yang menyimpan setiap commit."
    ),
    "{{gateway}} webhooks": "{{gateway}} webhook",
    "{{gateway}} (s)": "{{gateway}} (dtk)",
    "{{instance}} seconds": "{{instance}} detik",
    "synchronous standbys": "standby sinkron",
    "Posts of alerts, by Alertmanager and result, and silences that could not follow an acknowledgement.": (
        "Kiriman peringatan, menurut Alertmanager dan hasil, dan pembisuan yang tidak bisa mengikuti status penanganan."
    ),
    "silence {{alertmanager}}": "pembisuan {{alertmanager}}",
    "Telegram {{instance}}": "Telegram {{instance}}",
    "Is it quick enough": "Apakah cukup cepat",
    "Time to render a scrape": "Waktu menyusun metrik",
    "Time to write the metrics for one scrape.": "Waktu menyusun metrik untuk satu scrape.",
    "Delay of the event loop": "Keterlambatan loop",
    "How much later than asked the exporter's loop wakes up: 99 of 100 are faster.": (
        "Seberapa terlambat exporter bangun: 99 dari 100 lebih cepat."
    ),
    "Background tasks that failed": "Tugas latar yang gagal",
    "Gateways": "Gateway",
    "What changes around it": "Yang berubah di sekitarnya",
    "State of gateways": "Status gateway",
    "No gateway has a state API": "Tidak ada gateway dengan API status",
    "Corrections by gateways' own word": "Koreksi dari keterangan gateway sendiri",
    "Moves and jumps of the clock": "Perpindahan dan lompatan jam",
    "Devices that an event named under another engine or business, and jumps of the system clock.": (
        "Perangkat yang disebut kejadian di bawah jenis channel atau bisnis lain, dan lompatan jam sistem."
    ),
    "Part of the most that there may be": "Bagian dari batas yang diizinkan",
    "Devices, engines and groups against fleet.max_devices and its like; at 100 % new ones are refused.": (
        "Perangkat, jenis channel, dan grup terhadap fleet.max_devices dan sejenisnya; pada 100 % yang baru ditolak."
    ),
    "moves {{instance}}": "pindah {{instance}}",
    "jumps {{instance}}": "lompatan {{instance}}",
    "Ways to tell people": "Jalur pemberitahuan",
    "Receivers that each Alertmanager has; none: nobody is notified.": (
        "Penerima yang dimiliki tiap Alertmanager; kalau tidak ada, tidak ada yang diberi tahu."
    ),
    "No Alertmanager has answered": "Belum ada Alertmanager yang menjawab",
    "Failures of background tasks; each is logged, and the task goes on.": (
        "Kegagalan tugas latar; semuanya dicatat, dan tugasnya terus berjalan."
    ),
    "Devices that are disconnected, the longest first, at most 100. A click on a name opens the device, one on "
    "its id its incidents.": (
        "Perangkat yang terputus, mulai dari yang terlama, paling banyak 100. Klik nama untuk membuka "
        "perangkatnya, klik id untuk membuka insidennya."
    ),
    "Connected share of the observed time of the last 30 days. Green meets the policy's objective, red misses "
    "it, blue has none. Businesses and budgets: the dashboard SLO and error budget.": (
        "Bagian waktu teramati saat tersambung dalam 30 hari terakhir. Hijau memenuhi target kebijakan, merah di "
        "bawahnya, biru tidak punya target. Bisnis dan jatahnya: dasbor SLO dan jatah gangguan."
    ),
    "Outages that began on each day, today included. Exact: short ones too.": (
        "Gangguan yang dimulai pada tiap hari, termasuk hari ini. Tepat, termasuk yang singkat."
    ),
    "Outages a day, last 30 days": ("Gangguan per hari, 30 hari terakhir"),
    "Everything about one device: state, availability, outages, alerts. Opens with the one that is down longest.": (
        "Semua tentang satu perangkat: keadaan, ketersediaan, gangguan, peringatan. Terbuka dengan yang paling "
        "lama terputus."
    ),
    "Find": ("Cari"),
    "Names and ids as its newest event gave them. A click on the device's id opens its incidents.": (
        "Nama dan id menurut kejadian terbarunya. Klik id perangkat untuk membuka insidennya."
    ),
    "Gateway": ("Gateway"),
    "Hours disconnected on each day, today included. Exact: by the times in the events.": (
        "Jam terputus pada tiap hari, termasuk hari ini. Tepat, menurut waktu kejadiannya."
    ),
    "suffix:h": ("suffix:jam"),
    "suffix:min": ("suffix:mnt"),
    "suffix:/s": ("suffix:/dtk"),
    "suffix:/min": ("suffix:/mnt"),
    "Downtime a day, last 30 days": ("Waktu putus per hari, 30 hari terakhir"),
    "Each outage that a scrape saw, the newest first; of several between two points the last one. All of them, "
    "with what was done: its incidents.": (
        "Tiap gangguan yang terlihat saat scrape, mulai dari yang terbaru; dari beberapa di antara dua "
        "titik hanya yang terakhir. Semuanya, beserta penanganannya: insidennya."
    ),
    "No outage was seen in this range": ("Tidak ada gangguan yang terlihat dalam rentang ini"),
    "Began": ("Mulai"),
    "Over by": ("Selesai sebelum"),
    "Outages in this range": ("Gangguan dalam rentang ini"),
    "Engines of businesses that use up their budget 14.4 times too fast over 1 h, or 6 times over 6 h. "
    "ErrorBudgetBurnFast pages for those of which nobody was told otherwise.": (
        "Jenis channel milik bisnis yang memakai jatahnya 14,4 kali terlalu cepat dalam 1 jam, atau 6 kali dalam "
        "6 jam. ErrorBudgetBurnFast memanggil tim bila belum ada peringatan lain."
    ),
    "Share of the downtime that the objective allows within 30 days and that is still unused. An engine's budget "
    "is the sum of those of its businesses.": (
        "Bagian waktu putus yang diizinkan target dalam 30 hari dan belum terpakai. Jatah satu jenis channel adalah "
        "jumlah jatah bisnis-bisnisnya."
    ),
    "Availability over 24 hours": ("Ketersediaan dalam 24 jam"),
    "Hours of downtime of all devices on each day, today included.": (
        "Jam putus semua perangkat pada tiap hari, termasuk hari ini."
    ),
    "What fires now, whether people were told, and how long recovery takes. Incidents are on the exporter's pages.": (
        "Peringatan yang aktif, apakah orang sudah diberi tahu, dan berapa lama pulihnya. Insiden ada di halaman "
        "exporter."
    ),
    "Alerts of severity critical that the table below lists. Direct alerts of single devices are counted to the "
    "right.": (
        "Peringatan kritis yang ada di tabel di bawah. Peringatan langsung untuk tiap perangkat dihitung di "
        "sebelah kanan."
    ),
    "Alerts of severity warning that the table below lists.": ("Peringatan biasa yang ada di tabel di bawah."),
    "Mass outages first, then the alerts of Prometheus' rules, the oldest first, at most 100. A click on an "
    "alert opens its runbook, a click on a device its dashboard, a click on its id its incidents.": (
        "Gangguan massal lebih dulu, lalu peringatan aturan Prometheus mulai dari yang terlama, paling banyak 100. "
        "Klik peringatan untuk membuka panduan, klik perangkat untuk membuka dasbornya, klik idnya untuk membuka "
        "insidennya."
    ),
    "Firing now": ("Sedang aktif"),
    "Recovery": ("Pemulihan"),
    "Outages that finished on each day, today included, by duration. Follows the engine, not the business.": (
        "Gangguan yang selesai pada tiap hari, termasuk hari ini, menurut lamanya. Mengikuti pilihan jenis channel, "
        "bukan bisnis."
    ),
    "Outages a day by duration, last 30 days": ("Gangguan per hari menurut lamanya, 30 hari terakhir"),
    "Mean duration of the outages that finished on each day, today included. Follows the engine, not the business.": (
        "Rata-rata lama gangguan yang selesai pada tiap hari, termasuk hari ini. Mengikuti pilihan jenis channel, "
        "bukan bisnis."
    ),
    "Mean time to recover, last 30 days": ("Rata-rata waktu pulih, 30 hari terakhir"),
    "Whether each gateway's state API answers, and whether its webhooks are set up.": (
        "Apakah API status tiap gateway menjawab, dan apakah webhook-nya terpasang."
    ),
    "How long ago each gateway's state API last answered.": (
        "Sudah berapa lama sejak API status tiap gateway terakhir menjawab."
    ),
    "Ago": ("Yang lalu"),
    "Connected, but silent": ("Tersambung, tetapi senyap"),
    "Sessions that their gateway calls connected although no message has gone through them for silent_after.": (
        "Sesi yang disebut tersambung oleh gateway-nya, padahal tidak ada pesan yang lewat selama silent_after."
    ),
    "Silent for": ("Senyap selama"),
    "States read": ("Keadaan terakhir dibaca"),
    "Sessions that were back in time, in the hour before each point, by gateway.": (
        "Sesi yang tersambung lagi tepat waktu, dalam satu jam sebelum tiap titik, per gateway."
    ),
    "Reconnects that were no outage": ("Sambung ulang yang bukan gangguan"),
    "Outages that began in the hour before each point, by the reason that was known then.": (
        "Gangguan yang dimulai dalam satu jam sebelum tiap titik, menurut alasan yang diketahui saat itu."
    ),
    "Outages by reason": ("Gangguan menurut alasan"),
    "In the hour before each point: states that a webhook did not tell and the state API did. More than none: "
    "webhooks are lost.": (
        "Dalam satu jam sebelum tiap titik: keadaan yang tidak dikabarkan webhook tetapi diketahui dari API. Lebih "
        "dari nol: ada webhook hilang."
    ),
    "The ten channels with the most downtime within the dashboard's time range, all devices summed, as "
    "Prometheus recorded it every 5 minutes.": (
        "Sepuluh channel dengan waktu putus terbanyak dalam rentang waktu dasbor, dijumlahkan dari semua perangkat, "
        "seperti yang dicatat Prometheus tiap 5 menit."
    ),
    "The 20 devices that were down longest within the dashboard's time range: red where one was down at all.": (
        "Dua puluh perangkat yang paling lama terputus dalam rentang waktu dasbor: merah bila sempat terputus, "
        "sesingkat apa pun."
    ),
}
