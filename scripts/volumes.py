"""The part of a backup that other programs own: Alertmanager's state and Grafana's, read while they run.

    volumes.py pack > TAR     alertmanager/ and grafana/, with grafana.db as one consistent copy
    volumes.py unpack < TAR   puts both in place, each with its owner; both programs must be stopped

Runs as root in a container of its own without a network: the volumes belong to different users.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path

VOLUMES = {"alertmanager": (65534, 65534), "grafana": (472, 0)}
"""Each is mounted at the root under its name; user and group of its files."""
DATABASE = "grafana.db"
LEFT_OUT = {DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", f"{DATABASE}-journal"}


def pack(root: Path, into: tarfile.TarFile) -> None:
    """Add every regular file of both volumes."""
    for volume in VOLUMES:
        for path in sorted((root / volume).rglob("*")):
            if path.is_file() and not path.is_symlink() and path.name not in LEFT_OUT:
                into.add(path, f"./{path.relative_to(root)}", recursive=False)
    database = root / "grafana" / DATABASE
    if database.exists():
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / DATABASE
            copied(database, copy)
            into.add(copy, f"./grafana/{DATABASE}")


def copied(database: Path, copy: Path) -> None:
    """Write a consistent copy of an SQLite database that is in use."""
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)


def unpack(root: Path, archive: tarfile.TarFile) -> None:
    """Make both volumes hold what the archive has of them, and nothing else."""
    members = [member for member in archive.getmembers() if member.isfile() and volume_of(member.name)]
    with tempfile.TemporaryDirectory() as folder:
        archive.extractall(folder, members, filter="data")
        for volume in {volume_of(member.name) for member in members}:
            replace(root / volume, Path(folder) / volume, *VOLUMES[volume])


def volume_of(name: str) -> str:
    """Return the volume of an archive's member, "" for another part of the backup."""
    first = name.removeprefix("./").split("/")[0]
    return first if first in VOLUMES and "/" in name.removeprefix("./") else ""


def replace(volume: Path, new: Path, user: int, group: int) -> None:
    """Empty a volume and move the new files in."""
    for path in volume.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    shutil.copytree(new, volume, dirs_exist_ok=True)
    if os.geteuid() == 0:
        for path in [volume, *volume.rglob("*")]:
            os.chown(path, user, group)


def main() -> int:
    """Pack to standard output, or unpack from standard input."""
    root = Path(os.environ.get("VOLUMES_ROOT", "/volumes"))
    match sys.argv[1:]:
        case ["pack"]:
            with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as archive:
                pack(root, archive)
        case ["unpack"]:
            with tempfile.TemporaryFile() as whole:
                shutil.copyfileobj(sys.stdin.buffer, whole)
                whole.seek(0)
                with tarfile.open(fileobj=whole) as archive:
                    unpack(root, archive)
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
