"""The command line: thin commands that ask the running gateway, or the database when none runs.

No business rules here: what a command knows it got from the admin API (`admin/`).
"""
