-- Where one version of a job stands, and the job's last version; carried by events_version.
SELECT (SELECT position FROM events WHERE name = %(name)s AND version = %(version)s),
       (SELECT version FROM events WHERE name = %(name)s ORDER BY version DESC LIMIT 1)
