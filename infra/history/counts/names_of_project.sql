-- The names of a project's jobs, deleted ones among them.
SELECT name FROM jobs WHERE name >= {first} AND name < {beyond}
