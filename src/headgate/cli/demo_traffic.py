"""The traffic of `headgate demo`: accounts, some conversations, one answer shown as it streams."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from headgate.cli.control import Control
from headgate.cli.http import httpx
from headgate.testing.process import SimulatedProvider

MODEL = "claude-sonnet-4-5"
ACCOUNTS = ("work", "team", "spare")
LIMITED = "team"
CONVERSATIONS = 9
"""Enough that each of three accounts gets some, so that the limited one is sure to be met."""

QUESTIONS = (
    "What does a reverse proxy do?",
    "Name three prime numbers.",
    "Why is the sky blue?",
)
STREAMED_QUESTION = "Tell me in a few sentences what you are, and what stands between us."
REPLY = (
    "I am a simulated provider on your own machine, so nothing here costs anything. Between us stands "
    "Headgate. It picked one of three accounts for your question, passed it on byte for byte, and hands you "
    "my answer piece by piece, as it leaves me. A moment ago one of the accounts ran into its limit. It "
    "rests until its reset, and the question that met the limit was answered by another account: whoever had "
    "asked saw an answer and nothing else."
)


def simulated_key(name: str) -> str:
    """The simulated provider takes every key that begins so for an account of its own."""
    return f"sk-ant-sim-demo-{name}"


async def put_accounts_in(control: Control, provider: SimulatedProvider) -> None:
    for name in ACCOUNTS:
        wanted = {"name": name, "api_key": simulated_key(name), "base_url": provider.url}
        await control.ask("POST", "/api/accounts", doing=f"Cannot add the account {name}", body=wanted)


def set_the_scene(provider: SimulatedProvider) -> None:
    """Realistic pacing, and one account that answers 429 from its second request on."""
    provider.script(pacing={"first_byte_ms": 120, "event_ms": 15}, reply={"text": REPLY})
    limit = {"fault": "429", "after": 1, "limit": "retry_after", "seconds": 300}
    provider.script(simulated_key(LIMITED), rules=[limit])


async def converse(client: httpx.AsyncClient) -> list[int]:
    """Several conversations at once, one request each; the statuses that the clients saw."""
    answers = (_ask(client, number) for number in range(CONVERSATIONS))
    return list(await asyncio.gather(*answers))


async def _ask(client: httpx.AsyncClient, number: int) -> int:
    body = message(QUESTIONS[number % len(QUESTIONS)])
    answer = await client.post(
        "/v1/messages", json=body, headers={"x-headgate-session": f"demo-conversation-{number}"}
    )
    return answer.status_code


async def stream(client: httpx.AsyncClient) -> AsyncIterator[str]:
    """The text of one streamed answer, piece by piece as it arrives."""
    body = message(STREAMED_QUESTION) | {"stream": True}
    async with client.stream("POST", "/v1/messages", json=body) as answer:
        answer.raise_for_status()
        async for line in answer.aiter_lines():
            if line.startswith("data:"):
                yield _text_of(json.loads(line.removeprefix("data:")))


def _text_of(event: dict[str, Any]) -> str:
    delta = event.get("delta") or {}
    return str(delta.get("text", "")) if event.get("type") == "content_block_delta" else ""


def message(question: str) -> dict[str, Any]:
    return {"model": MODEL, "max_tokens": 200, "messages": [{"role": "user", "content": question}]}
