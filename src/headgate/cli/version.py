"""`headgate version`, which needs neither settings nor database."""

from headgate.cli.options import AsJson, ConfigPath
from headgate.cli.terminal import out, print_json


def version(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Print the version."""
    from importlib.metadata import version as installed_version  # every command would load it for this one

    number = installed_version("headgate")
    if as_json:
        print_json({"version": number})
    else:
        out.print(f"headgate {number}", markup=False)
