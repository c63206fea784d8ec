"""httpx as our commands use it: without the command of its own.

Where Click, Rich and Pygments are installed, as they are with us, `import httpx` loads all three for that
command, which is more than a third of its time and of every command of ours.
"""

import sys

sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # httpx does without, as it says itself

import httpx  # noqa: E402

__all__ = ["httpx"]
