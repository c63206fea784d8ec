"""How it is said: one file per wire dialect, pure, no I/O.

Reads what routing needs from a request, writes errors, meters usage from answers.
"""
