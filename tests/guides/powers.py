"""Commands that may not do what root may."""

import os
import shutil


def without_root_powers() -> list[str]:
    """Root may open anything; the modes count for it once it has let go of that power."""
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    assert setpriv is not None, "setpriv (util-linux) is needed to run this test as root"
    return [setpriv, "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-all"]
