"""Every figure of `/metrics`: its name, kind, meaning and labels. `docs/metrics.md` is written from it.

Names are as Prometheus wants them: base units, and `_total` behind a counter's, which the exposition adds.
"""

from typing import NamedTuple


class Metric(NamedTuple):
    kind: str
    """counter, gauge, histogram or summary."""
    text: str
    labels: tuple[str, ...] = ()


COUNTER, GAUGE, HISTOGRAM, SUMMARY = "counter", "gauge", "histogram", "summary"

REQUESTS = {
    "headgate_requests": Metric(
        COUNTER, "Requests, by the status that the client saw.", ("provider", "model", "status")
    ),
    "headgate_request_errors": Metric(
        COUNTER,
        "Requests that failed, by the stable code or the provider's error type.",
        ("provider", "code"),
    ),
    "headgate_request_duration_seconds": Metric(
        HISTOGRAM, "From the request's head to the end of the answer.", ("provider", "model")
    ),
    "headgate_time_to_first_token_seconds": Metric(
        HISTOGRAM, "From the request's head to the first byte of a streamed answer.", ("provider", "model")
    ),
    "headgate_stage_seconds": Metric(
        HISTOGRAM,
        "Where a request's time went: own (the gateway's work), waiting (in the queue, between attempts),"
        " provider (until its head, failed attempts too), body (from the first byte to the last).",
        ("stage",),
    ),
    "headgate_tokens": Metric(
        COUNTER, "Tokens: input, output, cache_read, cache_write.", ("provider", "model", "kind")
    ),
    "headgate_request_tokens": Metric(
        HISTOGRAM, "Tokens of one request: input (with the cache) or output.", ("provider", "direction")
    ),
    "headgate_cost_usd": Metric(
        COUNTER, "What requests cost, where a price is known.", ("provider", "model")
    ),
    "headgate_unpriced_requests": Metric(
        COUNTER, "Requests that used tokens and whose cost nobody knows.", ("provider", "model")
    ),
    "headgate_request_bytes": Metric(COUNTER, "Bytes of requests' bodies."),
    "headgate_response_bytes": Metric(COUNTER, "Bytes of answers' bodies."),
    "headgate_key_requests": Metric(COUNTER, "Requests by client key.", ("key",)),
    "headgate_key_tokens": Metric(COUNTER, "Tokens of all kinds by client key.", ("key",)),
    "headgate_key_cost_usd": Metric(COUNTER, "Cost by client key.", ("key",)),
}
"""Counted by the recorder, with the records."""

ACCOUNTS = {
    "headgate_account_state": Metric(
        GAUGE,
        "1 for the state that it is in: active, paused, rate_limited, expired, needs_reauth or disabled.",
        ("account", "provider", "state"),
    ),
    "headgate_account_available": Metric(
        GAUGE, "Whether it could take a request of any of its models now.", ("account", "provider")
    ),
    "headgate_account_reset_timestamp_seconds": Metric(
        GAUGE,
        "When a limited account returns, Unix seconds; absent: it is not limited.",
        ("account", "provider"),
    ),
    "headgate_account_window_utilization_ratio": Metric(
        GAUGE, "How much of a quota window is used, 0 to 1, as the provider said last.", ("account", "window")
    ),
    "headgate_account_window_reset_timestamp_seconds": Metric(
        GAUGE, "When that window resets, Unix seconds.", ("account", "window")
    ),
    "headgate_account_in_flight": Metric(GAUGE, "Requests that run on it.", ("account", "provider")),
    "headgate_account_requests": Metric(
        COUNTER, "Requests that it was tried for, since the start.", ("account", "provider")
    ),
    "headgate_account_errors": Metric(COUNTER, "Those of them that failed on it.", ("account", "provider")),
    "headgate_attempts": Metric(
        COUNTER, "Tries on accounts: served, or the code of the failure.", ("account", "outcome")
    ),
    "headgate_cooldowns": Metric(
        COUNTER, "How often a failed try took an account out for a while.", ("account", "code")
    ),
    "headgate_rotations": Metric(
        COUNTER, "How often a request moved on: from which account, and why.", ("account", "code")
    ),
    "headgate_switches": Metric(
        COUNTER, "Switches of account in all: of requests between tries, and of whole conversations."
    ),
}

NOW = {
    "headgate_build_info": Metric(GAUGE, "1, for the version that runs.", ("version",)),
    "headgate_requests_in_flight": Metric(GAUGE, "Requests that have no complete answer yet."),
    "headgate_open_streams": Metric(GAUGE, "Answers that have begun and go on."),
    "headgate_client_connections": Metric(GAUGE, "Connections of clients."),
    "headgate_client_connections_max": Metric(GAUGE, "How many there may be."),
    "headgate_upstream_connections": Metric(
        GAUGE, "Connections to providers: busy, or resting for the next request.", ("state",)
    ),
    "headgate_upstream_connect_seconds": Metric(SUMMARY, "Opening connections to providers, TLS included."),
    "headgate_upstream_connect_failures": Metric(
        COUNTER, "Connections to providers that could not be opened."
    ),
    "headgate_queue_waiting": Metric(GAUGE, "Requests that wait for their turn."),
    "headgate_queue_max_waiting": Metric(GAUGE, "How many may."),
    "headgate_queue_longest_wait_seconds": Metric(GAUGE, "How long the first of them has waited."),
    "headgate_queue_key_waiting": Metric(GAUGE, "Requests that wait, by client key.", ("key",)),
}

MACHINERY = {
    "headgate_event_loop_lag_seconds": Metric(
        HISTOGRAM, "How late the event loop was, looked at each second."
    ),
    "headgate_gc_pause_seconds": Metric(SUMMARY, "What the garbage collector stopped.", ("generation",)),
    "headgate_journal_bytes": Metric(GAUGE, "In the journal's files."),
    "headgate_journal_max_bytes": Metric(GAUGE, "How many may be."),
    "headgate_journal_segments": Metric(GAUGE, "Files of the journal."),
    "headgate_journal_oldest_age_seconds": Metric(
        GAUGE, "Age of the oldest record that is not in the database yet; 0: all are."
    ),
    "headgate_journal_dropped_records": Metric(
        COUNTER, "Records lost because the journal was full or broken."
    ),
    "headgate_journal_refused_messages": Metric(
        COUNTER, "Messages that were not linked to conversations, so that records find room."
    ),
    "headgate_recorder_up": Metric(GAUGE, "Whether the recorder runs."),
    "headgate_recorder_failing": Metric(GAUGE, "Whether the database cannot be written."),
    "headgate_recorder_restarts": Metric(COUNTER, "How often it had to be started again."),
    "headgate_recorder_lag_bytes": Metric(GAUGE, "Journal bytes that are not known to be in the database."),
    "headgate_recorder_batches": Metric(COUNTER, "Batches that were stored."),
    "headgate_recorder_records_written": Metric(COUNTER, "Records that were stored."),
    "headgate_recorder_records_lost": Metric(
        COUNTER, "Records that could not be read back or were refused by the database.", ("reason",)
    ),
    "headgate_telemetry_requests": Metric(
        COUNTER, "Requests told to an OpenTelemetry collector: sent, failed, dropped.", ("outcome",)
    ),
    "headgate_recorder_cpu_seconds": Metric(COUNTER, "CPU time of the recorder's process."),
    "headgate_recorder_resident_memory_bytes": Metric(GAUGE, "Memory of the recorder's process."),
    "headgate_disk_free_bytes": Metric(GAUGE, "On the disk of the journal."),
    "process_cpu_seconds": Metric(COUNTER, "CPU time of the gateway's process."),
    "process_resident_memory_bytes": Metric(GAUGE, "Memory of the gateway's process."),
    "process_open_fds": Metric(GAUGE, "Open file descriptors."),
    "process_max_fds": Metric(GAUGE, "How many there may be."),
    "process_start_time_seconds": Metric(GAUGE, "When the gateway started, Unix seconds."),
}

METRICS = {**REQUESTS, **ACCOUNTS, **NOW, **MACHINERY}
