-- Alerts that nobody was told of yet.
SELECT job, run FROM alert_mails WHERE sent_time IS NULL ORDER BY job, run
