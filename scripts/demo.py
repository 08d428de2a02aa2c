"""The demo without Docker: exporter, Prometheus and Alertmanager as local processes, a month of history, a live fleet.

Everything lives under data/demo (the history is made once; remove the folder for another one) and listens on loopback.
Ctrl-C stops all of it. `make demo` calls this after fetching the programs.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from scripts import alertmanager_config
from scripts.demo_settings import STATUS_PAGE, Places, catch_everything, exporter_config
from scripts.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parent.parent
TOOLS = Path(os.environ.get("TOOLS_DIR", ROOT / ".tools")) / "bin"
INCIDENT = "telegram"
INCIDENT_AGE = 15 * 60  # seconds that it lasts already when the demo starts: its alerts fire from the first minute
SOON = "5s"  # between scrapes and between evaluations: nobody waits for a demo
RELAY_TOKEN = "demo"
BLOCK = "486h"  # 2 h times a power of three; promtool reads its input once for each block


class Demo:
    """The processes, and the folder that they share."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
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
        """Start everything in order; the history only the first time."""
        self.home.mkdir(parents=True, exist_ok=True)
        first = not (self.home / "history-done").exists()
        self._write_configurations()
        self._start_catcher()
        self._start_alertmanager()
        self._start_exporter()
        if first:
            say(f"writing {self.options.days} days of history, once")
            self._device_exporter("simulate", *self._fleet(), f"--history={self.options.days}d")
            call([*self._gateways(), f"--past={self.options.days}d"])
            self._load_history()
            (self.home / "history-done").touch()
        self._start_prometheus()
        self._simulate_live()

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
        self._start("catcher", [sys.executable, ROOT / "scripts" / "catcher.py", *ports], self.catcher_url)

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

    def _load_history(self) -> None:
        samples = self.home / "history.om"
        start = int(time.time()) - self.options.days * 86_400
        self._device_exporter(
            "backfill",
            f"--config.file={self.home / 'device-exporter.yml'}",
            f"--storage.url={self.storage}",
            f"--from={start}",
            "--step=4m",
            "--label=job=device-exporter",
            f"--label=instance={_host(self.exporter_url)}",
            f"--output={samples}",
        )
        call(
            [
                TOOLS / "promtool",
                "tsdb",
                "create-blocks-from",
                f"--max-block-duration={BLOCK}",
                "openmetrics",
                samples,
                self.tsdb,
            ]
        )
        samples.unlink()

    # -- files ----------------------------------------------------------------------------------------------------

    def _write_configurations(self) -> None:
        policy = yaml.safe_load((ROOT / "config" / "device-exporter.example.yml").read_text())
        policy = exporter_config(policy, self.places)
        policy["alertmanager"] = {"urls": [self.alertmanager_url]}
        sms = {"urls": [self.catcher_url.replace("http:", "json:") + "/sms"]}
        policy["notify"] = {"token": RELAY_TOKEN, "targets": {"sms": sms}}
        (self.home / "device-exporter.yml").write_text(yaml.safe_dump(policy))
        prometheus = yaml.safe_load((ROOT / "prometheus" / "prometheus.yml").read_text())
        prometheus["global"] = dict.fromkeys(prometheus["global"], SOON)
        prometheus["rule_files"] = [str(self._quick_rules() / "*.yml")]
        prometheus["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [_host(self.alertmanager_url)]
        targets = {
            "device-exporter": self.exporter_url,
            "prometheus": self.prometheus_url,
            "alertmanager": self.alertmanager_url,
        }
        jobs = [job for job in prometheus["scrape_configs"] if job["job_name"] in targets]
        for job in jobs:
            job["static_configs"] = [{"targets": [_host(targets[job["job_name"]])]}]
        prometheus["scrape_configs"] = jobs
        (self.home / "prometheus.yml").write_text(yaml.safe_dump(prometheus))
        sms = {"url": f"{self.exporter_url}/api/v1/notify/sms"}
        token = {"http_config": {"authorization": {"credentials": RELAY_TOKEN}}}
        source = ROOT / "alertmanager"
        change = partial(catch_everything, places=self.places, sms=sms | token)
        shipped = (source / "alertmanager.yml").read_text()
        config, _ = alertmanager_config.rendered(shipped, Settings(), self.home / "alertmanager", change)
        self._write_templates(source / "templates")
        (self.home / "alertmanager" / "alertmanager.yml").write_text(alertmanager_config.dump(config))

    def _write_templates(self, source: Path) -> None:
        """Write the messages' texts with the exporter's own pages as links, as there is no Grafana."""
        folder = self.home / "alertmanager" / "templates"
        folder.mkdir(parents=True, exist_ok=True)
        for file in source.glob("*.tmpl"):
            text = alertmanager_config.templates_with(file.read_text(), Settings())
            (folder / file.name).write_text(text.replace('$pages := ""', f'$pages := "{self.exporter_url}"'))

    def _quick_rules(self) -> Path:
        """Return the rules as they are, but evaluated sooner: an alert shows from the third evaluation on."""
        folder = self.home / "rules"
        folder.mkdir(exist_ok=True)
        for file in (ROOT / "prometheus" / "rules").glob("*.yml"):
            rules = yaml.safe_load(file.read_text())
            for group in rules["groups"]:
                if group["name"] != "devices_downtime":  # each of its samples is of 5 minutes, and panels add them up
                    group["interval"] = SOON
            (folder / file.name).write_text(yaml.safe_dump(rules))
        return folder

    # -- processes ------------------------------------------------------------------------------------------------

    def _device_exporter(self, *arguments: str) -> None:
        call([sys.executable, "-m", "exporter", *arguments])

    def _popen(self, name: str, command: Sequence[object]) -> subprocess.Popen[bytes]:
        log = (self.home / f"{name}.log").open("ab")
        # a session of its own: Ctrl-C reaches this script alone, which then stops everything in order
        arguments = [str(part) for part in command]
        return subprocess.Popen(arguments, stdout=log, stderr=log, start_new_session=True, cwd=ROOT)

    def _start(self, name: str, command: Sequence[object], ready: str) -> None:
        process = self._popen(name, command)
        self.running[name] = process
        while not answers(ready):
            if process.poll() is not None:
                raise SystemExit(f"{name} did not start; see {self.home / f'{name}.log'}")
            time.sleep(0.1)
        say(f"{name} is ready")


def _host(url: str) -> str:
    return url.removeprefix("http://")


def answers(url: str) -> bool:
    """Return whether a GET is answered with 2xx."""
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False


def call(command: Sequence[object]) -> None:
    """Run to the end in the project's folder, without the caller's settings; SystemExit if it fails."""
    kept = {name: value for name, value in os.environ.items() if name not in ("LANGUAGE", "TIMEZONE")}
    if subprocess.run([str(part) for part in command], check=False, cwd=ROOT, env=kept).returncode:
        raise SystemExit(f"failed: {' '.join(str(part) for part in command)}")


def stop(processes: list[subprocess.Popen[bytes]]) -> None:
    """End processes and wait for them; kill what does not end."""
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def say(text: str) -> None:
    """Tell the person at the terminal."""
    print(f"demo: {text}", flush=True)


def main() -> int:
    """Bring it up, wait for Ctrl-C or `--for`, take it down."""
    parser = argparse.ArgumentParser(description=__doc__)
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
        say(f"full after {time.monotonic() - began:.0f} s")
        say(f"exporter     {demo.exporter_url}  (API, metrics, incidents)")
        say(f"status page  http://127.0.0.1:{demo.options.pages_port}/s/{STATUS_PAGE}")
        say(f"messages     {demo.catcher_url}  (mail, Slack, Telegram and SMS as people get them)")
        say(f"prometheus   {demo.prometheus_url}")
        say(f"alertmanager {demo.alertmanager_url}")
        say("Grafana is part of the stack, with COMPOSE_PROJECT_NAME=demo: docker compose --profile demo up -d --wait")
        say("Ctrl-C stops all of this.")
        end = None if demo.options.seconds is None else time.monotonic() + demo.options.seconds
        while end is None or time.monotonic() < end:
            time.sleep(0.5)
            for name, process in demo.running.items():
                if process.poll() is not None:
                    raise SystemExit(f"{name} ended; see {demo.home / f'{name}.log'}")
    except KeyboardInterrupt:
        say("stopping")
    finally:
        stop([*demo.running.values()][::-1])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
