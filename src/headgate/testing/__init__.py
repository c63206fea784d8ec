"""The simulated provider, the settable clock and the sample conversations.

Product code, not test code: `headgate demo`, the tests and the benchmark all use it.
It knows the wire formats only from the providers' documentation and imports no other room.
"""
