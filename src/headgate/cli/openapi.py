"""`headgate openapi`, which needs neither settings nor a gateway."""

from headgate.cli import on_demand
from headgate.cli.options import AsJson, ConfigPath
from headgate.cli.terminal import print_json


def openapi(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Print the OpenAPI document of the owner's routes. It is that of GET /openapi.json, in JSON, without a
    gateway and whatever the settings are."""
    print_json(on_demand.openapi_document())
