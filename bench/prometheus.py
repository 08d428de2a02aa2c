"""A real Prometheus over a history that a benchmark makes: blocks, a target that is scraped now, rules."""

from __future__ import annotations

import http.server
import json
import re
import shutil
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any, Self

from bench.processes import ROOT, Server, free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_KEEP = "--storage.tsdb.retention.time=400d"
_OPENMETRICS = "application/openmetrics-text; version=1.0.0"
_RECORDED = [
    {"source_labels": ["__name__"], "regex": ".+:.+", "target_label": label, "replacement": ""}
    for label in ("job", "instance")
]
"""What rules recorded has no target, also where a benchmark's target tells it."""


def tool(name: str) -> str:
    """Return the path of one of Prometheus' programs; `make tools` puts them into .tools/bin."""
    own = ROOT / ".tools" / "bin" / name
    return str(own) if own.exists() else shutil.which(name) or name


def blocks(samples: Path, data: Path) -> None:
    """Turn a file of OpenMetrics with timestamps into blocks, and delete it."""
    make = [tool("promtool"), "tsdb", "create-blocks-from", "openmetrics", "--quiet", "--max-block-duration=486h"]
    subprocess.run([*make, str(samples), str(data)], check=True, capture_output=True)
    samples.unlink()


class Target:
    """An exporter's /metrics, made up: `text` is called for each scrape. It may be OpenMetrics with timestamps."""

    def __init__(self, text: Callable[[], bytes]) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = text()
                self.send_response(200)
                of_their_time = body.endswith(b"# EOF\n")
                self.send_header("Content-Type", _OPENMETRICS if of_their_time else "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()


class Prometheus:
    """Running. Its rules are evaluated at `every` instead of their own intervals. Without target no scrapes."""

    def __init__(
        self, folder: Path, target: Target | None, rules: list[Path], *, every: str, scrape: str = "15s"
    ) -> None:
        own = folder / "rules"
        own.mkdir(exist_ok=True)
        for former in own.iterdir():
            former.unlink()
        for file in rules:
            text = re.sub(
                r"(?m)^( *)(- name: \w+)(?: +#.*)?\n(?:\s+interval: \w+\n)?",
                rf"\1\2\n\1  interval: {every}\n",
                file.read_text(),
            )
            (own / file.name).write_text(text)
        config = {
            "global": {"scrape_interval": scrape, "scrape_timeout": scrape, "evaluation_interval": every},
            "rule_files": [f"{own}/*.yml"],
            "scrape_configs": [
                {
                    "job_name": "device-exporter",
                    "static_configs": [{"targets": [target.address]}],
                    "metric_relabel_configs": _RECORDED,
                }
            ]
            if target
            else [],
        }
        (folder / "prometheus.json").write_text(json.dumps(config))
        port = free_port()
        self._url = f"http://127.0.0.1:{port}"
        flags = [f"--config.file={folder}/prometheus.json", f"--storage.tsdb.path={folder}/data", _KEEP]
        flags += [f"--web.listen-address=127.0.0.1:{port}", "--query.timeout=10m", "--query.max-samples=200000000"]
        command = [tool("prometheus"), *flags]
        self.server = Server(command, f"{self._url}/-/ready", log=folder / "prometheus.log", timeout=300)

    def get(self, path: str, **parameters: object) -> Any:  # noqa: ANN401 - JSON
        """Ask the HTTP API; return what stands under `data`."""
        return json.loads(self.answer(path, **parameters))["data"]

    def answer(self, path: str, **parameters: object) -> bytes:
        """Ask the HTTP API; return what it sends."""
        body = urllib.parse.urlencode({key: str(value) for key, value in parameters.items()}).encode()
        request = urllib.request.Request(f"{self._url}/api/v1/{path}", data=body or None)
        with urllib.request.urlopen(request, timeout=600) as answer:
            return bytes(answer.read())

    def cpu(self) -> float:
        """Return the seconds of processor time used so far."""
        return sum(self.server.cpu().values())

    def evaluations(self) -> dict[str, float]:
        """Return when each group of rules was evaluated last, and 0 where it has not been yet."""
        groups = self.get("rules")["groups"]
        return {group["name"]: _seconds(group["lastEvaluation"]) for group in groups}

    def cost_of_an_evaluation(self, rounds: int) -> float:
        """Return the processor time of one evaluation of all rules, scrapes between them included."""
        self.evaluate(1)
        before = self.cpu()
        self.evaluate(rounds)
        return (self.cpu() - before) / rounds

    def settle(self) -> None:
        """Wait until it does nothing: what a start leaves to clean up is no query's cost."""
        deadline, idle = time.monotonic() + 600, 0
        while idle < 3:
            if time.monotonic() > deadline:
                raise RuntimeError("Prometheus does not come to rest")
            before = self.cpu()
            time.sleep(2)
            idle = idle + 1 if self.cpu() - before < 0.05 else 0

    def evaluate(self, rounds: int) -> None:
        """Wait until every group has been evaluated so many times more."""
        counts = dict.fromkeys(self.evaluations(), 0)
        last = self.evaluations()
        deadline = time.monotonic() + 600
        while min(counts.values()) < rounds:
            if time.monotonic() > deadline:
                raise RuntimeError("the rules were not evaluated")
            time.sleep(0.2)
            for name, at in self.evaluations().items():
                counts[name] += at != last[name]
                last[name] = at

    def failed(self) -> list[str]:
        """Return what went wrong in the rules."""
        groups = self.get("rules")["groups"]
        return [
            f"{rule['name']}: {rule['lastError']}"
            for group in groups
            for rule in group["rules"]
            if rule.get("lastError")
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()


def _seconds(text: str) -> float:
    return (
        0.0
        if text.startswith("0001")
        else time.mktime(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) + float("0" + text[19:-1])
    )
