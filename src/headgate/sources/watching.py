"""When to look at the files again: the system's word for most changes, and a look every two seconds for those
that it does not tell of (network folders, links of mounted secrets, folders that come later)."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import aclosing, suppress
from pathlib import Path

from headgate.config import fingerprints

LOOK_SECONDS = 2.0
_DEBOUNCE_MS, _STEP_MS = 400, 50

_log = logging.getLogger("headgate.sources")


async def moments(
    folders: Callable[[], Collection[Path]], is_ours: Callable[[str], bool], anew: asyncio.Event
) -> AsyncGenerator[bool, None]:
    """True: something happened to a file of ours, by its name, in one of the folders, just there and not
    below. False: nobody said so.

    Ends when `anew` is set, for then other folders are to be watched.
    """
    while not anew.is_set():
        there = _identities(folders())
        if there:
            async with aclosing(_told(there, is_ours, anew)) as told:
                async for is_told in told:
                    yield is_told
                    if _identities(folders()) != there:
                        break
        else:
            yield False
            with suppress(TimeoutError):
                await asyncio.wait_for(anew.wait(), LOOK_SECONDS)


async def _told(
    there: dict[Path, int], is_ours: Callable[[str], bool], anew: asyncio.Event
) -> AsyncGenerator[bool, None]:
    from watchfiles import awatch  # a twentieth of a start, and most gateways watch no files

    try:
        async for changes in awatch(
            *there,
            watch_filter=lambda change, path: is_ours(Path(path).name),
            debounce=_DEBOUNCE_MS,
            step=_STEP_MS,
            stop_event=anew,
            rust_timeout=round(LOOK_SECONDS * 1000),
            yield_on_timeout=True,
            recursive=False,
            ignore_permission_denied=True,
        ):
            yield bool(changes)
    except (OSError, RuntimeError, ExceptionGroup) as error:
        # Too many watches on this system, a folder that went away just now, or a name that is no UTF-8: the
        # last comes wrapped in a group.
        if isinstance(error, ExceptionGroup) and error.split((OSError, RuntimeError))[1] is not None:
            raise
        _log.debug("Not told of changes, so looking for them: %s", error)
        yield False
        with suppress(TimeoutError):
            await asyncio.wait_for(anew.wait(), LOOK_SECONDS)


def _identities(folders: Collection[Path]) -> dict[Path, int]:
    """A folder that was put in another's place must be watched anew."""
    found = fingerprints.of(folders)
    return {path: print_[0] for path, print_ in found.items() if len(print_) > 1}
