"""Words that clients put into conversations by themselves: reminders, and those round a compaction.

Seen in bodies of Claude Code 1 and 2, and of clients that took its wording over.
"""

import re

SUB_AGENT_TOOLS = frozenset({"task", "agent"})
"""Tools, in lower case, whose `prompt` opens a conversation of its own."""

_OPENS = re.compile(r"<system-reminder>", re.IGNORECASE)
_CLOSES = re.compile(r"</system-reminder>", re.IGNORECASE)

_CONTINUES = (
    "this session is being continued from a previous conversation",
    "this conversation is being continued from a previous",
    "the conversation history before this point was compacted",
    "the following is a summary of our conversation so far",
)
_ASKS_FOR_SUMMARY = (
    "your task is to create a detailed summary of the conversation so far",
    "your task is to create a detailed summary of this conversation",
    "provide a detailed prompt for continuing our conversation",
    "provide a detailed but concise summary of our conversation",
)
_LOOKED_AT = 4_096
"""Characters of a text in which the words above are looked for; they stand at its beginning."""


def cleaned(text: str) -> str:
    """Without reminders and the white space before them, trimmed, with plain line ends.

    One pass: a stranger may send a megabyte of openings.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    opening = _OPENS.search(text)
    if opening is None:
        return text.strip()
    kept, end = [], 0
    while opening is not None:
        closing = _CLOSES.search(text, opening.end())
        if closing is None:
            break
        kept.append(text[end : opening.start()].rstrip())
        end = closing.end()
        opening = _OPENS.search(text, end)
    kept.append(text[end:])
    return "".join(kept).strip()


def continues_another(text: str) -> bool:
    """Whether a client begins anew here, with a summary of what was said before."""
    beginning = text[:_LOOKED_AT].lower()
    return any(phrase in beginning for phrase in _CONTINUES)


def asks_for_summary(text: str) -> bool:
    """Whether a client asks for the summary it will begin anew with."""
    beginning = text[:_LOOKED_AT].lower()
    return any(phrase in beginning for phrase in _ASKS_FOR_SUMMARY)
