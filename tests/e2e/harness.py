"""
Real Alertmanager and Prometheus on loopback, with the sinks that stand for Slack, a mail server and an SMS gateway.

The configuration is the shipped alertmanager/alertmanager.yml; only addresses, secret files and waiting times are
replaced. Everything lives in one temporary folder, and every program is stopped by its own process.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import yaml
from aiosmtpd.controller import Controller

from tests.patience import patient, wait_for
from tests.ports import LOOPBACK, free_port
from tests.tools import ROOT, require

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage
    from pathlib import Path

SECRETS = "/run/secrets/"
RELAY = "http://exporter-admin:9877"
TELEGRAM_OK = b'{"ok": true, "result": {"message_id": 1, "date": 1, "chat": {"id": 1, "type": "group"}}}'
QUICK = {"group_wait": {"30s": "300ms", "20s": "8s"}, "group_interval": {"30s": "1s", "5m": "1s", "1m": "1s"}}
"""The shipped waits, and what the tests take instead. A group_wait of 0s stays what it is."""


def request(url: str, body: Any = None, *, method: str | None = None, timeout: float = 10.0) -> Any:
    """Send JSON and return the JSON of the answer, or None where the answer has none."""
    data = None if body is None else json.dumps(body).encode()
    call = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(call, timeout=patient(timeout)) as answer:
        text = answer.read()
    return json.loads(text) if text.lstrip()[:1] in {b"{", b"[", b'"'} else None


# Sinks -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Post:
    """One request that a sink received; `at` is Unix seconds."""

    at: float
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class HttpSink:
    """Answers every POST with `status` and keeps it; paths tell the integrations apart.

    `answers` are texts for POSTs to some paths, `pages` what GET finds.
    """

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.pages: dict[str, str] = {}
        self.answers: dict[str, bytes] = {}
        self.status = 200
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                sink.posts.append(Post(time.time(), self.path, dict(self.headers), body))
                usual = TELEGRAM_OK if self.path.startswith("/bot") else b"ok"
                self.answer(sink.status, sink.answers.get(self.path, usual))

            def do_GET(self) -> None:
                page = sink.pages.get(self.path)
                self.answer(503 if page is None else 200, (page or "").encode())

            def answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "text/plain; version=0.0.4" if self.command == "GET" else "text/plain")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def handle(self) -> None:
                with suppress(ConnectionError):  # a program that is killed leaves its connections open
                    super().handle()

            def log_message(self, *arguments: object) -> None:
                """Say nothing: the tests read `posts`."""

        class Server(ThreadingHTTPServer):
            request_queue_size = 512
            daemon_threads = True

        self._server = Server((LOOPBACK, 0), Handler)
        self.address = f"{LOOPBACK}:{self._server.server_address[1]}"
        self.url = f"http://{self.address}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> HttpSink:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def at(self, path: str) -> list[Post]:
        """Return the posts to a path, in order of arrival."""
        return [post for post in list(self.posts) if post.path == path]


class MailSink:
    """An SMTP server without TLS; keeps each message with its envelope."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self._controller = Controller(self, hostname=LOOPBACK, port=free_port())

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        message = message_from_bytes(envelope.content, policy=policy.default)
        message["X-Envelope-To"] = ", ".join(envelope.rcpt_tos)
        self.messages.append(message)
        return "250 OK"

    def __enter__(self) -> MailSink:
        self._controller.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._controller.stop()

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self._controller.port}"

    def to(self, address: str) -> list[EmailMessage]:
        """Return the messages to an address, in order of arrival."""
        return [message for message in list(self.messages) if address in message["X-Envelope-To"]]


# Programs ----------------------------------------------------------------------------------------------------
class Program:
    """A real program with a folder of its own; its output goes to a file there."""

    def __init__(self, name: str, folder: Path, ready_path: str) -> None:
        self.name = name
        self.folder = folder
        self.port = free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        self._ready_path = ready_path
        self._binary = require(name)
        folder.mkdir(parents=True, exist_ok=True)

    def arguments(self) -> list[str]:
        """Return the command line after the program's name."""
        raise NotImplementedError

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def start(self) -> None:
        """Start, or start again on the same port and data, and wait until it is ready."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self._binary, *self.arguments()], stdout=log, stderr=subprocess.STDOUT, cwd=self.folder
            )
        wait_for(self.is_ready, f"{self.name} is ready; its log: {self.folder}/log", 30)

    def is_ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name} ended:\n{self.log[-3000:]}")
        try:
            request(self.url + self._ready_path, timeout=patient(2))
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
        return True

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End this process and no other, and wait until it is gone."""
        if self.process is None:
            return
        self.process.send_signal(number)
        try:
            self.process.wait(patient(15))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(patient(15))
        self.process = None

    def kill(self) -> None:
        """End it without notice."""
        self.stop(signal.SIGKILL)


class Alertmanager(Program):
    """One Alertmanager; with `peers` a member of a cluster."""

    def __init__(self, folder: Path, config: str, peers: list[Alertmanager] | None = None) -> None:
        super().__init__("alertmanager", folder, "/-/ready")
        self.cluster_port = free_port() if peers is not None else 0
        self.peers = peers or []
        (folder / "alertmanager.yml").write_text(config, encoding="utf-8")

    def arguments(self) -> list[str]:
        cluster = ["--cluster.listen-address="]
        if self.cluster_port:
            cluster = [
                f"--cluster.listen-address={LOOPBACK}:{self.cluster_port}",
                f"--cluster.advertise-address={LOOPBACK}:{self.cluster_port}",
                "--cluster.peer-timeout=300ms",  # well below the group interval, as alertmanager.yml asks
                "--cluster.gossip-interval=50ms",
                "--cluster.settle-timeout=5s",
                *(f"--cluster.peer={LOOPBACK}:{peer.cluster_port}" for peer in self.peers),
            ]
        return [
            f"--config.file={self.folder}/alertmanager.yml",
            f"--storage.path={self.folder}/data",
            f"--web.listen-address={LOOPBACK}:{self.port}",
            "--web.external-url=http://alertmanager.example.com",
            "--web.route-prefix=/",
            "--dispatch.maintenance-interval=1s",
            "--log.level=debug",
            *cluster,
        ]

    def post(self, *alerts: dict[str, Any]) -> None:
        """Post alerts as the exporter does."""
        request(f"{self.url}/api/v2/alerts", list(alerts))

    def alerts(self, *matchers: str) -> list[dict[str, Any]]:
        """Return the alerts that match, muted ones included."""
        query = urllib.parse.urlencode([("filter", matcher) for matcher in matchers])
        found: list[dict[str, Any]] = request(f"{self.url}/api/v2/alerts?{query}")
        return found

    def muted_by(self, *matchers: str) -> list[str]:
        """Return the names of what inhibits, or the ids of what silences, the alerts that match."""
        by: list[str] = []
        names = {alert["fingerprint"]: alert["labels"]["alertname"] for alert in self.alerts()}
        for alert in self.alerts(*matchers):
            by += [names.get(source, source) for source in alert["status"]["inhibitedBy"]]
            by += alert["status"]["silencedBy"]
        return by

    def silence(self, seconds: float = 3600, **labels: str) -> str:
        """Silence the alerts that have these labels; return the silence's id."""
        matchers = [{"name": k, "value": v, "isRegex": False, "isEqual": True} for k, v in labels.items()]
        body = {
            "matchers": matchers,
            "startsAt": stamp(time.time()),
            "endsAt": stamp(time.time() + seconds),
            "createdBy": "test",
            "comment": "test",
        }
        answer: dict[str, str] = request(f"{self.url}/api/v2/silences", body)
        return answer["silenceID"]

    def metric(self, name: str) -> float:
        """Return the sum of all series of one of Alertmanager's own metrics."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=patient(10)) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((f"{name}{{", f"{name} ")))


class Prometheus(Program):
    """A Prometheus that scrapes `targets`, evaluates rule files and tells the Alertmanagers, all of it quickly."""

    def __init__(
        self,
        folder: Path,
        *,
        targets: dict[str, str],
        rules: list[Path],
        alertmanagers: list[str],
        interval: str = "500ms",
    ) -> None:
        """`targets`: scrape job -> host:port; `alertmanagers`: host:port."""
        super().__init__("prometheus", folder, "/-/ready")
        config = {
            "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
            "rule_files": [str(_without_intervals(path, folder)) for path in rules],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": alertmanagers}]}]},
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": [target]}]}
                for job, target in {**targets, "prometheus": f"{LOOPBACK}:{self.port}"}.items()
            ],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")

    def arguments(self) -> list[str]:
        return [
            f"--config.file={self.folder}/prometheus.yml",
            f"--storage.tsdb.path={self.folder}/data",
            f"--web.listen-address={LOOPBACK}:{self.port}",
            "--rules.alert.resend-delay=1s",
        ]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the instant vector of an expression."""
        answer = request(f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    def evaluate(self, times: int = 2) -> None:
        """Wait until every rule group has been evaluated so many times, on what is scraped from now on."""
        for _ in range(times):
            before = time.time()
            wait_for(lambda since=before: self._last_evaluation() > since, "an evaluation of all rules")

    def _last_evaluation(self) -> float:
        groups = request(f"{self.url}/api/v1/rules")["data"]["groups"]
        times = [group["lastEvaluation"].rstrip("Z").split(".")[0] for group in groups]
        return min(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() for text in times)


def _without_intervals(rules: Path, folder: Path) -> Path:
    """Copy a rule file whose groups all follow the test's interval."""
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / rules.name
    copy.write_text(re.sub(r"(?m)^ +interval: \w+\n", "", rules.read_text(encoding="utf-8")), encoding="utf-8")
    return copy


# The shipped configuration -----------------------------------------------------------------------------------
@dataclass
class Sinks:
    """Where the notifications arrive: `http` on one path for each integration, `mail` by address."""

    http: HttpSink
    mail: MailSink
    secrets: Path

    def slack(self) -> list[str]:
        """Return what stood on Slack, title and text of each message."""
        return [_slack_text(post) for post in self.http.at("/slack")]

    def management(self) -> list[str]:
        return [_slack_text(post) for post in self.http.at("/management-slack")]

    def telegram(self) -> list[str]:
        """Return what stood in the team's chat on Telegram, in its HTML."""
        posts = [post.json for post in self.http.at("/bot1:token/sendMessage")]
        return [post["text"] for post in posts if str(post["chat_id"]) == "1"]

    def sms(self) -> list[dict[str, Any]]:
        """Return the webhook bodies that the relay would get for SMS."""
        return [post.json for post in self.http.at("/api/v1/notify/sms")]

    def emails(self) -> list[EmailMessage]:
        return self.mail.to("operator@example.com")

    def counts(self) -> dict[str, int]:
        """Return how many messages each way of people has had."""
        return {
            "slack": len(self.slack()),
            "email": len(self.emails()),
            "sms": len(self.sms()),
            "management": len(self.management()),
        }


def _slack_text(post: Post) -> str:
    [attachment] = post.json["attachments"]
    return f"{attachment['title']}\n{attachment['text']}"


@contextmanager
def sinks(folder: Path) -> Iterator[Sinks]:
    """Start the sinks and write the secret files that point to them: with them every integration is on."""
    secrets = folder / "secrets"
    secrets.mkdir(parents=True)
    with HttpSink() as http, MailSink() as mail:
        for name, path in {
            "slack_url": "/slack",
            "management_slack_url": "/management-slack",
            "management_url": "/management",
            "automation_url": "/automation",
            "deadman_url": "/deadman",
        }.items():
            (secrets / name).write_text(http.url + path)
        (secrets / "relay_token").write_text("relay-token")
        (secrets / "smtp_password").write_text("unused")
        (secrets / "telegram_bot_token").write_text("1:token")
        yield Sinks(http, mail, secrets)


def shipped_config(
    where: Sinks,
    *,
    language: str = "id",
    relay: str | None = None,
    quick: bool = True,
    interval: str = "1s",
    quiet_hours: bool = False,
) -> str:
    """Return alertmanager.yml with every integration on and pointed to the sinks.

    `relay`: the exporter's admin listener, for SMS; without one the HTTP sink takes them.
    `interval`: what 30 s and more between two messages of a group become; an Alertmanager looks at each group so often.
    `quiet_hours`: whether it is night now; the shipped hours are not used, as a test must not depend on the clock.
    """
    text = (ROOT / "alertmanager" / "alertmanager.yml").read_text(encoding="utf-8")
    config = yaml.safe_load(text.replace(SECRETS, f"{where.secrets}/").replace(RELAY, relay or where.http.url))
    files = [name.replace("id.tmpl", f"{language}.tmpl") for name in config["templates"]]
    config["templates"] = [str(ROOT / "alertmanager" / name) for name in files]
    settings = config["global"]
    for key in [key for key in settings if key.startswith("smtp_auth")]:
        del settings[key]
    settings |= {"smtp_smarthost": where.mail.address, "smtp_require_tls": False, "telegram_api_url": where.http.url}
    night = [{"times": [{"start_time": "00:00", "end_time": "24:00"}]}] if quiet_hours else [{"years": ["2000"]}]
    config["time_intervals"] = [{"name": "quiet-hours", "time_intervals": night}]
    if quick:
        _quicken(config["route"], interval)
    return yaml.safe_dump(config, sort_keys=False, allow_unicode=True)


def _quicken(route: dict[str, Any], interval: str) -> None:
    for key, times in QUICK.items():
        if key in route:
            route[key] = times.get(route[key], route[key])
    if route.get("group_interval") == "1s":
        route["group_interval"] = interval
    if route.get("receiver") == "deadman":
        route["repeat_interval"] = "1s"
    for child in route.get("routes", []):
        _quicken(child, interval)


# Alerts as the exporter posts them ---------------------------------------------------------------------------
def stamp(seconds: float) -> str:
    """Return Unix seconds as Alertmanager's API wants them."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


@dataclass
class Device:
    """A device and the alerts about it. Times are Unix seconds."""

    device_id: str = "device_7f3a"
    device_name: str = "Front desk WhatsApp"
    engine: str = "wa"
    severity: str = "critical"
    business_id: str = "biz_9"
    business_name: str = "Toko Makmur"
    source: str = "exporter"
    since: float = field(default_factory=lambda: int(time.time()))

    def alert(self, name: str = "DeviceDown", *, ended: float | None = None, **annotations: str) -> dict[str, Any]:
        """Return the alert, firing or, with `ended`, resolved at that time."""
        labels = {
            "alertname": name,
            "device_id": self.device_id,
            "engine": self.engine,
            "channel_id": "channel_11",
            "business_id": self.business_id,
            "severity": self.severity,
            "source": self.source,
        }
        if name == "DeviceDownEscalated":
            labels["escalation"] = "management"
        names = {"device_name": self.device_name, "business_name": self.business_name}
        names["channel_name"] = "WhatsApp Business"
        texts = names | {"summary": f"{self.device_name} is down", "runbook_url": f"docs/runbook.md#{name.lower()}"}
        return posted(labels, self.since, ended, texts | annotations)


def posted(
    labels: dict[str, str], since: float, ended: float | None = None, annotations: dict[str, str] | None = None
) -> dict[str, Any]:
    """Return an alert for Alertmanager's API."""
    return {
        "labels": labels,
        "annotations": annotations or {},
        "startsAt": stamp(since),
        "endsAt": stamp(time.time() + 3600 if ended is None else ended),
    }


def engine_outage(
    engine: str = "wa", *, source: str = "exporter", since: float | None = None, ended: float | None = None
) -> dict[str, Any]:
    """Return an EngineOutage, that began just now unless told otherwise."""
    labels = {"alertname": "EngineOutage", "engine": engine, "severity": "critical", "source": source}
    texts = {
        "summary": f"{engine}: 1000 devices down at once",
        "description": f"1000 of 1000 {engine} devices are disconnected.",
        "description_id": f"1000 dari 1000 perangkat {engine} terputus.",
        "runbook_url": "docs/runbook.md#engineoutage",
    }
    return posted(labels, int(time.time()) if since is None else since, ended, texts)


@contextmanager
def running(*programs: Program) -> Iterator[None]:
    """Start programs in order, stop them in reverse."""
    with ExitStack() as stack:
        for program in programs:
            stack.callback(program.stop)
            program.start()
        yield
