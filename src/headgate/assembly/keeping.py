"""Whether what is said is kept, and by which key: asked at the start and when settings change."""

import logging

from headgate.access.batches import BatchMemory
from headgate.clock import Clock
from headgate.config.settings import Settings
from headgate.record.journal import Journal
from headgate.relay.answers import Answers
from headgate.relay.capture import Capture, KeepingAnswers
from headgate.relay.tape import Held
from headgate.storage.body_keys import BodyKeys

_log = logging.getLogger("headgate.stream-tee")

_NO_KEY = "the encryption key is missing, and nothing is kept in clear"
_MEND = "Put back the key that the accounts were sealed with (`headgate config path --all` names its file)"


class Keeping:
    """One for the whole gateway."""

    def __init__(self, keys: BodyKeys, journal: Journal, clock: Clock, batches: BatchMemory) -> None:
        self.refusal: str | None = None
        """Why bodies are not kept though they should be."""
        self._keys = keys
        self._journal = journal
        self._clock = clock
        self._batches = batches
        self._held = Held()
        self._captures: list[Capture] = []

    async def capture_for(self, settings: Settings) -> Capture | None:
        """None: nothing is kept."""
        wanted = settings.storage.bodies
        self.refusal = None
        if not wanted.keep:
            return None
        key = await self._keys.current()
        if key is None:
            self.refusal = _NO_KEY
            _log.warning("Requests and answers are not kept: %s. %s, then restart.", _NO_KEY, _MEND)
            return None
        capture = Capture(self._journal, key, self._held, max_bytes=wanted.max_bytes)
        self._captures = [one for one in self._captures if one.is_busy]
        self._captures.append(capture)
        return capture

    def answers(self, settings: Settings, capture: Capture | None) -> Answers:
        if capture is None:
            return Answers(self._journal, self._clock, settings.routing, self._batches)
        return KeepingAnswers(self._journal, self._clock, settings.routing, self._batches, capture)

    @property
    def dropped(self) -> int:
        """Bodies that the journal had no room for, since the start."""
        return self._journal.bodies_refused

    def finish(self) -> None:
        """The journal is about to be closed."""
        for capture in self._captures:
            capture.finish()
