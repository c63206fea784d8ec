"""What happened: the journal that the gateway appends to, the recorder process that reads it.

One direction: gateway -> journal file -> recorder -> database. The gateway never waits for it.
"""
