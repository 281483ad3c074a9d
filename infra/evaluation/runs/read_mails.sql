-- Alerts whose mail is still to be sent.
SELECT job, run FROM alert_mails WHERE sent_time IS NULL ORDER BY job, run
