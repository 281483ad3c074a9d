-- Alerts that nobody was told of yet.
SELECT m.job, m.run
FROM alert_mails AS m JOIN jobs AS j ON j.name = m.job
WHERE m.sent_time IS NULL AND NOT coalesce((j.output -> 'openRuns')::jsonb, '[]') @> to_jsonb(m.run)
ORDER BY m.job, m.run
