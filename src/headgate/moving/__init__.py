"""Moving in and out: what other gateways left, read in their own forms, and exports that travel sealed.

Here: a reader for each system (accounts, client keys, settings, history), all into one `Found`; the history's
way into the database; the sealed form of an export. Foreign files are only read.
Not here: taking accounts in (`admin/transfer.py`), changing settings (`config/changing.py`), the commands
(`cli/moving.py`). Accounts that stay in another program's files are the room `sources/`.
"""
