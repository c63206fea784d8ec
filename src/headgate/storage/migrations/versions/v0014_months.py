"""On PostgreSQL requests and attempts become tables of months. Nothing is done on SQLite.

No row of a request is moved: the table of today becomes the first part of a new one, up to the end of this
month, and gets two indexes. Attempts are written anew, for not all of them bore the time of their request.
"""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0012"

_REQUESTS_AT_ONCE = 100_000
"""Some seconds: a statement that takes a minute is given up."""

_LATEST_MS = 253_000_000_000_000
"""In the year 9987."""

# Who may read the tables may read what takes their place.
_RIGHTS = sa.text(
    "SELECT privilege_type, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END"
    " FROM pg_class, aclexplode(relacl) WHERE oid = to_regclass(:name) AND grantee <> relowner"
)

_FAILED = "status >= 400 OR error IS NOT NULL"
_INDEXES = (
    ("requests_newest", "requests (timestamp, id)"),
    ("requests_status", "requests (status, timestamp)"),
    ("requests_account", "requests (account, timestamp)"),
    ("requests_failed", f"requests (timestamp, id) WHERE {_FAILED}"),
    (
        "requests_account_failed",
        f"requests (account, timestamp, id) WHERE ({_FAILED}) AND account IS NOT NULL",
    ),
)
_LEFT = ("attempts_left", "attempts (account, request_failed, request_at, request_id)")


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name != "postgresql" or _is_parted(connection):
        return
    for name in ("attempts", "requests"):
        op.execute(f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE")
    view = connection.execute(sa.text("SELECT pg_get_viewdef('api_requests'::regclass)")).scalar_one()
    rights = {name: connection.execute(_RIGHTS, {"name": name}).all() for name in _NAMES}
    op.execute("DROP VIEW api_requests")
    op.execute("ALTER TABLE request_links DROP CONSTRAINT IF EXISTS request_links_request")
    op.execute("ALTER TABLE attempts DROP CONSTRAINT IF EXISTS attempts_request")
    op.execute("ALTER TABLE bodies DROP CONSTRAINT IF EXISTS bodies_request")
    until = _end_of_month(connection)
    _part_requests(until)
    _part_attempts(connection, until)
    op.execute(f"CREATE VIEW api_requests AS {view}")
    for name, given in rights.items():
        for privilege, grantee in given:
            op.execute(f"GRANT {privilege} ON {name} TO {grantee}")


_NAMES = ("requests", "attempts", "api_requests")


def _is_parted(connection: sa.Connection) -> bool:
    kind = sa.text("SELECT relkind FROM pg_class WHERE oid = to_regclass('requests')")
    found = connection.execute(kind).scalar_one()
    return str(found.decode() if isinstance(found, bytes) else found) == "p"


def _end_of_month(connection: sa.Connection) -> int:
    """Of this one, or of the newest request: a clock may have been ahead."""
    newest = connection.execute(sa.text("SELECT max(timestamp) FROM requests")).scalar() or 0
    last = max(datetime.now(UTC).timestamp(), min(newest, _LATEST_MS) / 1000)
    at = datetime.fromtimestamp(last, UTC)
    return round(datetime(at.year + at.month // 12, at.month % 12 + 1, 1, tzinfo=UTC).timestamp()) * 1000


def _part_requests(until: int) -> None:
    op.execute("ALTER TABLE requests RENAME TO requests_first")
    op.execute("ALTER TABLE requests_first DROP CONSTRAINT requests_pkey")
    op.execute("ALTER TABLE requests_first DROP CONSTRAINT requests_id")
    op.execute("ALTER TABLE requests_first ADD CONSTRAINT requests_first_pkey PRIMARY KEY (seq, timestamp)")
    op.execute("ALTER TABLE requests_first ADD CONSTRAINT requests_first_id UNIQUE (id, timestamp)")
    for name, _ in _INDEXES:
        op.execute(f"ALTER INDEX IF EXISTS {name} RENAME TO {name.replace('requests_', 'requests_first_')}")
    op.execute(
        "CREATE TABLE requests (LIKE requests_first INCLUDING DEFAULTS, PRIMARY KEY (seq, timestamp),"
        " CONSTRAINT requests_id UNIQUE (id, timestamp)) PARTITION BY RANGE (timestamp)"
    )
    for name, columns in _INDEXES:
        op.execute(f"CREATE INDEX {name} ON {columns}")
    sequence = "pg_get_serial_sequence('requests_first', 'seq')"
    op.execute(f"DO $$ BEGIN EXECUTE 'ALTER SEQUENCE ' || {sequence} || ' OWNED BY requests.seq'; END $$")
    op.execute(
        f"ALTER TABLE requests ATTACH PARTITION requests_first FOR VALUES FROM (MINVALUE) TO ({until})"
    )


def _part_attempts(connection: sa.Connection, until: int) -> None:
    """Written anew with the time of their request; those of the index are told by `request_failed` now."""
    op.execute("ALTER TABLE attempts RENAME TO attempts_before")
    op.execute("CREATE TABLE attempts_first (LIKE attempts_before INCLUDING DEFAULTS)")
    names = [column["name"] for column in sa.inspect(connection).get_columns("attempts_before")]
    values = ["requests.timestamp" if name == "request_at" else f"attempts_before.{name}" for name in names]
    dating = sa.text(
        f"INSERT INTO attempts_first ({', '.join(names)}) SELECT {', '.join(values)} FROM requests"
        " JOIN attempts_before ON attempts_before.request_id = requests.id"
        " WHERE requests.seq > :after AND requests.seq <= :upto"
    )
    # What was brought in from elsewhere has numbers below zero.
    first, last = connection.execute(sa.text("SELECT min(seq), max(seq) FROM requests")).one()
    for after in range((first or 0) - 1, last or 0, _REQUESTS_AT_ONCE):
        connection.execute(dating, {"after": after, "upto": after + _REQUESTS_AT_ONCE})
    op.execute("DROP TABLE attempts_before")
    op.execute(
        "ALTER TABLE attempts_first ADD CONSTRAINT attempts_first_pkey"
        " PRIMARY KEY (request_id, position, request_at)"
    )
    op.execute(
        "CREATE TABLE attempts (LIKE attempts_first INCLUDING DEFAULTS,"
        " PRIMARY KEY (request_id, position, request_at)) PARTITION BY RANGE (request_at)"
    )
    name, columns = _LEFT
    op.execute(f"CREATE INDEX {name} ON {columns} WHERE request_failed IS NOT NULL")
    op.execute(
        f"ALTER TABLE attempts ATTACH PARTITION attempts_first FOR VALUES FROM (MINVALUE) TO ({until})"
    )
