"""
A real exporter process under test: start it, wait until it is ready, post events as the platform does, kill it.

It listens on ports of the system's choice and logs into a pipe that a thread reads, so that limits on its files do
not touch its log. Its environment holds nothing of the caller's settings.
"""

from __future__ import annotations

import gzip
import http.client
import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from prometheus_client.parser import text_string_to_metric_families

from tests.bodies import device_event
from tests.e2e.forked import Forked
from tests.patience import patient, wait_for
from tests.tools import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

ADDRESS = re.compile(r"msg=listening listener=(\w+) address=(\S+)")


@dataclass(frozen=True)
class Answer:
    """What the exporter answered; the body is unpacked."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class Client:
    """One connection that stays open, as a platform's would; ConnectionError and OSError when it breaks."""

    def __init__(self, url: str, headers: dict[str, str] | None = None, *, timeout: float = 15) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=patient(timeout))
        self._headers = headers or {}

    def call(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """Send a request and return its answer; header names are given with underscores."""
        self.send(method, path, body, **headers)
        return self.answer()

    def send(self, method: str, path: str, body: bytes | None = None, **headers: str) -> None:
        """Send a request, the answer to which comes later."""
        given = self._headers | {name.replace("_", "-"): value for name, value in headers.items()}
        with self._breaking(f"{method} {path}"):
            self._connection.request(method, path, body, given)

    def answer(self) -> Answer:
        """Return the answer to what was sent."""
        with self._breaking("answer"):
            response = self._connection.getresponse()
            content = response.read()
        if response.headers.get("Content-Encoding") == "gzip":
            content = gzip.decompress(content)
        return Answer(response.status, dict(response.headers), content)

    @contextmanager
    def _breaking(self, what: str) -> Iterator[None]:
        try:
            yield
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise ConnectionError(f"{what}: {error!r}") from error

    def close(self) -> None:
        self._connection.close()


class ExporterProcess:
    """One exporter and its folder. Start it again as often as you like: the journal stays."""

    def __init__(
        self,
        folder: Path,
        *flags: str,
        admin_port: int = 0,
        descriptors: tuple[int, int] | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.database = folder / "exporter.db"
        self.storage_url = f"sqlite:///{self.database}"
        self.process: subprocess.Popen[str] | Forked | None = None
        self.lines: list[str] = []
        self._flags = flags
        self._admin_port = admin_port
        self._descriptors = descriptors  # its soft and hard limit
        self._variables = variables or {}  # beside the caller's environment
        self._first_line = 0
        self._addresses: dict[str, str] = {}
        self._reader: threading.Thread | None = None
        folder.mkdir(parents=True, exist_ok=True)

    # -- life -------------------------------------------------------------------------------------------------------

    def start(self, *, wait: bool = True, full_disk: bool = False) -> ExporterProcess:
        """Start it and, unless told otherwise, wait until all of it runs."""
        self._addresses = {}
        self._first_line = len(self.lines)
        arguments = [
            *("--webhook.listen-address", "127.0.0.1:0"),
            *("--web.listen-address", f"127.0.0.1:{self._admin_port}"),
            *(*self._storage(), *self._flags),
        ]
        limited = self._limited()
        if limited or self._variables or full_disk:  # what has to hold before it begins
            self.process = subprocess.Popen(
                [*limited, sys.executable, "-m", "exporter", *arguments],
                stderr=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                cwd=ROOT,
                env={**environment(), **self._variables},
                text=True,
                encoding="utf-8",
            )
        else:
            self.process = Forked(arguments, environment())
        self._reader = threading.Thread(target=self._read, args=(self.process, self._addresses), daemon=True)
        self._reader.start()
        wait_for(self._listens, "the exporter listens", 60)
        if wait:
            wait_for(self.ready, "the journal is loaded", 60)
            wait_for(self._started, "everything is started", 60)
        return self

    def start_on_full_disk(self) -> None:
        """Start it where no file can grow or change; `free_disk` ends that."""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))  # a child inherits it
        try:
            self.start(wait=False, full_disk=True)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    def _storage(self) -> list[str]:
        """Return the flag that says where the journal is."""
        return ["--storage.url", self.storage_url]

    def _limited(self) -> list[str]:
        """Return what starts a command with the limits of descriptors."""
        if self._descriptors is None:
            return []
        soft, hard = self._descriptors
        return ["sh", "-c", f'ulimit -S -n {soft}; ulimit -H -n {hard}; exec "$@"', "sh"]

    def _read(self, process: subprocess.Popen[str] | Forked, addresses: dict[str, str]) -> None:
        assert process.stderr is not None
        with process.stderr:
            for line in process.stderr:
                self.lines.append(line)
                if found := ADDRESS.search(line):
                    addresses[found[1]] = found[2]

    def _listens(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the exporter ended with {self.process.returncode}:\n{self.log[-3000:]}")
        return len(self._addresses) == 2 + ("--pages.listen-address" in self._flags)

    def _started(self) -> bool:
        return self._listens() and any("msg=ready " in line for line in self.lines[self._first_line :])

    def ready(self) -> bool:
        """Whether /-/ready says so."""
        return self.get("/-/ready").status == 200

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL this process and no other."""
        self._end(signal.SIGKILL)

    def stop(self, within: float = 30.0) -> int:
        """SIGTERM it and return its exit status; it fails the test if it lives on after `within` seconds."""
        return self._end(signal.SIGTERM, within)

    def _end(self, number: signal.Signals, within: float = 30.0) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.wait(within)

    def wait(self, within: float = 30.0) -> int:
        """Return the exit status once it has ended and its whole log is read."""
        assert self.process is not None
        assert self._reader is not None
        status = self.process.wait(patient(within))
        self._reader.join(patient(10))
        return status

    def __enter__(self) -> ExporterProcess:
        return self.start()

    def __exit__(self, *error: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()

    # -- conversation -----------------------------------------------------------------------------------------------

    @property
    def public_url(self) -> str:
        return f"http://{self._addresses['public']}"

    @property
    def admin_url(self) -> str:
        return f"http://{self._addresses['admin']}"

    @property
    def pages_url(self) -> str:
        """Where the pages listener is, of an exporter that was started with the flag for it."""
        return f"http://{self._addresses['pages']}"

    @property
    def secret(self) -> str:
        """The secret that the first start made."""
        return (self.folder / "webhook-secret").read_text().strip()

    @property
    def link_secret(self) -> str:
        """What signs links, which the first start with pages made."""
        return (self.folder / "link-secret").read_text().strip()

    @property
    def log(self) -> str:
        return "".join(self.lines)

    def platform(self, secret: str | None = None, within: float = 15) -> Client:
        """Return a connection of the platform's: it knows the secret, sends JSON and waits so long for an answer."""
        headers = {"Authorization": self.secret if secret is None else secret, "Content-Type": "application/json"}
        return Client(self.public_url, headers, timeout=within)

    def post(self, body: dict[str, Any] | bytes, secret: str | None = None, within: float = 15) -> Answer:
        """Post one webhook."""
        client = self.platform(secret, within)
        try:
            return client.call("POST", "/webhook", body if isinstance(body, bytes) else json.dumps(body).encode())
        finally:
            client.close()

    def send(self, *events: tuple[str, int, bool]) -> None:
        """Post device events (device id, Unix seconds, up), each of which must be acknowledged."""
        for device_id, timestamp, up in events:
            answer = self.post(device_event(device_id, timestamp, up=up))
            assert answer.status == 200, answer

    def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """Ask the admin listener."""
        client = Client(self.admin_url)
        try:
            return client.call(method, path, **headers)
        finally:
            client.close()

    def api(self, path: str) -> Any:
        """Return the JSON of an API path, which must be 200."""
        answer = self.get(f"/api/v1/{path}")
        assert answer.status == 200, answer
        return answer.json

    def samples(self) -> dict[str, list[tuple[dict[str, str], float]]]:
        """Scrape; return (labels, value) by sample name."""
        found: dict[str, list[tuple[dict[str, str], float]]] = {}
        for family in text_string_to_metric_families(self.get("/metrics").text):
            for sample in family.samples:
                found.setdefault(sample.name, []).append((sample.labels, sample.value))
        return found

    def sample(self, name: str, **labels: str) -> float | None:
        """Scrape; return the sum of the samples with these labels, None if there are none."""
        values = [value for given, value in self.samples().get(name, []) if labels.items() <= given.items()]
        return sum(values) if values else None

    # -- trouble ----------------------------------------------------------------------------------------------------

    def fill_disk(self) -> None:
        """Let no file of the process grow or change from now on: every write fails as on a full disk."""
        self._limit_files(0)

    def free_disk(self) -> None:
        """Take the limit away."""
        self._limit_files(resource.RLIM_INFINITY)

    def _limit_files(self, size: int) -> None:
        assert self.process is not None
        _, hard = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (size, hard))


def environment() -> dict[str, str]:
    """Return the environment without settings of an exporter."""
    return {name: value for name, value in os.environ.items() if not name.startswith("DEVICE_EXPORTER_")}


def run_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `device-exporter` with these arguments to its end."""
    return subprocess.run(
        [sys.executable, "-m", "exporter", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=ROOT,
        env=environment(),
        timeout=patient(60),
        check=False,
    )
