"""Sessions of a coding tool with the truth beside them: who continues whom, written down as it is made.

The bodies have the ugly parts of real ones: marks that move, reminders that come and go, old results cleared,
strings where blocks were before.
"""

import copy
import random
from dataclasses import dataclass, field
from typing import Any

from headgate.testing.conversations import MODEL

_WORDS = (
    "fix",
    "the",
    "parser",
    "so",
    "that",
    "it",
    "reads",
    "every",
    "journal",
    "twice",
    "and",
    "test",
    "failed",
)
_SUMMARY = "Your task is to create a detailed summary of the conversation so far, paying close attention."
_CONTINUED = "This session is being continued from a previous conversation that ran out of context. "
_SECOND = 1000


@dataclass(slots=True)
class Sent:
    """One request, with the truth of where it belongs. Times are milliseconds from the beginning."""

    number: int
    body: dict[str, Any]
    caller: str
    session: str | None
    began_at: int
    ended_at: int
    status: int
    output_tokens: int
    talk: str
    """The name of its conversation."""
    branch: str
    relation: str
    parent: int | None
    """The number of the request that it continues."""


@dataclass(slots=True)
class Told:
    """Everything that was sent, and which conversations others opened: name to (parent's name, request)."""

    seed: int = 0
    sent: list[Sent] = field(default_factory=list)
    opened_by: dict[str, tuple[str, int]] = field(default_factory=dict)
    now: int = 0

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)

    dice: random.Random = field(init=False)

    def words(self, count: int) -> str:
        """Different each time, as people's words mostly are."""
        return " ".join(self.dice.choices(_WORDS, k=count)) + f" {self.dice.getrandbits(32):08x}"

    def in_order_of_ends(self) -> list[Sent]:
        """As the recorder sees them."""
        return sorted(self.sent, key=lambda one: (one.ended_at, one.number))


class Talk:
    """A client in the middle of a conversation: its history, and what it sends next."""

    def __init__(
        self, told: Told, name: str, *, caller: str = "anonymous", session: str | None = None
    ) -> None:
        self.told = told
        self.name = name
        self.caller = caller
        self.session = session
        self.branch = "main"
        self.history: list[dict[str, Any]] = []
        self.last: int | None = None
        self._ends: list[tuple[int, int, str]] = []
        """Length of history, number and branch of what was sent."""
        self._relation = "start"

    # ---- what a client does ----------------------------------------------------------------------

    def say(self, text: str, *, status: int = 200, answer: str | None = None) -> Sent:
        """The user types something, the model answers in words."""
        self.history.append({"role": "user", "content": [{"type": "text", "text": text}]})
        sent = self._send(status)
        if status == 200:
            self._answer([{"type": "text", "text": answer or self.told.words(12)}], sent)
        return sent

    def use_tool(self, *, name: str = "Read", size: int = 200) -> Sent:
        """The model calls a tool in place of its last words, and gets the result."""
        call_id = f"toolu_01{self.told.dice.getrandbits(80):020x}"
        call = {"type": "tool_use", "id": call_id, "name": name, "input": {"path": "/a", "limit": 20}}
        thought = {"type": "thinking", "thinking": self.told.words(20), "signature": "EqQB"}
        self._answered([thought, *self.history[-1]["content"], call])
        result = {"type": "tool_result", "tool_use_id": call_id, "content": self.told.words(size // 6)}
        self.history.append({"role": "user", "content": [result]})
        sent = self._send(200)
        self._answer([{"type": "text", "text": self.told.words(12)}], sent)
        return sent

    def retry(self, *, status: int = 200) -> Sent:
        """The last request once more: it failed, or its answer did not please."""
        if self.history[-1]["role"] == "assistant":
            self.history.pop()
        self._relation = "retry"
        sent = self._send(status)
        if status == 200:
            self._answer([{"type": "text", "text": self.told.words(12)}], sent)
        return sent

    def fork(self, back: int, name: str) -> "Talk":
        """Another one that goes back before the last `back` requests, to say something else from there."""
        other = Talk(self.told, self.name, caller=self.caller, session=self.session)
        length, number, _ = self._ends[-1 - back]
        other.history = copy.deepcopy(self.history[: length + 1])  # with the answer
        other.last, other.branch, other._relation = number, name, "fork"
        other._ends = self._ends[: len(self._ends) - back]
        return other

    def compact(self, name: str) -> Sent:
        """The history has grown too long: the client asks for a summary, and begins anew with it."""
        summary = self.told.words(60)
        self.say(_SUMMARY, answer=summary)
        self.history = []
        self.branch, self._relation = name, "compaction"
        return self.say(f"{_CONTINUED}The conversation is summarized below:\n{summary}")

    def run_agents(self, prompts: list[str], *, tool: str = "Task") -> list["Talk"]:
        """The model calls sub-agents, all at once; each works in a conversation of its own."""
        called_by = self.last
        assert called_by is not None
        calls = [
            {
                "type": "tool_use",
                "id": f"toolu_01{self.told.dice.getrandbits(80):020x}",
                "name": tool,
                "input": {"description": "do it", "prompt": prompt, "subagent_type": "general-purpose"},
            }
            for prompt in prompts
        ]
        self._answered([*self.history[-1]["content"], *calls])
        agents = []
        began = self.told.now
        for number, prompt in enumerate(prompts):
            name = f"{self.name}/{called_by}.{number}"
            agent = Talk(self.told, name, caller=self.caller, session=self.session)
            self.told.now = began + number  # side by side
            agent.say(prompt, answer=self.told.words(8 * 3**number))
            self.told.opened_by[name] = (self.name, called_by)
            agents.append(agent)
        self.told.now = max(one.ended_at for one in self.told.sent) + _SECOND
        for agent in agents:
            agent.use_tool()
        results = [
            {"type": "tool_result", "tool_use_id": one["id"], "content": self.told.words(20)} for one in calls
        ]
        self.history.append({"role": "user", "content": results})
        sent = self._send(200)
        self._answer([{"type": "text", "text": self.told.words(12)}], sent)
        return agents

    # ---- how it is sent --------------------------------------------------------------------------

    def _send(self, status: int) -> Sent:
        told = self.told
        parent = self.last
        if self._relation == "retry":
            parent = told.sent[self._ends[-1][1]].parent
        else:
            self._ends.append((len(self.history), len(told.sent), self.branch))
        told.now += _SECOND
        ended_at = told.now + 2 * _SECOND + told.dice.randrange(_SECOND)
        sent = Sent(
            len(told.sent),
            {
                "model": MODEL,
                "max_tokens": 1024,
                "system": f"You are a coding tool. Today is day {told.now // 86_400_000}.",
                "messages": self._as_sent(),
            },
            self.caller,
            self.session,
            told.now,
            ended_at,
            status,
            0,
            self.name,
            self.branch,
            self._relation,
            parent,
        )
        if self.session is not None:
            user = f'{{"device_id":"0","account_uuid":"","session_id":"{self.session}"}}'
            sent.body["metadata"] = {"user_id": user}
        told.sent.append(sent)
        told.now = ended_at + _SECOND
        self.last = self._ends[-1][1] if self._relation == "retry" else sent.number
        if self._relation == "retry":
            self._ends[-1] = (len(self.history), sent.number, self.branch)
            self.last = sent.number
        self._relation = "next"
        return sent

    def _answer(self, content: list[dict[str, Any]], sent: Sent) -> None:
        sent.output_tokens = len(str(content)) // 4
        self.history.append({"role": "assistant", "content": content})

    def _answered(self, content: list[dict[str, Any]]) -> None:
        """The last answer had more in it: calls, thoughts."""
        assert self.last is not None
        self.told.sent[self.last].output_tokens = len(str(content)) // 4
        self.history[-1]["content"] = content

    def _as_sent(self) -> list[dict[str, Any]]:
        """The history in a form that changes from request to request and says the same."""
        dice = self.told.dice
        messages = copy.deepcopy(self.history)
        for message in messages:
            blocks = message["content"]
            if message["role"] == "assistant" and dice.random() < 0.3:
                blocks[:] = [one for one in blocks if one["type"] != "thinking"]
            for block in blocks:
                if block["type"] == "tool_result" and dice.random() < 0.2:
                    block["content"] = "[Old tool result content cleared]"
            if message["role"] == "user" and dice.random() < 0.5:
                reminder = f"<system-reminder>\n{self.told.words(9)}\n</system-reminder>"
                blocks.insert(0, {"type": "text", "text": reminder})
            elif len(blocks) == 1 and blocks[0]["type"] == "text" and dice.random() < 0.5:
                message["content"] = blocks[0]["text"]
        if isinstance(messages[-1]["content"], list):
            messages[-1]["content"][-1]["cache_control"] = {"type": "ephemeral"}
        return messages


def coding_session(seed: int = 0, *, session: str | None = None, caller: str = "anonymous") -> Told:
    """A long one: tools, sub-agents side by side and within each other, forks, retries, a compaction."""
    told = Told(seed)
    tell_session(told, "work", session=session, caller=caller)
    return told


def tell_session(told: Told, name: str, *, session: str | None = None, caller: str = "anonymous") -> Talk:
    talk = Talk(told, name, caller=caller, session=session)
    talk.say(told.words(10), status=529)
    talk.retry()
    talk.use_tool()
    talk.use_tool(size=4000)
    agents = talk.run_agents([told.words(8), told.words(8), told.words(8)])
    agents[0].say(told.words(4))
    talk.say(told.words(6))
    talk.retry()
    talk.use_tool()
    other = talk.fork(2, "tried otherwise")
    other.say(told.words(5))
    other.use_tool()
    nested = other.run_agents([told.words(7)], tool="Agent")
    nested[0].run_agents([told.words(7)])
    talk.say(told.words(6))
    talk.compact("after summary")
    talk.use_tool()
    talk.say(told.words(3))
    same = told.words(5)
    talk.run_agents([same, same])
    talk.say("yes")
    talk.say("yes")
    return talk


def day_of_work(seed: int = 0, *, hours: float = 3.0, session: str | None = None) -> Told:
    """One session that goes on for hours: mostly tools, some words, sub-agents side by side, a retry here and
    there, and a compaction whenever the history has grown long."""
    told = Told(seed)
    talk = Talk(told, "work", session=session)
    talk.say(told.words(12))
    compactions = 0
    while told.now < hours * 3_600_000:
        told.now += told.dice.randrange(90) * _SECOND  # somebody reads, a tool runs
        kind = told.dice.random()
        if len(talk.history) > 120:
            compactions += 1
            talk.compact(f"after summary {compactions}")
        elif kind < 0.6:
            talk.use_tool(size=told.dice.randrange(60, 1_200))
        elif kind < 0.85:
            talk.say(told.words(told.dice.randrange(3, 20)))
        elif kind < 0.9:
            talk.retry()
        else:
            prompts = [told.words(8) for _ in range(told.dice.randrange(1, 4))]
            for agent in talk.run_agents(prompts, tool=told.dice.choice(["Task", "Agent"])):
                for _ in range(told.dice.randrange(6)):
                    agent.use_tool()
    return told
