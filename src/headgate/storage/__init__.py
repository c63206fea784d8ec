"""What we remember: schema, migrations, and the queries, once for SQLite and PostgreSQL."""
