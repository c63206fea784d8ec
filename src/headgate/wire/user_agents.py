"""The client's program, by a short name out of its User-Agent (RFC 9110, 10.1.5): `claude-code`, `curl`.

Versions, systems and comments are left out, so that a program keeps its name over its updates.
"""

import re
from functools import lru_cache
from typing import Final

LONGEST_CLIENT: Final = 64
"""Characters of a name."""

_KNOWN: Final = {
    "claude-cli": "claude-code",
    "codex_cli_rs": "codex",
    "codex_exec": "codex",
    "codex_vscode": "codex",
    "codex_sdk_ts": "codex",
    "codex-tui": "codex",
    "geminicli": "gemini-cli",
    "geminicli-vscode": "gemini-cli",
    "qwencode": "qwen-code",
    "roocode": "roo-code",
    "kilocode": "kilo-code",
    "githubcopilotchat": "github-copilot",
    "charm-crush": "crush",
    "ai": "ai-sdk",
    "node-fetch": "node",
    "undici": "node",
}
"""Products that call themselves otherwise than people do, or in several ways."""

_SDK = re.compile(
    r"(?:async)?(?:azure)?(anthropic|openai)[a-z]*/"
    r"(?:v1 )?(python|js|nodejs|go|java|kotlin|ruby|php|c#|csharp|dotnet)",
    re.IGNORECASE,
)
"""`Anthropic/Python 0.70.0`, `AsyncOpenAI/Python 1.99.1`, `AnthropicBedrock/JS 0.22.0`,
`OpenAI/NodeJS/3.2.1`, `OpenAI/v1 PythonBindings/0.28.1`, `AnthropicClientImpl/Java 1.2.0`."""
_DOTNET = re.compile(r"(anthropic|openai|azsdk-net-ai\.openai)/\S+ \(\.NET", re.IGNORECASE)
"""`OpenAI/2.1.0 (.NET 8.0.10; Microsoft Windows 10.0.22631)`."""
_GENAI = re.compile(r"google-genai-sdk/\S+(?: \S+)*? gl-(python|node|go|java)/", re.IGNORECASE)
"""`google-genai-sdk/1.38.0 gl-python/3.12.3`: one name for all of its languages, and which."""
_LANGUAGES: Final = {"nodejs": "js", "node": "js", "c#": "dotnet", "csharp": "dotnet"}

_COMMENT = re.compile(r"\([^()]*(?:\)|$)")
_OF_BROWSERS: Final = frozenset(
    {
        *("mozilla", "applewebkit", "gecko", "chrome", "chromium", "safari", "version", "mobile", "firefox"),
        *("edg", "opr", "electron", "khtml", "like", "headlesschrome"),
    }
)
"""What all of them say; a program built on one puts its own name between."""
_RUNTIMES: Final = frozenset({"python", "node.js", "ruby", "dart"})
"""`Python/3.12 aiohttp/3.9.5`: what runs it says less than what is run."""
_UNUSUAL = re.compile(r"[^a-z0-9._@+-]+")


@lru_cache(maxsize=1_024)
def client_of(user_agent: str) -> str | None:
    """The usual name of a known program, else the first product that tells something; None: it says none."""
    if (found := _GENAI.match(user_agent)) is not None:
        return f"google-genai-{_language(found[1])}"
    if (found := _SDK.match(user_agent)) is not None:
        return f"{found[1].lower()}-{_language(found[2])}"
    if (found := _DOTNET.match(user_agent)) is not None:
        return "anthropic-dotnet" if found[1].lower() == "anthropic" else "openai-dotnet"
    names = [name for word in _COMMENT.sub(" ", user_agent).split() if (name := _name(word))]
    if not names:
        return None
    if names[0] == "mozilla":
        return next((name for name in names if name not in _OF_BROWSERS), "browser")
    if names[0] in _RUNTIMES and len(names) > 1:
        return names[1]
    return names[0]


def _language(word: str) -> str:
    word = word.lower()
    return _LANGUAGES.get(word, word)


def _name(word: str) -> str:
    """Of a product, without its version."""
    name = _UNUSUAL.sub("-", word.partition("/")[0].lower()).strip("-.")[:LONGEST_CLIENT]
    return _KNOWN.get(name, name)
