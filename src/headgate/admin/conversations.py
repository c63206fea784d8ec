"""What belongs together: `/api/conversations`, and one of them as a tree."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from headgate.admin.owner import ItsOwner
from headgate.admin.request_choice import OfKey, OfModel
from headgate.errors import NotFound
from headgate.pricing.rates import NANO
from headgate.storage.conversations import ConversationFilter

router = APIRouter(prefix="/api/conversations", tags=["conversations"])

OfDomain = Annotated[str | None, Query(description="The host that was called, where hosts have accounts.")]
OfSession = Annotated[str | None, Query(description="The session that the client named.")]
Since = Annotated[
    int | None, Query(ge=0, le=10**15, description="Unix milliseconds: whose last request is not earlier.")
]
Until = Annotated[
    int | None, Query(ge=0, le=10**15, description="Unix milliseconds: whose last request is earlier.")
]
All = Annotated[bool, Query(description="Also those that lie below another one.")]
Limit = Annotated[int, Query(ge=1, le=1000, description="How many at most.")]
Cursor = Annotated[str | None, Query(max_length=256)]


class ConversationView(BaseModel):
    id: str = Field(description="Of the request that opened it.")
    conversation_kind: str = Field(
        description="`main`; `subagent`: a tool call of another one opened it; `side`: it only shares the "
        "session of another one."
    )
    title: str | None = Field(description="The beginning of its first words; null where titles are not kept.")
    caller: str
    domain: str | None
    session: str | None = Field(description="As the client named it; null: it did not.")
    model: str | None = Field(description="Of its first request.")
    started_at: int
    last_at: int = Field(description="When its last request began.")
    parent: str | None = Field(description="The conversation above it.")
    opened_by: str | None = Field(description="The request whose answer held the call that opened it.")
    opened_by_tool: str | None = Field(description="The id of that call.")
    branch_count: int
    conversations_below: int = Field(description="Right below it.")
    request_count: int = Field(description="Its own, as all sums here.")
    failed_requests: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    cost_usd: float
    unpriced_requests: int = Field(description="Whose model has no known price: they are not in the cost.")


class ConversationPage(BaseModel):
    conversations: list[ConversationView]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null: the last one.")


class TurnView(BaseModel):
    id: str
    created_at: int
    relation: str = Field(description="`start`, `next`, `retry`, `fork` or `compaction`.")
    continues: str | None = Field(description="The request before it; of a retry that of the first try.")
    messages: int = Field(description="In its history.")
    model: str | None
    account: str | None
    status: int
    error: str | None
    duration_ms: float
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cost_usd: float | None


class BranchView(BaseModel):
    branch: int = Field(description="0 is the one it began with.")
    relation: str = Field(description="How it came to be: `start`, `fork` or `compaction`.")
    continues: str | None = Field(description="The request it branches off from.")
    turns: list[TurnView] = Field(description="Its requests, oldest first.")


class ConversationTree(ConversationView):
    branches: list[BranchView]
    sub_conversations: "list[ConversationTree]" = Field(description="Those below it, oldest first.")


class ConversationDetail(ConversationTree):
    left_out: int = Field(description="Requests beyond the first 2000 of the tree.")


@router.get("", operation_id="list_conversations")
async def list_conversations(
    owner: ItsOwner,
    key: OfKey = None,
    domain: OfDomain = None,
    model: OfModel = None,
    session: OfSession = None,
    since: Since = None,
    until: Until = None,
    all: All = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> ConversationPage:
    """By their last requests, newest first."""
    wanted = ConversationFilter(key, domain, model, session, since, until, all)
    rows, next_cursor = await owner.conversations.page(wanted, limit=limit, cursor=cursor)
    return ConversationPage(
        conversations=[ConversationView(**_fields(row)) for row in rows], next_cursor=next_cursor
    )


@router.get("/{conversation_id}", operation_id="get_conversation")
async def get_conversation(owner: ItsOwner, conversation_id: str) -> ConversationDetail:
    """With its branches, their requests, and the conversations that it opened."""
    tree = await owner.conversations.tree(conversation_id)
    if tree is None:
        raise NotFound(
            f"No conversation has the id {conversation_id}",
            hint="`headgate conversations` shows the latest, with `--all` those below others too.",
        )
    return ConversationDetail(**_tree_fields(tree), left_out=tree["left_out"])


def _fields(row: dict[str, Any]) -> dict[str, Any]:
    same = ("id", "title", "caller", "domain", "session", "model", "started_at", "last_at")
    sums = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
    return {name: row[name] for name in (*same, *sums)} | {
        "conversation_kind": row["kind"],
        "parent": row["parent_id"],
        "opened_by": row["parent_request_id"],
        "opened_by_tool": row["parent_tool_id"],
        "branch_count": row["branches"],
        "conversations_below": row["below"],
        "request_count": row["requests"],
        "failed_requests": row["failed"],
        "cost_usd": row["nano_usd"] / NANO,
        "unpriced_requests": row["unpriced"],
    }


def _tree_fields(row: dict[str, Any]) -> dict[str, Any]:
    branches: dict[int, BranchView] = {}
    for link in row["links"]:
        turn = _turn(link)
        branch = branches.get(link["branch"])
        if branch is None:
            branch = branches[link["branch"]] = BranchView(
                branch=link["branch"], relation=turn.relation, continues=turn.continues, turns=[]
            )
        branch.turns.append(turn)
    return _fields(row) | {
        "branches": [branches[number] for number in sorted(branches)],
        "sub_conversations": [ConversationTree(**_tree_fields(one)) for one in row["children"]],
    }


def _turn(link: dict[str, Any]) -> TurnView:
    known = {name: link[name] for name in TurnView.model_fields if name in link}
    cost = None if link["nano_usd"] is None else link["nano_usd"] / NANO
    return TurnView(**known, created_at=link["timestamp"], continues=link["parent_request_id"], cost_usd=cost)
