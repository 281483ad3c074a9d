"""PostgreSQL: connections, the embedded server, migrations, and the loader of statements."""
