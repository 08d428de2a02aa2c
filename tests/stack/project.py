"""Drive one copy of the project through Docker Compose, as its user would."""

import base64
import json
import os
import secrets
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.patience import patient, wait_for
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
STAND_IN = "device-exporter.stand-in"
"""Label of an image that stands in for one that no registry could give."""
SERVICES = ("exporter", "prometheus", "alertmanager", "grafana")

SINK = """
services:
  sink:
    image: ${EXPORTER_IMAGE:-device-exporter}:${EXPORTER_VERSION:-local}
    pull_policy: never
    entrypoint: [python, /sink.py]
    volumes: ["%s:/sink.py:ro"]
    networks: [egress]
    healthcheck: {disable: true}
"""


class Stack:
    """A fresh copy of the project and its containers under a name of their own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "device-exporter"
        self.name = f"stacktest{secrets.token_hex(3)}"
        self.webhook_port, self.grafana_port, self.https_port, self.http_port, self.admin_port = (
            free_port() for _ in range(5)
        )
        self.debug_ports = [free_port(), free_port()]
        self.seconds_to_healthy = 0.0
        self.known_password = ""
        self.environment = os.environ | {
            "COMPOSE_PROJECT_NAME": self.name,
            "COMPOSE_FILE": "docker-compose.yml:sink.yml",
            "COMPOSE_PROGRESS": "plain",
            "WEBHOOK_PORT": str(self.webhook_port),
            "GRAFANA_PORT": str(self.grafana_port),
            "ADMIN_PORT": str(self.admin_port),
            "PAGES_PORT": str(free_port()),
            "PUBLIC_BIND": "127.0.0.1",
            "PUBLIC_HTTP_PORT": str(self.http_port),
            "PUBLIC_HTTPS_PORT": str(self.https_port),
            "DEBUG_PROMETHEUS_PORT": str(self.debug_ports[0]),
            "DEBUG_ALERTMANAGER_PORT": str(self.debug_ports[1]),
            "EXPORTER_IMAGE": self.name,
        }

    def prepare(self) -> None:
        """Copy what a clone would have; switch Slack on by its secret file."""
        for name in project_files():
            target = self.directory / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target, follow_symlinks=False)
        (self.directory / "sink.yml").write_text(SINK % (HERE / "sink.py"))
        slack = self.directory / "secrets/slack_url"
        slack.write_text("http://sink:9000/slack\n")
        slack.chmod(0o600)  # the services read it all the same

    def up(self) -> None:
        """Bring it up by the one command of the README, which builds the image; wait until every service is healthy."""
        self.compose("up", "-d", "--wait", "--wait-timeout", "240", timeout=900)
        created = datetime.fromisoformat(self.inspect("exporter")["Created"].split(".")[0] + "+00:00")
        self.seconds_to_healthy = time.time() - created.timestamp()

    def tear_down(self) -> None:
        """Remove containers, networks, volumes and the images built here; never raises."""
        down = ("down", "-v", "--remove-orphans", "--timeout", "15")
        self.run("docker", "compose", "--profile", "*", *down, check=False)
        for tag in self.run("docker", "images", "-q", self.name, check=False).split():
            self.run("docker", "rmi", "-f", tag, check=False)

    def compose(self, *arguments: str, stdin: str | None = None, timeout: float = 300) -> str:
        """`docker compose …` in the copy; returns its output, raises AssertionError with both outputs when it fails."""
        return self.run("docker", "compose", *arguments, stdin=stdin, timeout=timeout)

    def run(self, *command: str, stdin: str | None = None, timeout: float = 300, check: bool = True) -> str:
        done = subprocess.run(
            command,
            check=False,
            cwd=self.directory,
            env=self.environment,
            input=stdin,
            text=True,
            timeout=patient(timeout),
            capture_output=True,
        )
        if check and done.returncode:
            state = "" if "ps" in command else self.run("docker", "compose", "ps", "-a", check=False)
            logs = "" if "logs" in command else self.run("docker", "compose", "logs", "--tail", "30", check=False)
            raise AssertionError(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}\n{state}\n{logs}")
        return done.stdout

    def container(self, service: str) -> str:
        return self.compose("ps", "-a", "-q", service).strip()

    def inspect(self, service: str) -> dict[str, Any]:
        return json.loads(self.run("docker", "inspect", self.container(service)))[0]

    def is_stand_in(self, service: str) -> bool:
        image = self.inspect(service)["Image"]
        return STAND_IN in (json.loads(self.run("docker", "image", "inspect", image))[0]["Config"]["Labels"] or {})

    def inside(self, service: str, url: str) -> Any:
        """GET a JSON document from within a container that has busybox's wget."""
        return json.loads(self.compose("exec", "-T", service, "wget", "-q", "-O", "-", "-T", "5", url))

    def admin(self, path: str) -> Any:
        """GET JSON from the exporter's admin listener by its published port."""
        return json.loads(self.page(f"http://127.0.0.1:{self.admin_port}{path}"))

    def page(self, url: str) -> str:
        """GET a text with the password that the first start made."""
        request = urllib.request.Request(url)
        request.add_header("Authorization", f"Basic {base64.b64encode(f'admin:{self.password()}'.encode()).decode()}")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read().decode()

    def password(self) -> str:
        if not self.known_password:
            self.known_password = self.run("make", "-s", "password").strip()
        return self.known_password

    def secret(self) -> str:
        return self.compose("exec", "-T", "exporter", "cat", "/data/webhook-secret").strip()

    def post(self, event: dict[str, Any], *, secret: str, port: int | None = None) -> int:
        """POST an event to the published port; returns the status, 0 when nothing answered."""
        return post(f"http://127.0.0.1:{port or self.webhook_port}/webhook", event, secret)

    def prometheus(self, query: str) -> list[dict[str, Any]]:
        quoted = urllib.request.quote(query)
        return self.inside("prometheus", f"http://127.0.0.1:9090/api/v1/query?query={quoted}")["data"]["result"]

    def alerts(self) -> list[dict[str, Any]]:
        return self.inside("alertmanager", "http://127.0.0.1:9093/api/v2/alerts")

    def sink(self) -> list[dict[str, Any]]:
        lines = self.compose("logs", "--no-log-prefix", "sink").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


def post(url: str, event: dict[str, Any], secret: str, method: str = "POST") -> int:
    """Status of a JSON request; 0 when nothing answered."""
    request = urllib.request.Request(url, json.dumps(event).encode(), method=method)
    request.add_header("Content-Type", "application/json")
    request.add_header("Authorization", secret)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


def status_of(url: str) -> int:
    """Status of a GET without a password."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def project_files() -> Iterator[str]:
    """What git would clone, with the changes not yet committed; the whole tree where there is no git."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    names = [name for name in listed.stdout.split("\0") if name]
    if listed.returncode or not names:
        skipped = (".venv", ".tools", ".git", "data", "backups", "__pycache__")
        names = [str(p.relative_to(ROOT)) for p in ROOT.rglob("*") if not set(p.relative_to(ROOT).parts) & set(skipped)]
    return (name for name in names if (ROOT / name).is_file())


def eventually(check: Callable[[], Any], seconds: float = 60) -> Any:
    """Return the first true result of `check`; a failure of it counts as not yet."""
    failures: list[Exception] = []

    def result() -> Any:
        failures.clear()
        try:
            return check()
        except (AssertionError, OSError, json.JSONDecodeError) as error:
            failures.append(error)
            return None

    return wait_for(result, "what the stack is to show", seconds, shows=lambda: failures or result(), every=0.5)
