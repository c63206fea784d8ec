"""A day of traffic over eight accounts, by every strategy: `python -m bench.strategies`.

The pool, its groups, accounts and policies are the real ones, on a clock that jumps from event to event.
What is assumed of clients is in `traffic.py`, of the provider in `provider.py`.
"""
