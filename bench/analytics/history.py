"""A long history, made up quickly: ninety days of twelve accounts, forty keys, eight models, six programs and
ten projects."""

import random
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import asyncpg

from headgate.storage.database import Database
from headgate.storage.partitions import make_months

DAYS = 90
PIECE = 50_000

COLUMNS = (
    *("id", "timestamp", "dialect", "provider", "method", "path", "caller", "client_address", "user_agent"),
    *("session", "model", "stream", "account_id", "account", "status", "error", "first_byte_ms"),
    *("duration_ms", "overhead_ms", "request_bytes", "response_bytes", "input_tokens", "output_tokens"),
    *("cache_read_tokens", "cache_write_5m_tokens", "key_id", "nano_usd", "client", "project"),
)

_MODELS = (
    *("claude-sonnet-4-5", "claude-opus-4-5", "claude-haiku-4-5", "claude-sonnet-5"),
    *("gpt-5", "gpt-5-mini", "gemini-2.5-pro", "made-up"),
)
_CLIENTS = ("claude-code", "codex", "anthropic-python", "opencode", "openai-js", "curl")
_PROJECTS = (*("website", "api", "mobile", "search", "billing", "docs", "infra", "ml", "games"), None)
_FAILURES = ((429, "rate_limited"), (529, "overloaded_error"), (500, "api_error"), (499, "client_left"))


def rows(count: int, now_ms: int) -> Iterator[tuple[Any, ...]]:
    """In the order of their times. Each key stays with three accounts, three models, two programs and
    three projects; what it asks for next is most often what it asked for before."""
    chance = random.Random(1)
    begin, span = now_ms - DAYS * 86_400_000, DAYS * 86_400_000
    draw, randrange = chance.random, chance.randrange
    lengths = [chance.lognormvariate(8, 1) for _ in range(10_000)]
    for number in range(count):
        key = int(40 * draw() ** 2) + 1
        account = (key * 5 + randrange(3)) % 12 + 1
        model = _MODELS[(key * 3 + int(3 * draw() ** 2)) % 8]
        duration = lengths[randrange(10_000)]
        output = randrange(1, 2_000)
        failure = draw() < 0.03
        status, error = _FAILURES[randrange(4)] if failure else (200, None)
        used = (None, None, None, None) if failure else (randrange(5_000), output, randrange(50_000), 100)
        yield (
            *(f"hgr_{number:032d}", begin + span * number // count, "anthropic", "anthropic", "POST"),
            "/v1/messages/count_tokens" if draw() < 0.1 else "/v1/messages",
            *(f"key-{key}", "10.0.0.1", "bench", f"session-{number // 40}", model, draw() < 0.8),
            *(account, f"account-{account}", status, error, duration * 0.2, duration, 0.4, 9_000, 4_000),
            *(*used, key, None if failure or model == "made-up" else output * 15_000),
            *(_CLIENTS[(key + (draw() < 0.2)) % 6], _PROJECTS[(key * 7 + int(3 * draw() ** 2)) % 10]),
        )


async def fill(database: Database, count: int, now_ms: int) -> None:
    """The rows alone, in pieces, without a sync in between: what is lost in a power cut is made anew."""
    began = time.perf_counter()
    pieces = _pieces(rows(count, now_ms))
    if database.path is not None:
        with closing(sqlite3.connect(database.path, isolation_level=None)) as file:
            file.execute("PRAGMA synchronous=OFF")
            marks = ", ".join("?" * len(COLUMNS))
            statement = f"INSERT INTO requests ({', '.join(COLUMNS)}) VALUES ({marks})"
            for done, piece in pieces:
                file.execute("BEGIN")
                file.executemany(statement, piece)
                file.execute("COMMIT")
                _show(done, count, began)
            file.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    else:
        plain = await asyncpg.connect(
            database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        )
        begin, month_ms = now_ms - DAYS * 86_400_000, 28 * 86_400_000
        async with database.write() as connection:
            await make_months(connection, range(begin, now_ms + month_ms, month_ms))
        for done, piece in pieces:
            await plain.copy_records_to_table("requests", records=piece, columns=COLUMNS)
            _show(done, count, began)
        await plain.execute("ANALYZE requests")
        await plain.close()
    sys.stderr.write("\n")


def _pieces(all_rows: Iterator[tuple[Any, ...]]) -> Iterator[tuple[int, list[tuple[Any, ...]]]]:
    done = 0
    piece: list[tuple[Any, ...]] = []
    for row in all_rows:
        piece.append(row)
        if len(piece) == PIECE:
            done += PIECE
            yield done, piece
            piece = []
    if piece:
        yield done + len(piece), piece


def _show(done: int, count: int, began: float) -> None:
    share = done / count
    bar = "#" * round(40 * share)
    left = (time.perf_counter() - began) * (1 - share) / share
    sys.stderr.write(f"\r  {bar:<40} {done:>12,} of {count:,} requests, {left:.0f} s left   ")
    sys.stderr.flush()
