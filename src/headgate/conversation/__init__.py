"""What is said: turns in a form that all dialects share, and which request continues which.

Pure: no file, no database, no clock. Dialects read their bodies into `turns`; the recorder asks `linking`
with what it finds in `past`. How turns are said on the wire is in `dialects/`.
"""
