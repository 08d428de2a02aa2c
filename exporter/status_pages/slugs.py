"""The address of each page: the one of the configuration, or letters by chance that the journal keeps."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

import msgspec

from exporter.journal.port import Piece

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.config.schema import StatusPage
    from exporter.journal.port import Rows, Transaction

PIECE: Final = Piece(
    "status_pages",
    ("CREATE TABLE status_page (selection TEXT PRIMARY KEY, slug TEXT NOT NULL UNIQUE) {without_rowid};",),
)
_LETTERS: Final = "abcdefghijkmnpqrstuvwxyz23456789"
_LENGTH: Final = 20


def selection(page: StatusPage) -> str:
    """Return what a page shows, as a text that stays the same."""
    return msgspec.json.encode([page.match, sorted(page.devices)]).decode()


def known(tables: Rows, pages: Iterable[StatusPage]) -> dict[str, StatusPage]:
    """Return the pages by their slugs; those that have none yet are left out."""
    made = dict(tables.rows("SELECT selection, slug FROM status_page"))
    slugs = ((page.slug or made.get(selection(page)), page) for page in pages)
    return {slug: page for slug, page in slugs if slug is not None}


def ensure(transaction: Transaction, pages: Iterable[StatusPage]) -> dict[str, StatusPage]:
    """Return the pages by their slugs, made where they are missing."""
    for page in pages:
        if page.slug is None:
            slug = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
            values = (selection(page), slug)
            transaction.run("INSERT INTO status_page VALUES (?, ?) ON CONFLICT DO NOTHING", values)
    return known(transaction, pages)
