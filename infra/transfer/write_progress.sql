-- Remembers how far a file has come; fails if another import of it is there already.
INSERT INTO imports (project, kind, digest, rows, file) VALUES (%s, %s, %s, %s, %s)
