"""The accounts we spend: living accounts with their health, selection policies, sessions.

Choosing is pure (state in, choice out) and lives in `selection.py`. No I/O and no storage here.
"""
