"""`headgate db` on a database that nobody has made yet."""

from tests.cli.conftest import Command


async def test_the_schema_is_brought_up_to_date_once(headgate: Command) -> None:
    """The revisions that were run are named; the second time there is nothing left to do."""
    first = await headgate("db", "upgrade")
    assert (first.code, first.out.startswith("Ran ")) == (0, True), first.err
    assert str(headgate.data / "headgate.db") in first.out
    second = await headgate("db", "upgrade")
    assert (second.code, "is up to date" in second.out) == (0, True), second.err
