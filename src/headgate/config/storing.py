"""What is kept, where, and for how long."""

from headgate.config.fields import MOST_BODY_BYTES, MOST_BYTES, MOST_DAYS, Secret, Section, setting


class ConversationSettings(Section):
    """Which request continues which; of what is said only hashes and sizes are kept."""

    link: bool = setting(True, "Link requests to conversations.", unit="true or false")
    titles: bool = setting(
        True,
        "Keep the first 120 characters of a conversation's first words as its title.",
        unit="true or false",
    )


class BodySettings(Section):
    """Whether what was said is kept beside the record of a request: sealed, and without known secrets."""

    keep: bool = setting(False, "Keep requests and answers.", unit="true or false")
    max_bytes: int = setting(
        1_048_576,
        "How much of one body is kept; clients and providers always get all of it.",
        unit="bytes",
        ge=1,
        le=MOST_BODY_BYTES,
    )
    max_total_mb: int = setting(
        2048,
        "All kept bodies together: the oldest go first; 0: no limit.",
        unit="MiB",
        ge=0,
        le=MOST_BYTES >> 20,
    )
    retention_days: int = setting(
        7, "How long bodies are kept; 0: as long as their requests.", unit="days", ge=0, le=MOST_DAYS
    )


class StorageSettings(Section):
    """Where records and accounts are kept."""

    url: Secret | None = setting(
        None,
        "postgresql://… or sqlite:///path; null: SQLite in the data folder.",
        unit="database URL",
        restart=True,
    )
    retention_days: int = setting(
        90,
        "How long the records of requests are kept; 0: for ever.",
        unit="days",
        ge=0,
        le=MOST_DAYS,
    )
    journal_max_mb: int = setting(
        256,
        "What may wait while the database cannot be reached, some 3 000 requests to the MiB; records beyond "
        "it are dropped and counted.",
        unit="MiB",
        ge=16,
        le=MOST_BYTES >> 20,
        restart=True,
    )
    bodies: BodySettings = BodySettings()
    conversations: ConversationSettings = ConversationSettings()

    @property
    def address(self) -> str | None:
        """`url` in clear, as `storage.location.locate` takes it."""
        return self.url.get_secret_value() if self.url else None
