"""Settings in, running gateway out: the only room that names concrete parts.

Start with `process.py` (what `headgate serve` calls), then `gateway.py` (one life, from open to close).
`stores.py` and `parts.py` build; a command on a stopped gateway builds from the same ones.
"""
