"""`GET /metrics`: what Prometheus and its kin scrape. For the owner: it names accounts and keys."""

import asyncio
import math
from contextlib import suppress

import psutil
from fastapi import APIRouter, Request
from starlette.responses import Response

from headgate.admin.exposition import Figures
from headgate.admin.owner import GatewayProcess, ItsOwner, Owner
from headgate.admin.workings import Workings, use_of
from headgate.errors import NotFound
from headgate.pool.living import LivingAccount
from headgate.pricing.rates import NANO
from headgate.record.supervisor import RecorderReport
from headgate.record.tally import (
    DURATION_BOUNDS,
    FIRST_BYTE_BOUNDS,
    MOST_KEYS,
    OTHER,
    STAGE_BOUNDS,
    TOKEN_BOUNDS,
    Tally,
)
from headgate.vitals import LAG_BOUNDS, Vitals, open_file_limit

router = APIRouter(tags=["status"])


@router.head("/metrics", include_in_schema=False)
@router.get("/metrics", operation_id="prometheus_metrics", response_class=Response)
async def prometheus_metrics(request: Request, owner: ItsOwner) -> Response:
    """In Prometheus's text form, or OpenMetrics where `Accept` asks for it. Counters begin with the process;
    each gateway tells its own."""
    if not owner.settings.telemetry.prometheus:
        raise NotFound("/metrics is switched off", hint="Set telemetry.prometheus: true.")
    figures = await gather(owner)
    text, media_type = await asyncio.to_thread(figures.write, request.headers.get("accept", ""))
    return Response(text, headers={"content-type": media_type, "cache-control": "no-store"})


async def gather(owner: Owner) -> Figures:
    """As it is now. Lets others run between accounts, when there are many."""
    figures = Figures()
    figures.put("headgate_build_info", 1, owner.version)
    figures.put("process_start_time_seconds", owner.started_at)
    _add_process(figures)
    _add_queue(figures, owner)
    figures.put("headgate_switches", owner.pool.switches)
    process = owner.process
    if process is not None:
        workings, recorder = process.workings, process.recorder
        _add_traffic(figures, process, workings)
        _add_vitals(figures, workings.vitals)
        _add_journal(figures, process, workings, owner.clock.now())
        _add_recorder(figures, recorder, workings)
        if workings.tally is not None:
            _add_tally(figures, workings.tally)
    for number, living in enumerate(list(owner.pool.living.values())):
        if number % _ACCOUNTS_IN_A_ROW == _ACCOUNTS_IN_A_ROW - 1:
            await asyncio.sleep(0)
        _add_account(figures, living, owner.clock.now())
    return figures


_ACCOUNTS_IN_A_ROW = 100


def _add_process(figures: Figures) -> None:
    if (use := use_of(None)) is not None:
        figures.put("process_cpu_seconds", use.cpu_seconds)
        figures.put("process_resident_memory_bytes", use.memory_bytes)
    with suppress(psutil.Error, AttributeError):  # Windows has handles instead
        figures.put("process_open_fds", psutil.Process().num_fds())
        figures.put("process_max_fds", open_file_limit())


def _add_queue(figures: Figures, owner: Owner) -> None:
    queue = owner.queue
    figures.put("headgate_queue_waiting", queue.waiting)
    figures.put("headgate_queue_max_waiting", queue.most)
    figures.put("headgate_queue_longest_wait_seconds", queue.longest_seconds())
    names = {key.id: key.name for key in owner.ring.keys} if queue.waiting else {}
    others = 0
    for number, (key, waiting) in enumerate(queue.counts().items()):
        if number < MOST_KEYS:
            figures.put("headgate_queue_key_waiting", waiting, names.get(key, "anonymous"))
        else:
            others += waiting
    if others:
        figures.put("headgate_queue_key_waiting", others, OTHER)


def _add_traffic(figures: Figures, process: GatewayProcess, workings: Workings) -> None:
    figures.put("headgate_requests_in_flight", process.in_flight)
    figures.put("headgate_open_streams", process.open_streams)
    figures.put("headgate_client_connections", workings.connections)
    figures.put("headgate_client_connections_max", workings.most_connections)
    resting = workings.upstream_resting
    figures.put("headgate_upstream_connections", max(0, workings.upstream_open - resting), "busy")
    figures.put("headgate_upstream_connections", resting, "resting")
    figures.put("headgate_upstream_connect_seconds", (workings.connects, workings.connect_seconds))
    figures.put("headgate_upstream_connect_failures", workings.connect_failures)


def _add_vitals(figures: Figures, vitals: Vitals) -> None:
    lag = (list(vitals.lag_counts), vitals.lag_sum, LAG_BOUNDS)
    figures.put("headgate_event_loop_lag_seconds", lag)
    for generation, (count, seconds) in enumerate(zip(vitals.gc_counts, vitals.gc_seconds, strict=True)):
        figures.put("headgate_gc_pause_seconds", (count, seconds), str(generation))


def _add_journal(figures: Figures, process: GatewayProcess, workings: Workings, now: float) -> None:
    figures.put("headgate_journal_bytes", workings.journal_bytes)
    figures.put("headgate_journal_max_bytes", workings.journal_max_bytes)
    figures.put("headgate_journal_segments", workings.journal_segments)
    oldest = workings.oldest_waiting_at
    figures.put("headgate_journal_oldest_age_seconds", 0.0 if oldest is None else max(0.0, now - oldest))
    figures.put("headgate_journal_dropped_records", process.journal_dropped)
    figures.put("headgate_journal_refused_messages", workings.messages_refused)


def _add_recorder(figures: Figures, report: RecorderReport, workings: Workings) -> None:
    counts = report.counts
    figures.put("headgate_recorder_up", report.is_alive)
    figures.put("headgate_recorder_failing", report.failure is not None)
    figures.put("headgate_recorder_restarts", report.restarts)
    figures.put("headgate_recorder_lag_bytes", report.lag_bytes)
    figures.put("headgate_recorder_batches", workings.tally.batches if workings.tally else 0)
    figures.put("headgate_recorder_records_written", counts.written)
    for reason in ("damaged", "torn", "unreadable", "refused"):
        figures.put("headgate_recorder_records_lost", getattr(counts, reason), reason)
    if report.free_bytes is not None:
        figures.put("headgate_disk_free_bytes", report.free_bytes)
    if report.pid is not None and (use := use_of(report.pid)) is not None:
        figures.put("headgate_recorder_cpu_seconds", use.cpu_seconds)
        figures.put("headgate_recorder_resident_memory_bytes", use.memory_bytes)


def _add_tally(figures: Figures, tally: Tally) -> None:
    for name, counts in (
        ("headgate_requests", tally.requests),
        ("headgate_request_errors", tally.errors),
        ("headgate_attempts", tally.attempts),
        ("headgate_cooldowns", tally.rests),
        ("headgate_rotations", tally.rotations),
        ("headgate_tokens", tally.tokens),
        ("headgate_unpriced_requests", tally.unpriced),
    ):
        for labels, count in counts.items():
            figures.put(name, count, *labels)
    for name, by_key in (
        ("headgate_key_requests", tally.key_requests),
        ("headgate_key_tokens", tally.key_tokens),
    ):
        for key, count in by_key.items():
            figures.put(name, count, key)
    for pair, cost in tally.nano_usd.items():
        figures.put("headgate_cost_usd", cost / NANO, *pair)
    for key, cost in tally.key_nano_usd.items():
        figures.put("headgate_key_cost_usd", cost / NANO, key)
    for name, histograms, bounds in (
        ("headgate_request_duration_seconds", tally.durations, DURATION_BOUNDS),
        ("headgate_time_to_first_token_seconds", tally.first_bytes, FIRST_BYTE_BOUNDS),
        ("headgate_request_tokens", tally.request_tokens, TOKEN_BOUNDS),
    ):
        for pair, one in histograms.items():
            figures.put(name, (one.counts, one.sum, bounds), *pair)
    for stage, one in tally.stages.items():
        figures.put("headgate_stage_seconds", (one.counts, one.sum, STAGE_BOUNDS), stage)
    for outcome in ("sent", "failed", "dropped"):
        figures.put("headgate_telemetry_requests", getattr(tally.exports, outcome), outcome)
    figures.put("headgate_request_bytes", tally.request_bytes)
    figures.put("headgate_response_bytes", tally.response_bytes)


def _add_account(figures: Figures, living: LivingAccount, now: float) -> None:
    account = living.account
    both = (account.name, account.provider)
    figures.put("headgate_account_state", 1, *both, str(living.status))
    figures.put("headgate_account_available", living.can_serve(None, now), *both)
    reset = living.rate_limit_reset
    if reset is not None and math.isfinite(reset):
        figures.put("headgate_account_reset_timestamp_seconds", reset, *both)
    figures.put("headgate_account_in_flight", living.in_flight, *both)
    figures.put("headgate_account_requests", living.request_count, *both)
    figures.put("headgate_account_errors", living.error_count, *both)
    for window in living.windows:
        if window.utilization is not None:
            figures.put(
                "headgate_account_window_utilization_ratio", window.utilization, account.name, window.name
            )
        if window.resets_at is not None and math.isfinite(window.resets_at):
            figures.put(
                "headgate_account_window_reset_timestamp_seconds", window.resets_at, account.name, window.name
            )
