-- Whether reports on any job came late.
SELECT EXISTS (SELECT FROM late_jobs)
