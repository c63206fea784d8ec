"""`headgate conversations`: what belongs together, and one of them as a tree."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.text import Text
from rich.tree import Tree

from headgate.cli import completion
from headgate.cli.fitting import print_fitting
from headgate.cli.moments import SINCE_HELP, read_since
from headgate.cli.options import AsJson, ConfigPath
from headgate.cli.reach import look
from headgate.cli.terminal import clock_time, counted, out, print_json, printable, span
from headgate.pricing.amounts import usd

COLUMNS = ("=last", "title", "=id", "#requests", "#below", "model", "?key", "#cost", "#in", "#out")


def conversations(
    conversation_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Show this one with its branches and sub-agents.")
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="How many, newest first.")] = 20,
    key: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Only those of one client key.", autocompletion=completion.key_names
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="M", help="Only those that began with it.")] = None,
    session: Annotated[str | None, typer.Option(metavar="S", help="Only those of one session.")] = None,
    since: Annotated[str | None, typer.Option(metavar="T", help=SINCE_HELP)] = None,
    is_all: Annotated[bool, typer.Option("--all", help="Also those that lie below another one.")] = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Show the latest conversations; with ID one as a tree."""
    doing = "Cannot list the conversations"
    if conversation_id is not None:
        _show(config, conversation_id, as_json=as_json)
        return
    named = {"key": key, "model": model, "session": session}
    filters: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    if since is not None and (since_at := read_since(since, doing=doing)) is not None:
        filters["since"] = since_at
    if is_all:
        filters["all"] = True
    answer = look(config, "/api/conversations", doing=doing, params={"limit": limit, **filters})
    if as_json:
        print_json(answer)
    elif answer["conversations"]:
        print_fitting(COLUMNS, [_row(one) for one in answer["conversations"]])
    else:
        out.print("No conversations" + (" that match" if filters else " yet"))


def _show(config: Path | None, conversation_id: str, *, as_json: bool) -> None:
    quoted = quote(conversation_id, safe="", errors="surrogateescape")
    doing = f"Cannot show the conversation {printable(conversation_id)}"
    one = look(config, f"/api/conversations/{quoted}", doing=doing)
    if as_json:
        print_json(one)
        return
    out.print(_tree(one))
    if one["left_out"]:
        out.print(f"and {counted(one['left_out'], 'request')} more", style="dim")


def _row(one: dict[str, Any]) -> tuple[Any, ...]:
    return (
        clock_time(one["last_at"] / 1000),
        printable(one["title"] or "-"),
        one["id"],
        f"{one['request_count']:,}",
        f"{one['conversations_below']:,}",
        one["model"] or "-",
        one["caller"],
        usd(one["cost_usd"]),
        f"{one['input_tokens']:,}",
        f"{one['output_tokens']:,}",
    )


def _tree(one: dict[str, Any]) -> Tree:
    words = {"main": "", "subagent": "sub-agent ", "side": "beside it "}[one["conversation_kind"]]
    tree = Tree(Text(f"{words}{one['id']} {printable(one['title'] or '')}".rstrip()))
    for branch in one["branches"]:
        its = tree
        if branch["branch"]:
            off = f" from {branch['continues']}" if branch["continues"] else ""
            its = tree.add(Text(f"branch {branch['branch']}: {branch['relation']}{off}", style="cyan"))
        for turn in branch["turns"]:
            its.add(Text(" ".join(_words(turn))))
    for below in one["sub_conversations"]:
        tree.children.append(_tree(below))
    return tree


def _words(turn: dict[str, Any]) -> Iterator[str]:
    yield clock_time(turn["created_at"] / 1000)
    yield turn["id"]
    yield str(turn["status"])
    if turn["relation"] == "retry":
        yield "again"
    yield counted(turn["messages"], "message")
    yield span(turn["duration_ms"])
    if turn["cost_usd"] is not None:
        yield usd(turn["cost_usd"])
