"""What happened: the journal that the gateway appends to, the recorder process that reads it.

One direction: gateway -> journal file -> recorder -> database. The gateway never waits for it.
`events.py` says what a record is; `journal.py`, `catch_up.py` and `supervisor.py` are the gateway's
side, `recorder.py` the other process. Not here: tables and queries (`storage/`).
"""
