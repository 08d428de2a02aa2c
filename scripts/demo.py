"""The demo without Docker: exporter, Prometheus and Alertmanager as local processes, a month of history, a live fleet.

Everything lives under data/demo (the history is made once; remove the folder for another one) and listens on loopback.
Ctrl-C stops all of it. `make demo` calls this after fetching the programs.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.demo_files import SOON, Files, host
from scripts.demo_settings import STATUS_PAGE, Places
from scripts.demo_words import LANGUAGES, language_here, words_of

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parent.parent
TOOLS = Path(os.environ.get("TOOLS_DIR", ROOT / ".tools")) / "bin"
INCIDENT = "telegram"
INCIDENT_AGE = 15 * 60  # seconds that it lasts already when the demo starts: its alerts fire from the first minute
BLOCK = 486 * 3600  # seconds: 2 h times a power of three; promtool reads its input once for each block


class Demo:
    """The processes, and the folder that they share."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.words = words_of(options.language)
        self.home = Path(options.home).resolve()
        self.tsdb = self.home / "prometheus"
        self.storage = f"sqlite:///{self.home / 'exporter.db'}"
        self.exporter_url = f"http://127.0.0.1:{options.admin_port}"
        self.webhook_url = f"http://127.0.0.1:{options.webhook_port}/webhook"
        self.prometheus_url = f"http://127.0.0.1:{options.prometheus_port}"
        self.alertmanager_url = f"http://127.0.0.1:{options.alertmanager_port}"
        self.catcher_url = f"http://127.0.0.1:{options.catcher_port}"
        self.places = Places(
            catcher=self.catcher_url,
            smarthost=f"127.0.0.1:{options.mail_port}",
            gateways=f"http://127.0.0.1:{options.gateways_port}",
            catcher_page=self.catcher_url,
            pages=f"http://127.0.0.1:{options.pages_port}/",
            pages_address=f"127.0.0.1:{options.pages_port}",
        )
        self.incident_from = int(time.time()) - INCIDENT_AGE
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def up(self) -> None:
        """Start everything, the history only the first time. Pages and messages do not wait until Prometheus has it."""
        first = not (self.home / "history-done").exists()
        addresses = (self.exporter_url, self.prometheus_url, self.alertmanager_url)
        Files(self.home, self.places, self.options.language, *addresses).write()
        self._start_catcher()
        self._start_alertmanager()
        self._start_exporter()
        if first:
            self.say(self.words.history.format(self.options.days))
            self._tell_past()
        until = int(time.time())
        self._simulate_live()
        if first:
            self._load_history(until)
            (self.home / "history-done").touch()
        self._start_prometheus()

    def _fleet(self) -> list[str]:
        return [
            f"--url={self.webhook_url}",
            f"--secret-file={self.home / 'webhook-secret'}",
            f"--devices={self.options.devices}",
            "--messages-per-device=40",
            # both runs are told the same times, so that the outage goes on from the past into the present
            f"--incident={INCIDENT}",
            f"--incident-from={self.incident_from}",
            "--incident-for=1h",
        ]

    def _start_exporter(self) -> None:
        self._start(
            "exporter",
            [
                sys.executable,
                "-m",
                "exporter",
                "serve",
                f"--storage.url={self.storage}",
                "--log.level=warning",
                f"--config.file={self.home / 'device-exporter.yml'}",
                f"--webhook.listen-address=127.0.0.1:{self.options.webhook_port}",
                f"--web.listen-address=127.0.0.1:{self.options.admin_port}",
            ],
            f"{self.exporter_url}/-/ready",
        )

    def _start_alertmanager(self) -> None:
        self._start(
            "alertmanager",
            [
                TOOLS / "alertmanager",
                f"--config.file={self.home / 'alertmanager' / 'alertmanager.yml'}",
                f"--storage.path={self.home / 'alertmanager' / 'data'}",
                "--cluster.listen-address=",
                f"--web.listen-address=127.0.0.1:{self.options.alertmanager_port}",
            ],
            f"{self.alertmanager_url}/-/ready",
        )

    def _start_catcher(self) -> None:
        ports = [f"--port={self.options.catcher_port}", f"--mail-port={self.options.mail_port}"]
        self._start(
            "catcher",
            [sys.executable, "-m", "scripts.catcher", f"--language={self.options.language}", *ports],
            self.catcher_url,
        )

    def _start_prometheus(self) -> None:
        self._start(
            "prometheus",
            [
                TOOLS / "prometheus",
                f"--config.file={self.home / 'prometheus.yml'}",
                f"--storage.tsdb.path={self.tsdb}",
                "--storage.tsdb.retention.time=90d",
                f"--rules.alert.resend-delay={SOON}",
                f"--web.listen-address=127.0.0.1:{self.options.prometheus_port}",
            ],
            f"{self.prometheus_url}/-/ready",
        )

    def _simulate_live(self) -> None:
        command = [sys.executable, "-m", "exporter", "simulate", *self._fleet(), "--duration=0"]
        self.running["simulate"] = self._popen("simulate", command)
        port = self.options.gateways_port
        self._start("gateways", [*self._gateways(), f"--port={port}"], self.places.gateways)

    def _gateways(self) -> list[object]:
        return [sys.executable, "-m", "scripts.demo_gateways", f"--url={self.webhook_url}"]

    # -- history --------------------------------------------------------------------------------------------------

    def _tell_past(self) -> None:
        past = f"{self.options.days}d"
        simulate = [*self._exporter("simulate"), *self._fleet(), f"--history={past}"]
        self._call([simulate], [[*self._gateways(), f"--past={past}"]])

    def _load_history(self, until: int) -> None:
        """Write Prometheus' blocks, each from samples of its own, two at once: a machine has two processors."""
        start = until - self.options.days * 86_400
        bounds = [start, *range((start // BLOCK + 1) * BLOCK, until, BLOCK), until]
        self._call(*(self._block(*span) for span in pairwise(bounds)))

    def _block(self, start: int, end: int) -> list[list[object]]:
        """Return the commands that write the samples of a span, and make a block of them."""
        samples = self.home / f"history-{start}.om"
        backfill = self._exporter(
            "backfill",
            f"--config.file={self.home / 'device-exporter.yml'}",
            f"--storage.url={self.storage}",
            f"--from={start}",
            f"--to={end - 1}",
            "--step=4m",
            "--label=job=device-exporter",
            f"--label=instance={host(self.exporter_url)}",
            f"--output={samples}",
        )
        duration = f"--max-block-duration={BLOCK // 3600}h"
        blocks = [TOOLS / "promtool", "tsdb", "create-blocks-from", duration, "openmetrics", samples, self.tsdb]
        return [backfill, blocks, ["rm", samples]]

    # -- processes ------------------------------------------------------------------------------------------------

    def _exporter(self, *arguments: str) -> list[object]:
        return [sys.executable, "-m", "exporter", *arguments]

    def _call(self, *chains: Sequence[Sequence[object]]) -> None:
        """Run chains of commands to their ends at once, the last one with its progress; SystemExit where one fails."""
        steps = [f"step-{number}" for number in range(len(chains))]
        for name, chain in zip(steps, chains, strict=True):
            script = "\n".join(shlex.join(map(str, command)) for command in chain)
            self.running[name] = self._popen(name, ["sh", "-ec", script], shown=name == steps[-1])
        for name in steps:
            if self.running[name].wait():
                raise SystemExit(self.words.failed.format(self.home))
            del self.running[name]

    def _popen(self, name: str, command: Sequence[object], *, shown: bool = False) -> subprocess.Popen[bytes]:
        log = None if shown else (self.home / f"{name}.log").open("ab")
        kept = {name: value for name, value in os.environ.items() if name not in ("LANGUAGE", "TIMEZONE")}
        # a session of its own: Ctrl-C reaches this script alone, which then stops everything in order
        arguments = [str(part) for part in command]
        return subprocess.Popen(arguments, stdout=log, stderr=log, start_new_session=True, cwd=ROOT, env=kept)

    def _start(self, name: str, command: Sequence[object], ready: str) -> None:
        process = self._popen(name, command)
        self.running[name] = process
        while not answers(ready):
            if process.poll() is not None:
                raise SystemExit(self.words.not_started.format(name, self.home / f"{name}.log"))
            time.sleep(0.1)
        self.say(self.words.ready.format(name))

    def say(self, text: str) -> None:
        """Tell the person at the terminal."""
        print(f"demo: {text}", flush=True)

    def say_where(self) -> None:
        """Tell where everything is."""
        words = self.words
        for name, where in {
            "exporter": f"{self.exporter_url}  {words.pages}",
            words.status_page: f"{self.places.pages}s/{STATUS_PAGE}",
            words.title.lower(): f"{self.catcher_url}  {words.messages}",
            "prometheus": self.prometheus_url,
            "alertmanager": self.alertmanager_url,
        }.items():
            self.say(f"{name:<15}{where}")
        self.say(words.grafana)
        self.say(words.stop)


def answers(url: str) -> bool:
    """Return whether a GET is answered with 2xx."""
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False


def stop(processes: list[subprocess.Popen[bytes]]) -> None:
    """End processes with what they started, and wait for them; kill what does not end."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
    for process in processes:
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def main() -> int:
    """Bring it up, wait for Ctrl-C or `--for`, take it down."""
    parser = argparse.ArgumentParser(description=__doc__)
    said_in = "of messages, pages and this; else LANGUAGE of .env"
    parser.add_argument("--language", choices=LANGUAGES, default=language_here(), help=said_in)
    parser.add_argument("--home", default=ROOT / "data" / "demo", type=Path)
    parser.add_argument("--devices", default=60, type=int)
    parser.add_argument("--days", default=30, type=int, help="how much history")
    parser.add_argument("--webhook-port", default=8080, type=int)
    parser.add_argument("--admin-port", default=9877, type=int)
    parser.add_argument("--pages-port", default=8081, type=int)
    parser.add_argument("--prometheus-port", default=9090, type=int)
    parser.add_argument("--alertmanager-port", default=9093, type=int)
    parser.add_argument("--catcher-port", default=8025, type=int, help="of the page with every message")
    parser.add_argument("--gateways-port", default=8101, type=int, help="of the simulated gateways' state APIs")
    parser.add_argument("--mail-port", default=1025, type=int)
    parser.add_argument("--for", dest="seconds", default=None, type=float, help="stop by itself after so many seconds")
    demo = Demo(parser.parse_args())
    for ending in (signal.SIGTERM, signal.SIGHUP):  # a closed terminal must not leave the programs behind
        signal.signal(ending, lambda *_: sys.exit(0))
    began = time.monotonic()
    try:
        demo.up()
        demo.say(demo.words.full.format(time.monotonic() - began))
        demo.say_where()
        end = None if demo.options.seconds is None else time.monotonic() + demo.options.seconds
        while end is None or time.monotonic() < end:
            time.sleep(0.5)
            for name, process in demo.running.items():
                if process.poll() is not None:
                    raise SystemExit(demo.words.ended.format(name, demo.home / f"{name}.log"))
    except KeyboardInterrupt:
        demo.say(demo.words.stopping)
    finally:
        stop([*demo.running.values()][::-1])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
