"""`device-exporter migrate --from URL --to URL`: everything into another database, checked before it counts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from exporter.app.features import PIECES
from exporter.cli.output import say
from exporter.cli.progress import progress_bar
from exporter.errors import ConfigError
from exporter.journal.moving import COMPARED, compare_accounts, move
from exporter.journal.storage import open_contents, open_reader

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    for side, what in (("from", "the database to read"), ("to", "the database to fill, which must be empty")):
        group = parser.add_mutually_exclusive_group(required=True)
        group.add_argument(f"--{side}", dest=f"{side}_url", metavar="URL", help=what)
        group.add_argument(
            f"--{side}-file",
            dest=f"{side}_file",
            type=Path,
            metavar="FILE",
            help=f"a file that holds the URL of {what}: so no password is on the command line",
        )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Move; return 0. Raises ConfigError, JournalUnavailable, MoveFailed."""
    source, target = _url(args.from_url, args.from_file), _url(args.to_url, args.to_file)
    if source == target:
        raise ConfigError("--from and --to are the same database")
    with open_contents(source, PIECES, new=False) as old, open_contents(target, PIECES, new=True) as new:
        rows = sum(old.count(table) for table in old.tables())
        with progress_bar("moving", 0, 2 * rows) as bar:
            moved = move(old, new, bar.at)
    with (
        open_reader(source) as old_reader,
        open_reader(target) as new_reader,
        progress_bar("comparing", 0, COMPARED) as bar,
    ):
        devices = compare_accounts(old_reader, new_reader, bar.at)
    for table, count in sorted(moved.items()):
        if count:
            say(f"{table}: {count}")
    say(f"moved and compared row by row; the histories of {devices} devices are equal on both sides")
    say("now let storage.url (or storage.url_file) name the new database, and start the exporter")
    return 0


def _url(url: str | None, file: Path | None) -> str:
    """Return a URL as it was given, or as a file has it."""
    if file is None:
        return url or ""
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read: {error}") from error
