"""Where the owner comes in: the FastAPI app for health, accounts, strategy and requests.

Closed unless a route stands in the list of open ones (`admin/doors.py`). Not on the relay path.
"""
