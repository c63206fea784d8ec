"""How long a client waits: the time until the first byte over all attempts, cut into attempts."""

import math

from headgate.clock import Clock
from headgate.config.settings import ServerSettings, UpstreamSettings
from headgate.errors import HeadgateError, RequestTimedOut, UpstreamTimedOut
from headgate.relay.exchange import Exchange
from headgate.upstream.timeouts import Timeouts

_TIMER_SECONDS = 0.005
"""An event loop's timers may be early by less."""


class Patience:
    def __init__(self, server: ServerSettings, upstream: UpstreamSettings, clock: Clock) -> None:
        self._monotonic = clock.monotonic
        self._request_ms = server.request_timeout_ms
        self._usual = Timeouts(
            connect=upstream.connect_timeout_ms / 1000,
            first_byte=upstream.first_byte_timeout_ms / 1000,
            beginning=server.request_timeout_ms / 1000,
            idle=upstream.idle_timeout_ms / 1000,
            total=upstream.total_timeout_ms / 1000,
        )
        self._request_seconds = self._request_ms / 1000 if self._request_ms else math.inf
        longest_start = (self._usual.connect or 0) + (self._usual.first_byte or 0)
        self._enough = longest_start or math.inf
        """Seconds; so much left shortens no attempt."""

    def seconds_left(self, exchange: Exchange) -> float:
        return self._left(exchange, self._monotonic())

    def _left(self, exchange: Exchange, now: float) -> float:
        return exchange.ready_at + self._request_seconds - now

    def timeouts(self, exchange: Exchange, now: float) -> Timeouts:
        """Of an attempt that begins now: the settings', or what is left. Raises RequestTimedOut."""
        left = self._left(exchange, now)
        if left >= self._enough:
            return self._usual
        if left <= 0:
            raise self._timed_out()
        usual = self._usual
        return Timeouts(
            connect=min(usual.connect or left, left),
            first_byte=min(usual.first_byte or left, left),
            beginning=left,
            idle=usual.idle,
            total=usual.total,
        )

    def check(self, exchange: Exchange) -> None:
        """Raises RequestTimedOut when the client has waited long enough."""
        if self.seconds_left(exchange) <= 0:
            raise self._timed_out()

    def named(self, exchange: Exchange, error: HeadgateError) -> HeadgateError:
        """The same error; a timeout by the limit that the owner set: an attempt may have got less."""
        if not isinstance(error, UpstreamTimedOut) or exchange.has_started:
            return error
        is_over = self.seconds_left(exchange) <= _TIMER_SECONDS
        return self._timed_out() if is_over else timed_out(error.limit_ms, setting=error.setting)

    def _timed_out(self) -> RequestTimedOut:
        return timed_out(self._request_ms, setting="server.request_timeout_ms")


def timed_out(limit_ms: int, *, setting: str) -> RequestTimedOut:
    return RequestTimedOut(
        f"Request timed out after {limit_ms}ms", hint=f"The owner sets this limit as `{setting}`."
    )
