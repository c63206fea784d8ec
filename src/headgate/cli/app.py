"""The `headgate` command: what it understands, and how it ends.

Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 130 stopped by Ctrl+C.
"""

import gc
import io
import os
import sys
from typing import Annotated, Any

import typer

from headgate.cli.commands import CommandTree
from headgate.cli.terminal import CommandFailed, err, print_failure
from headgate.cli.version import version
from headgate.config import texts
from headgate.errors import HeadgateError, SettingsError

INTERRUPTED = 130
"""128 and the number of SIGINT, as shells have it."""

_UsageError: Any = typer.BadParameter.__mro__[1]
"""Typer's name for it is not public."""

app = typer.Typer(
    cls=CommandTree,
    name="headgate",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: headgate status",
)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        version()
        raise typer.Exit


@app.callback()
def headgate(
    is_version_wanted: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """A self-hosted gateway between AI coding tools and the model providers."""


def main() -> None:
    """Entry point of the command. Every failure that has a name ends in what, why and mend."""
    _buffer_output()
    try:
        code = _exit_code()
        _flush()
    except OSError as error:
        # The same words fail again when it was they that could not be written; anything else is a bug.
        if (refusal := _refusal_of_output()) is None:
            raise
        if not isinstance(refusal, BrokenPipeError):  # whoever closed a pipe has read enough
            err.print(f"error: Cannot write the answer: {error.strerror}", soft_wrap=True, markup=False)
        code = 1
    gc.freeze()  # at its end Python looks for garbage once more, which takes a third of a short command
    sys.exit(code)


def _exit_code() -> int:
    try:
        _refuse_broken_words()
        ended = app(standalone_mode=False)
        return ended if isinstance(ended, int) else 0
    except SystemExit as end:
        return int(end.code or 0)
    except typer.Abort:
        err.print("\nThe question was not answered: nothing was changed.")
        return 1
    except _UsageError as error:
        return _wrong_usage(error)
    except CommandFailed as failure:
        print_failure(failure)
        return failure.exit_code
    except SettingsError as error:
        print_failure(CommandFailed("The settings cannot be used", error.message, error.hint))
        return 2
    except HeadgateError as error:
        print_failure(CommandFailed("The command failed", error.message, error.hint))
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def _refuse_broken_words() -> None:
    """What cannot be told to a gateway, a file or a person goes no further, whichever word it is."""
    for word in sys.argv[1:]:
        if texts.is_broken(word):
            why = f"{texts.shown(word)!r} holds bytes that are no UTF-8 text"
            raise CommandFailed("Wrong usage of headgate", why, "Write it in UTF-8.", exit_code=2)


def _wrong_usage(error: Any) -> int:
    """What cannot be read as a command. A group called without a command shows its help."""
    command = error.ctx.command_path if error.ctx is not None else "headgate"
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
    else:
        why, mend = _wrong_value(error)
        mend = mend or f"{command} --help shows what there is."
        print_failure(CommandFailed(f"Wrong usage of {command}", why, mend))
    return int(error.exit_code)


def _wrong_value(error: Any) -> tuple[str, str]:
    """Why an option's value is none of its own, and which are. Typer has it checked by pydantic."""
    cause = error.__cause__
    if not isinstance(cause, ValueError) or not hasattr(cause, "errors"):
        return error.format_message().rstrip("."), ""
    found, option = cause.errors()[0], error.param.opts[0]
    given, limits, words = found["input"], found.get("ctx", {}), found["msg"].partition(" is not one of ")[2]
    match found["type"]:
        case "greater_than_equal":
            return f"{option}: {given} is too small", f"Give it {limits['ge']} or more."
        case "less_than_equal":
            return f"{option}: {given} is too large", f"Give it {limits['le']} or less."
        case "int_parsing":
            return f"{option}: {given!r} is no whole number", "Give it one in digits, such as 10."
        case "value_error" if words:
            valid = words.rstrip(".").replace("'", "")
            return f"{option}: {given!r} is none of what it takes", f"Valid are {valid}."
    return error.format_message().rstrip("."), ""


def _buffer_output() -> None:
    """Also under PYTHONUNBUFFERED, which images of containers set: an answer that a full disk or a closed
    pipe does not take would be gone with its error, and part of a large one would be taken for all of it."""
    given = sys.stdout
    if isinstance(given, io.TextIOWrapper) and isinstance(given.buffer, io.RawIOBase):
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(given.buffer),
            encoding=given.encoding,
            errors=given.errors,
            line_buffering=given.isatty(),
        )


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _refusal_of_output() -> OSError | None:
    """Why standard output takes nothing; what it did not take is dropped then, so that the end is quiet."""
    try:
        _flush()
    except OSError as error:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        return error
    return None


if __name__ == "__main__":
    main()
