"""The ordered steps from an empty database to `schema.py`, one file each in `versions/`."""
