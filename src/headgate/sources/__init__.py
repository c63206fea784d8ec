"""Accounts that other programs keep in files: read, watched, kept in step, written back.

Start with `sources.py` (what the gateway holds), then `survey.py` (what the files say) and the three forms:
`accounts_json.py`, `domain_files.py`, `auth_files.py`. `hosts.py` is the relay's: the account of a Host.
Which tokens are the newer ones is decided in `storage/from_files.py`.
"""
