"""Settings whose machinery is still to come: read and checked, so that a whole file loads today.

Each is marked `later`: a value that is not the default is warned about, because nothing obeys it yet.
When its machinery comes the mark goes, and the section moves to `settings.py`.
"""

from typing import Annotated

from headgate.config.fields import (
    BaseUrl,
    Listed,
    Mapped,
    Secret,
    Section,
    required,
    setting,
)


class ModelAlias(Section):
    """One model under another name."""

    alias: str = required("Name that clients may send.", unit="text", min_length=1)
    model: str = required("Model that it stands for.", unit="text", min_length=1)


class ModelSettings(Section):
    """Which models clients see."""

    aliases: Annotated[tuple[ModelAlias, ...], Listed] = setting(
        (), "Other names for models.", unit="list", later=True
    )
    excluded: Annotated[tuple[str, ...], Listed] = setting(
        (), "Models that nobody may use; `*` stands for any text.", unit="list", later=True
    )
    fallbacks: Annotated[dict[str, tuple[str, ...]], Mapped] = setting(
        {}, "By model: those that are asked when it cannot serve, in order.", unit="map", later=True
    )
    force_prefix: bool = setting(
        False, "Take only models that are sent with a prefix.", unit="true or false", later=True
    )


class StateSettings(Section):
    """What several gateways share."""

    url: Secret | None = setting(
        None, "redis://…; null: in this process.", unit="URL", later=True, restart=True
    )


class TelemetrySettings(Section):
    """Figures for other programs."""

    otlp_endpoint: BaseUrl | None = setting(
        None,
        "OpenTelemetry collector, as http://127.0.0.1:4318, which gets traces and metrics by OTLP over HTTP;"
        " null: none.",
        unit="URL",
    )
    pass_traces: bool = setting(
        True,
        "Let clients' `traceparent`, `tracestate` and `baggage` travel to providers.",
        unit="true or false",
    )
    prometheus: bool = setting(True, "Offer figures at /metrics.", unit="true or false")
