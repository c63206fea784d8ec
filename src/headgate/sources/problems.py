"""What is wrong with the files of accounts, in words for their owner."""

from dataclasses import dataclass
from pathlib import Path

from headgate.sources.survey import Trouble


@dataclass(frozen=True, slots=True)
class Problem:
    """What the owner should know of; `said_openly` is for others, and names neither paths nor accounts."""

    code: str
    reason: str
    hint: str
    said_openly: str
    is_degrading: bool


def of_trouble(trouble: Trouble) -> Problem:
    code = "source_invalid" if trouble.is_wrong else "source_unreadable"
    openly = "A file of accounts is wrong" if trouble.is_wrong else "A file of accounts cannot be read"
    return Problem(code, f"{trouble.what}; its accounts stay as they were", trouble.hint, openly, True)


def unwritten(file: Path, why: str) -> Problem:
    return Problem(
        "source_not_written",
        f"New tokens could not be written to {file}: {why}",
        "The database has them, and they are in use. The file is tried again; let this process write it.",
        "A file of accounts could not be written",
        True,
    )


def left_out(name: str, why: str) -> Problem:
    return Problem(
        "account_left_out",
        f"Account {name} was not taken as its file has it: {why}",
        "Mend it in the file; the others are not touched.",
        "An account of a file was not taken",
        False,
    )
