-- Records the progress of a file's import; fails if another import of it has recorded some.
INSERT INTO imports (project, kind, digest, rows, file) VALUES (%s, %s, %s, %s, %s)
