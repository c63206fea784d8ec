"""Programs by their names, from User-Agents as they are seen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.wire.user_agents import LONGEST_CLIENT, client_of


@pytest.mark.parametrize(
    ("user_agent", "client"),
    [
        ("claude-cli/2.0.76 (external, cli)", "claude-code"),
        ("claude-cli/2.1.4 (external, sdk-py)", "claude-code"),
        ("claude-code/2.0.14", "claude-code"),
        ("codex_cli_rs/0.63.0 (Mac OS 15.1.0; arm64) iTerm.app/3.6.5", "codex"),
        ("codex_exec/0.63.0 (Ubuntu 24.4.0; x86_64) xterm-256color", "codex"),
        ("codex_vscode/0.5.2 (Windows 10.0.26100; x86_64) unknown (VS Code; 0.4.46)", "codex"),
        ("GeminiCLI/0.8.1/gemini-2.5-pro (linux; x64)", "gemini-cli"),
        ("GeminiCLI/0.1.0 Node.js/v22.14.0 (darwin; arm64)", "gemini-cli"),
        ("QwenCode/0.0.10 (linux; x64)", "qwen-code"),
        ("opencode/1.0.134 ai-sdk/provider-utils/3.0.18 runtime/bun/1.3.3", "opencode"),
        ("ai-sdk/anthropic/2.0.1 ai-sdk/provider-utils/3.0.0 runtime/node.js/22", "ai-sdk"),
        ("ai/5.0.59 ai-sdk/openai/2.0.42 ai-sdk/provider-utils/3.0.10", "ai-sdk"),
        ("RooCode/3.25.1", "roo-code"),
        ("GitHubCopilotChat/0.22.4", "github-copilot"),
        ("Zed/0.199.4 (linux; x86_64)", "zed"),
        ("litellm/1.75.3", "litellm"),
        ("Anthropic/Python 0.70.0", "anthropic-python"),
        ("AsyncAnthropic/Python 0.39.0", "anthropic-python"),
        ("AnthropicBedrock/Python 0.39.0", "anthropic-python"),
        ("Anthropic/JS 0.55.1", "anthropic-js"),
        ("Anthropic/Go 1.4.0", "anthropic-go"),
        ("AnthropicClientImpl/Java 1.2.0", "anthropic-java"),
        ("OpenAI/Python 1.99.1", "openai-python"),
        ("AsyncAzureOpenAI/Python 1.59.6", "openai-python"),
        ("OpenAI/JS 4.104.0", "openai-js"),
        ("OpenAI/NodeJS/3.2.1", "openai-js"),
        ("OpenAI/v1 PythonBindings/0.28.1", "openai-python"),
        ("OpenAI/2.1.0 (.NET 8.0.10; Microsoft Windows 10.0.22631)", "openai-dotnet"),
        ("google-genai-sdk/1.38.0 gl-python/3.12.3", "google-genai-python"),
        ("google-genai-sdk/1.16.0 gl-node/v22.14.0", "google-genai-js"),
        ("curl/8.5.0", "curl"),
        ("python-httpx/0.28.1", "python-httpx"),
        ("python-requests/2.32.3", "python-requests"),
        ("Python-urllib/3.12", "python-urllib"),
        ("Python/3.12 aiohttp/3.9.5", "aiohttp"),
        ("node", "node"),
        ("undici", "node"),
        ("node-fetch/1.0 (+https://github.com/bitinn/node-fetch)", "node"),
        ("Go-http-client/1.1", "go-http-client"),
        ("okhttp/4.12.0", "okhttp"),
        ("PostmanRuntime/7.39.1", "postmanruntime"),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
            "Chrome/126.0.6478.234 Safari/537.36",
            "browser",
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) "
            "CherryStudio/1.2.4 Chrome/126.0.6478.234 Electron/31.7.6 Safari/537.36",
            "cherrystudio",
        ),
        ("Mein Werkzeug", "mein"),
        ("w\xe9rkzeug$$/1", "w-rkzeug"),
        ("()", None),
        ("/1.0", None),
        ("   ", None),
        ("", None),
        ("x" * 256, "x" * LONGEST_CLIENT),
    ],
)
def test_the_program_by_its_name(user_agent: str, client: str | None) -> None:
    """Without version and system; what is not known by its first product."""
    assert client_of(user_agent) == client


@given(st.text(max_size=256))
def test_any_words_make_a_short_plain_name_or_none(user_agent: str) -> None:
    """Strangers write them."""
    name = client_of(user_agent)
    assert name is None or (0 < len(name) <= LONGEST_CLIENT and name.isascii() and " " not in name)
