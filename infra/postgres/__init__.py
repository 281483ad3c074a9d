"""PostgreSQL: connections, migrations, the embedded server, and the statements sent to it."""
