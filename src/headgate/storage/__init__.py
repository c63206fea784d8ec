"""What we remember: schema, migrations, and the queries, once for SQLite and PostgreSQL.

`database.py` opens it, `schema.py` says what is in it, `batch.py` is the recorder's way in.
Not here: what a record means (`record/`), what a living account is doing (`pool/`).
"""
