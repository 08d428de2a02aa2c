"""Journals and recorders over one PostgreSQL database, several at a time."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from prometheus_client import CollectorRegistry

from exporter.incidents.schema import PIECE
from exporter.journal.port import Piece
from exporter.journal.postgres.journal import PostgresJournal
from exporter.metrics.own import SelfMetrics
from exporter.recording.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

TOYS = Piece("toys", ("CREATE TABLE toy (name TEXT PRIMARY KEY, price {bigint} NOT NULL);",))


def look(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(query)
        return found.fetchall() if found.description else []


def end_connections(url: str) -> None:
    look(url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'device-exporter'")


@asynccontextmanager
async def journals(url: str, count: int, **more: Any) -> AsyncIterator[list[PostgresJournal]]:
    opened = [PostgresJournal(url, [TOYS], **more) for _ in range(count)]
    try:
        await asyncio.gather(*(journal.start() for journal in opened))  # at once: they make the schema together
        yield opened
    finally:
        await asyncio.gather(*(journal.stop() for journal in opened))


@asynccontextmanager
async def exporters(url: str, count: int, clock: Callable[[], float] = time.time) -> AsyncIterator[list[Recorder]]:
    journals = [PostgresJournal(url, [TOYS, PIECE]) for _ in range(count)]
    started = [Recorder(journal, clock, SelfMetrics(CollectorRegistry())) for journal in journals]
    try:
        for recorder in started:
            await recorder.start()
        yield started
    finally:
        await asyncio.gather(*(recorder.stop() for recorder in started))
