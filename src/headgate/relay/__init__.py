"""The way of one request: attempts over accounts, the judgement of each answer, the open reply.

Starts where `server/` hands over an exchange; ends when its record is in the journal.
"""
