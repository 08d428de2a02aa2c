"""The programs under measurement, each in a process of its own: start, processor time, memory, stop; and wrk."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
_TICK = os.sysconf("SC_CLK_TCK")
_GROUPS = Path("/sys/fs/cgroup")
_PERIOD = 10_000  # microseconds: far shorter than what is measured


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    """Give a directory on the real disk that holds the checkout (or BENCH_DIR), not on a file system in memory."""
    parent = Path(os.environ.get("BENCH_DIR", ROOT / ".bench"))
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent) as made:
        yield Path(made)


class Server:
    """A running program."""

    def __init__(self, command: list[str], ready: str, *, log: Path, timeout: float = 60.0) -> None:
        """Start `command` and wait until the URL `ready` answers, whatever it answers but 503."""
        self.started = time.perf_counter()
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        with log.open("ab") as output:  # with byte code on disk, as an installed program has it
            self._process = subprocess.Popen(command, stdout=output, stderr=output, cwd=ROOT, env=environment)
        try:
            self._wait(ready, timeout)
        except BaseException:
            self._process.kill()
            print(log.read_text()[-2000:], file=sys.stderr)
            raise
        self.start_seconds = time.perf_counter() - self.started

    def _wait(self, url: str, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                urllib.request.urlopen(url, timeout=timeout).close()
            except urllib.error.HTTPError as error:
                if error.code != 503:
                    return
            except OSError:
                pass
            else:
                return
            time.sleep(0.01)
        raise RuntimeError(f"no answer from {url}")

    @property
    def pid(self) -> int:
        return self._process.pid

    def cpu(self) -> dict[str, float]:
        """Return seconds of processor time: of the main thread (`main`), and of all others and children (`threads`)."""
        used = {"main": 0.0, "threads": 0.0}
        for pid in self._family():
            for task in Path(f"/proc/{pid}/task").iterdir():
                with contextlib.suppress(OSError):  # a thread that has just ended
                    user, system = (task / "stat").read_text().rpartition(")")[2].split()[11:13]
                    used["main" if task.name == str(self.pid) else "threads"] += (int(user) + int(system)) / _TICK
        return used

    def memory(self) -> float:
        """Return the resident memory in MiB, children included."""
        found = (Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0] for pid in self._family())
        return sum(map(int, found)) / 1024

    def _family(self) -> list[int]:
        """Return the process and its children."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return [self.pid, *(int(child) for task in tasks for child in (task / "children").read_text().split())]

    def stop(self, timeout: float = 60.0) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Exporter(Server):
    """The exporter on SQLite in `directory`, or over the database `storage`, without direct alerts."""

    def __init__(
        self, directory: Path, *flags: str, storage: str = "", timeout: float = 120.0, descriptors: int = 0
    ) -> None:
        webhook, admin = free_port(), free_port()
        self.url = f"http://127.0.0.1:{webhook}/webhook"
        self.admin = f"http://127.0.0.1:{admin}"
        self._directory = directory
        command = ["sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh"] if descriptors else []
        command += [sys.executable, "-m", "exporter", "--log.level", "warning"]
        command += ["--storage.url", storage or f"sqlite:///{directory}/exporter.db"]
        command += ["--webhook.listen-address", f"127.0.0.1:{webhook}", "--web.listen-address", f"127.0.0.1:{admin}"]
        super().__init__(
            [*command, *flags], f"{self.admin}/-/ready", log=directory / "exporter.log", timeout=timeout
        )  # fmt: skip

    @property
    def secret(self) -> str:
        return (self._directory / "webhook-secret").read_text().strip()

    def metrics(self) -> dict[str, float]:
        """Return the exporter's own series by their text, such as `device_exporter_devices`."""
        with urllib.request.urlopen(f"{self.admin}/metrics", timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        pairs = (line.rpartition(" ") for line in lines if line.startswith("device_exporter_"))
        return {name: float(value) for name, _, value in pairs}


def bare(directory: Path) -> tuple[Server, str]:
    """Start the bare handler; return it and its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/webhook"
    command = [sys.executable, "-m", "bench.bare", str(port)]
    return Server(command, url, log=directory / "bare.log"), url


@contextlib.contextmanager
def on_a_share(pid: int, share: float) -> Iterator[bool]:
    """Hold a process to a share of one processor meanwhile, as a container with a limit; gives whether it could be.

    That takes root and control groups, of either version; elsewhere the process goes on as it is.
    """
    unified = (_GROUPS / "cgroup.controllers").exists()
    parent = _GROUPS if unified else _GROUPS / "cpu"
    group, quota = parent / f"bench-{pid}", round(share * _PERIOD)
    limits = {"max": f"{quota} {_PERIOD}"} if unified else {"cfs_period_us": f"{_PERIOD}", "cfs_quota_us": f"{quota}"}
    held = True
    try:
        if unified:
            (parent / "cgroup.subtree_control").write_text("+cpu")
        group.mkdir()
        for name, value in limits.items():
            (group / f"cpu.{name}").write_text(value)
        (group / "cgroup.procs").write_text(f"{pid}")
    except OSError:
        held = False
    try:
        yield held
    finally:
        with contextlib.suppress(OSError):
            (parent / "cgroup.procs").write_text(f"{pid}")
            group.rmdir()


class Busy:
    """How much of the machine's processors other programs take from now on."""

    def __init__(self) -> None:
        self._before, self._children = self._times(), _children()

    @staticmethod
    def _times() -> list[int]:
        return [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]

    def share(self, measured: float) -> float:
        """Return the share that neither the measured program took (its seconds) nor what we started and waited for."""
        ticks = [after - before for before, after in zip(self._before, self._times(), strict=True)]
        used = (sum(ticks) - ticks[3] - ticks[4]) / _TICK  # without idle and waiting for disks
        ours = measured + _children() - self._children
        return max(0.0, used - ours) / (sum(ticks) / _TICK)


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Load(msgspec.Struct, frozen=True):
    """What wrk saw. Latencies in microseconds."""

    requests: int
    microseconds: int
    p50: int
    p90: int
    p99: int
    worst: int
    bad: int

    @property
    def rate(self) -> float:
        return self.requests / (self.microseconds / 1e6)


class Wrk:
    """Drives load onto webhook URLs. Event times begin a little before now; each run has later ones than the last."""

    CONNECTIONS = 32

    def __init__(self, secret: str, lowest: int = 0) -> None:
        """`lowest`: the number of its first device, so that several of them have devices of their own."""
        self._secret = secret
        self._lowest = lowest
        self._first: dict[str, int] = {}

    def run(
        self,
        url: str,
        seconds: float,
        *,
        kind: str = "device",
        devices: int = 10_000,
        rate: float = 0.0,
        engine: str = "instagram",
        connections: int = CONNECTIONS,
    ) -> Load:
        """Load the URL; `rate`: requests a second over all connections, 0 for as many as it takes.

        A connection waits for its answer besides: the more there are, the less that lowers the rate.
        """
        first = self._first.get(url, int(time.time()) - 120)
        script = ["-s", "bench/load.lua", url, "--", self._secret, kind, str(first), str(devices)]
        script += [f"{rate / connections:.4f}", engine, str(self._lowest)]
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}", "--timeout", "30s", *script]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        load = msgspec.json.decode(done.stdout.splitlines()[-1], type=Load)
        self._first[url] = first + load.requests // devices + 2
        if load.bad:
            raise RuntimeError(f"{load.bad} of {load.requests} requests to {url} failed")
        return load


def has_wrk() -> bool:
    return shutil.which("wrk") is not None
