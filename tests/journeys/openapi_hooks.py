"""What schemathesis is told beside its settings: nothing that it makes up leads away from this machine."""

from typing import Any

import schemathesis

_NOWHERE = "http://127.0.0.1:9"
"""Nobody listens there."""


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
    """Addresses that are made up may be real ones: accounts are asked there when they are tested."""
    _lead_nowhere(case.body)


def _lead_nowhere(node: Any) -> None:
    if isinstance(node, dict):
        for name, value in node.items():
            if name in ("base_url", "proxy") and isinstance(value, str) and "://" in value:
                node[name] = _NOWHERE
            else:
                _lead_nowhere(value)
    elif isinstance(node, list):
        for item in node:
            _lead_nowhere(item)
