-- Comments of all tables, views, columns and functions that migrations make.

COMMENT ON TABLE alert_mails IS 'Alert mails of evaluation runs that fell below the configured precision, one row for each run.';
COMMENT ON COLUMN alert_mails.job IS 'The evaluation job, as projects/P/evaluationJobs/ID.';
COMMENT ON COLUMN alert_mails.run IS 'The number of the run within its job.';
COMMENT ON COLUMN alert_mails.sent_time IS 'When the mail was sent; null while it is still to be sent.';

COMMENT ON TABLE annotation_spec_sets IS 'Annotation spec sets: the labels that evaluation jobs allow.';
COMMENT ON COLUMN annotation_spec_sets.name IS 'The resource name, as projects/P/annotationSpecSets/ID.';
COMMENT ON COLUMN annotation_spec_sets.display_name IS 'The name for people.';
COMMENT ON COLUMN annotation_spec_sets.description IS 'The description; empty if none was given.';
COMMENT ON COLUMN annotation_spec_sets.specs IS 'The annotationSpecs as a JSON array of objects with displayName, description and index.';
COMMENT ON COLUMN annotation_spec_sets.create_time IS 'When it was created (transaction time).';
COMMENT ON COLUMN annotation_spec_sets.delete_time IS 'When it was deleted; null if it was not.';

COMMENT ON TABLE answers IS 'Answers of human labelers to the questions of a run, one for each labeler and sample.';
COMMENT ON COLUMN answers.job IS 'The evaluation job.';
COMMENT ON COLUMN answers.run IS 'The number of the run within its job.';
COMMENT ON COLUMN answers.sample IS 'The number of the sample within its job.';
COMMENT ON COLUMN answers.annotator IS 'Who answered.';
COMMENT ON COLUMN answers.answer IS 'The answer as JSON.';
COMMENT ON COLUMN answers.time IS 'When it was recorded (transaction time).';

COMMENT ON TABLE checkpoints IS 'Signed checkpoints of the log with their cosignatures (C2SP tlog-checkpoint): the last of each hour.';
COMMENT ON COLUMN checkpoints.hour IS 'The hour in which it was signed (UTC).';
COMMENT ON COLUMN checkpoints.size IS 'How many events it covers.';
COMMENT ON COLUMN checkpoints.note IS 'The signed note, as text.';
COMMENT ON COLUMN checkpoints.signed_time IS 'When it was signed.';

COMMENT ON TABLE evaluations IS 'Results of evaluation runs, one row for each run.';
COMMENT ON COLUMN evaluations.job IS 'The evaluation job.';
COMMENT ON COLUMN evaluations.run IS 'The number of the run within its job.';
COMMENT ON COLUMN evaluations.dataset IS 'The resource name of the dataset of the run.';
COMMENT ON COLUMN evaluations.create_time IS 'When the run was evaluated.';
COMMENT ON COLUMN evaluations.evaluations IS 'Evaluation messages of the Data Labeling API as a JSON array: first over all labels, then one for each label. The run''s EvaluationCreated event holds the SHA-256 of this text.';

COMMENT ON TABLE events IS 'All events, append-only: rows are never updated, and deleted only by pruning.';
COMMENT ON COLUMN events.position IS 'The place of the event in the ledger, from 1, without gaps, in the order of commits.';
COMMENT ON COLUMN events.name IS 'The job, as projects/P/jobs/ID, or the stream of another aggregate.';
COMMENT ON COLUMN events.version IS 'The number of the event within its job, from 1, without gaps.';
COMMENT ON COLUMN events.schema IS 'The schema number that the data was written under; 0 for an aggregate that is not a job. Above 100 the data also says where a late report takes effect.';
COMMENT ON COLUMN events.type IS 'The event type, such as Started.';
COMMENT ON COLUMN events.occurred_time IS 'Valid time: when it happened, by the clock of its reporter.';
COMMENT ON COLUMN events.recorded_time IS 'Transaction time: when the ledger recorded it; never decreases along positions.';
COMMENT ON COLUMN events.actor IS 'Who reported or requested it; null if not given.';
COMMENT ON COLUMN events.request_id IS 'The id that the caller gave to the write, so that a retry is not recorded twice; null if not given.';
COMMENT ON COLUMN events.trace_parent IS 'W3C Trace Context of the call; null if not given.';
COMMENT ON COLUMN events.data IS 'Canonical JSON (RFC 8785), byte for byte as it was written.';

COMMENT ON VIEW history IS 'The events of all jobs and other aggregates, with data as JSON; job_events has those of jobs alone.';
COMMENT ON COLUMN history.position IS 'The place of the event in the ledger, from 1, without gaps, in the order of commits.';
COMMENT ON COLUMN history.name IS 'The job, as projects/P/jobs/ID, or the stream of another aggregate.';
COMMENT ON COLUMN history.version IS 'The number of the event within its job, from 1, without gaps.';
COMMENT ON COLUMN history.schema IS 'The schema number that the data was written under; 0 for an aggregate that is not a job. Above 100 the data also says where a late report takes effect.';
COMMENT ON COLUMN history.type IS 'The event type, such as Started.';
COMMENT ON COLUMN history.occurred_time IS 'Valid time: when it happened, by the clock of its reporter.';
COMMENT ON COLUMN history.recorded_time IS 'Transaction time: when the ledger recorded it; never decreases along positions.';
COMMENT ON COLUMN history.actor IS 'Who reported or requested it; null if not given.';
COMMENT ON COLUMN history.request_id IS 'The id that the caller gave to the write, so that a retry is not recorded twice; null if not given.';
COMMENT ON COLUMN history.trace_parent IS 'W3C Trace Context of the call; null if not given.';
COMMENT ON COLUMN history.data IS 'The data of the event as JSON; null for another aggregate than a job.';

COMMENT ON VIEW job_events IS 'The events of all jobs, one row for each, deleted jobs included. Order by position for the order of commits.';
COMMENT ON COLUMN job_events.position IS 'The place of the event in the ledger, from 1, without gaps, in the order of commits.';
COMMENT ON COLUMN job_events.name IS 'The job, as projects/P/jobs/ID.';
COMMENT ON COLUMN job_events.version IS 'The number of the event within its job, from 1, without gaps.';
COMMENT ON COLUMN job_events.schema IS 'The schema number that the data was written under. Above 100 the data also says where a late report takes effect.';
COMMENT ON COLUMN job_events.type IS 'The event type, such as Started.';
COMMENT ON COLUMN job_events.occurred_time IS 'Valid time: when it happened, by the clock of its reporter.';
COMMENT ON COLUMN job_events.recorded_time IS 'Transaction time: when the ledger recorded it; never decreases along positions.';
COMMENT ON COLUMN job_events.actor IS 'Who reported or requested it; null if not given.';
COMMENT ON COLUMN job_events.request_id IS 'The id that the caller gave to the write, so that a retry is not recorded twice; null if not given.';
COMMENT ON COLUMN job_events.trace_parent IS 'W3C Trace Context of the call; null if not given.';
COMMENT ON COLUMN job_events.data IS 'The data of the event as JSON.';

COMMENT ON VIEW google_ml_jobs IS 'Jobs named projects/P/jobs/ID as google.ml.v1 Job resources, without deleted jobs. Personal values are @personal objects. A value of another type than its field is shown as it is here, and left out by the API.';
COMMENT ON COLUMN google_ml_jobs."jobId" IS 'The last segment of the job''s name.';
COMMENT ON COLUMN google_ml_jobs."trainingInput" IS 'trainingInput of the job''s spec; null if it has none.';
COMMENT ON COLUMN google_ml_jobs."predictionInput" IS 'predictionInput of the job''s spec; null if it has none.';
COMMENT ON COLUMN google_ml_jobs."createTime" IS 'When it was created (valid time).';
COMMENT ON COLUMN google_ml_jobs."startTime" IS 'When it first started (valid time); null if it did not.';
COMMENT ON COLUMN google_ml_jobs."endTime" IS 'When it ended (valid time); null while it is live.';
COMMENT ON COLUMN google_ml_jobs.state IS 'The state of ml v1: PENDING is PREPARING, UPDATING is RUNNING, PAUSED is QUEUED, PARTIALLY_SUCCEEDED is SUCCEEDED, EXPIRED is CANCELLED.';
COMMENT ON COLUMN google_ml_jobs."errorMessage" IS 'The error message, in the states that have one; otherwise null.';
COMMENT ON COLUMN google_ml_jobs."trainingOutput" IS 'trainingOutput of the job''s output or, if neither output was reported, the reported fields that belong to it.';
COMMENT ON COLUMN google_ml_jobs."predictionOutput" IS 'predictionOutput of the job''s output or, if neither output was reported, the reported fields that belong to it.';
COMMENT ON COLUMN google_ml_jobs.labels IS 'Labels in the form of Google''s APIs: app.kubernetes.io/name is app_kubernetes_io_name.';
COMMENT ON COLUMN google_ml_jobs."jobPosition" IS 'The position of a QUEUED job in the queue: as reported, otherwise by priority and age; null in other states.';
COMMENT ON COLUMN google_ml_jobs.etag IS 'Changes with each version of the job (AIP-154).';
COMMENT ON COLUMN google_ml_jobs."projectsId" IS 'The project, to filter by.';

COMMENT ON TABLE head IS 'One row: the end of the ledger. Its lock orders all writers.';
COMMENT ON COLUMN head.one IS 'Always true, so that there is one row.';
COMMENT ON COLUMN head.size IS 'The position of the last event; 0 if there is none.';
COMMENT ON COLUMN head.recorded_time IS 'The transaction time that the next event is recorded after.';

COMMENT ON TABLE imports IS 'How far each file was imported, so that importing it again adds only new rows.';
COMMENT ON COLUMN imports.project IS 'The project that the jobs were imported into.';
COMMENT ON COLUMN imports.kind IS 'The importer that read the file.';
COMMENT ON COLUMN imports.digest IS 'SHA-256 of the first `rows` rows.';
COMMENT ON COLUMN imports.rows IS 'How many rows were imported.';
COMMENT ON COLUMN imports.file IS 'The name of the file.';

COMMENT ON VIEW job_intervals IS 'When each job was in which state, on both clocks: one row for each event that it entered a state by. A deleted job has its rows up to the deletion.';
COMMENT ON COLUMN job_intervals.name IS 'The job, as projects/P/jobs/ID.';
COMMENT ON COLUMN job_intervals.state IS 'The state.';
COMMENT ON COLUMN job_intervals.version IS 'The version of the event by which the job entered the state.';
COMMENT ON COLUMN job_intervals.from_position IS 'The position of the event by which the job entered the state.';
COMMENT ON COLUMN job_intervals.to_position IS 'The position of the event by which it left the state; null if it is still in it.';
COMMENT ON COLUMN job_intervals.occurred_from IS 'Valid time, inclusive: when the event took effect, which is never before the events ahead of it. Null if the job was deleted before.';
COMMENT ON COLUMN job_intervals.occurred_to IS 'Valid time, exclusive; null if the job is still in the state.';
COMMENT ON COLUMN job_intervals.recorded_from IS 'Transaction time, inclusive; null for a late report that did not change the state at the time it was recorded.';
COMMENT ON COLUMN job_intervals.recorded_to IS 'Transaction time, exclusive; null if the job is still in the state, or if recorded_from is null.';

COMMENT ON TABLE leases IS 'Leases of runs: a run that is alive extends its lease. Not part of the history.';
COMMENT ON COLUMN leases.job IS 'The job that the run is an attempt of.';
COMMENT ON COLUMN leases.run_id IS 'The id of the run.';
COMMENT ON COLUMN leases.heartbeat_time IS 'When the last heartbeat came, by the server''s clock.';
COMMENT ON COLUMN leases.expire_time IS 'When the run counts as lost unless another heartbeat comes.';

COMMENT ON TABLE log IS 'One row: the Merkle tree over the events.';
COMMENT ON COLUMN log.one IS 'Always true, so that there is one row.';
COMMENT ON COLUMN log.origin IS 'The name of the log in checkpoints (C2SP tlog-checkpoint); never changes after the first checkpoint.';
COMMENT ON COLUMN log.size IS 'How many events the tree holds.';

COMMENT ON TABLE migrations IS 'The migrations of the schema that were applied.';
COMMENT ON COLUMN migrations.number IS 'The number of the migration.';
COMMENT ON COLUMN migrations.name IS 'Its name.';
COMMENT ON COLUMN migrations.checksum IS 'SHA-256 of its file.';
COMMENT ON COLUMN migrations.applied_time IS 'When it was applied.';

COMMENT ON TABLE projections IS 'The projections, and how far each has caught up with the events.';
COMMENT ON COLUMN projections.name IS 'The name of the projection.';
COMMENT ON COLUMN projections.version IS 'The version of its fold and columns.';
COMMENT ON COLUMN projections.position IS 'The position of the last event that it has folded; null if it is written together with the events.';

COMMENT ON TABLE pruned IS 'Ranges of positions whose events were pruned. Their hashes remain in the tree.';
COMMENT ON COLUMN pruned.first IS 'The first position of the range.';
COMMENT ON COLUMN pruned.last IS 'The last position of the range, inclusive.';
COMMENT ON COLUMN pruned.record IS 'The position of the event that records the pruning.';

COMMENT ON TABLE samples IS 'Sampled predictions, numbered within their job from 1 without gaps.';
COMMENT ON COLUMN samples.job IS 'The evaluation job.';
COMMENT ON COLUMN samples.number IS 'The number of the sample within its job.';
COMMENT ON COLUMN samples.key IS 'SHA-256 of the example''s key; an example is sampled at most once for a job.';
COMMENT ON COLUMN samples.model IS 'The resource name of the model.';
COMMENT ON COLUMN samples.model_version IS 'The version of the model.';
COMMENT ON COLUMN samples.time IS 'When the prediction was made, by the clock of its reporter.';
COMMENT ON COLUMN samples.raw_data IS 'The input of the prediction as JSON.';
COMMENT ON COLUMN samples.raw_prediction IS 'The output of the prediction as JSON.';
COMMENT ON COLUMN samples.groundtruth IS 'The ground truth as JSON; null until it is recorded, and never changed afterwards.';
COMMENT ON COLUMN samples.recorded_time IS 'When it was recorded (transaction time).';

COMMENT ON TABLE sampling IS 'Counts of the predictions that were recorded for each evaluation job. The row is the lock of its samples.';
COMMENT ON COLUMN sampling.job IS 'The evaluation job.';
COMMENT ON COLUMN sampling.sampled IS 'The number of the last sample.';
COMMENT ON COLUMN sampling.repeated IS 'How many predictions were of an example that was sampled before.';
COMMENT ON COLUMN sampling.passed_over IS 'How many predictions exampleSamplePercentage left out.';
COMMENT ON COLUMN sampling.beyond_count IS 'How many predictions were left out because the interval had its exampleCount.';
COMMENT ON COLUMN sampling.spoilt IS 'The number of the last rejected prediction.';

COMMENT ON TABLE secrets IS 'Secrets of the ledger that are not keys of personal data.';
COMMENT ON COLUMN secrets.name IS 'What it is for, such as page_token.';
COMMENT ON COLUMN secrets.value IS 'The secret.';

COMMENT ON TABLE spoilt_predictions IS 'Rejected predictions: those that could not be sampled, each with the reason.';
COMMENT ON COLUMN spoilt_predictions.job IS 'The evaluation job.';
COMMENT ON COLUMN spoilt_predictions.number IS 'The number of the rejected prediction within its job, from 1.';
COMMENT ON COLUMN spoilt_predictions.time IS 'When the prediction was made, by the clock of its reporter.';
COMMENT ON COLUMN spoilt_predictions.raw_data IS 'The input of the prediction as JSON.';
COMMENT ON COLUMN spoilt_predictions.raw_prediction IS 'The output of the prediction as JSON.';
COMMENT ON COLUMN spoilt_predictions.groundtruth IS 'The ground truth that was sent with it, as JSON; null if none was.';
COMMENT ON COLUMN spoilt_predictions.why IS 'The reason, as a sentence.';
COMMENT ON COLUMN spoilt_predictions.recorded_time IS 'When it was recorded (transaction time).';

COMMENT ON TABLE subject_keys IS 'AES-256 keys that encrypt the personal values of events, one for each subject. Deleting a row erases all that its key encrypted (crypto-shredding).';
COMMENT ON COLUMN subject_keys.id IS 'The id of the key in events: random, and derived from nothing of the subject.';
COMMENT ON COLUMN subject_keys.subject IS 'Whom the values are about.';
COMMENT ON COLUMN subject_keys.key IS 'The key.';
COMMENT ON COLUMN subject_keys.create_time IS 'When the key was created.';

COMMENT ON TABLE tiles IS 'The hashes of the Merkle tree, 256 in each row (C2SP tlog-tiles).';
COMMENT ON COLUMN tiles.level IS 'The level of the tile; 0 holds hashes of events.';
COMMENT ON COLUMN tiles.number IS 'The number of the tile within its level, from 0.';
COMMENT ON COLUMN tiles.hashes IS 'SHA-256 hashes: at level 0 of leaves, above of the full tiles of the level below.';
COMMENT ON COLUMN tiles.key IS 'At level 0 the key of the salts of its leaves; null once all their events were pruned. Null above.';

COMMENT ON TABLE tokens IS 'Bearer tokens, expired and revoked ones included. Rows are never deleted, and change only once, when a token is revoked.';
COMMENT ON COLUMN tokens.name IS 'The name of the token, which is the actor of events written with it; never reused.';
COMMENT ON COLUMN tokens.role IS 'What it permits, such as reader or reporter.';
COMMENT ON COLUMN tokens.project IS 'The only project that it is valid for; null if it is valid for all.';
COMMENT ON COLUMN tokens.hash IS 'SHA-256 of the secret; the secret itself is stored nowhere.';
COMMENT ON COLUMN tokens.created_by IS 'The operating system user who created it.';
COMMENT ON COLUMN tokens.create_time IS 'When it was created.';
COMMENT ON COLUMN tokens.expire_time IS 'When it expires; null if never.';
COMMENT ON COLUMN tokens.revoke_time IS 'When it was revoked; null if it was not.';

COMMENT ON TABLE tracking IS 'How far each application of the eventsourcing library has processed notifications.';
COMMENT ON COLUMN tracking.application_name IS 'The name of the application.';
COMMENT ON COLUMN tracking.notification_id IS 'The id of the last notification that it processed.';

COMMENT ON FUNCTION append IS 'Appends a batch of events, folds them into jobs, and returns their positions and transaction time. Raises 23505 for a version or request id that exists, and 40001 for a version that would leave a gap.';
COMMENT ON FUNCTION check_granted IS 'Checks the events at a range of positions that a granted role wrote.';
COMMENT ON FUNCTION delete_spec_set IS 'Deletes an annotation spec set; false if there is none of that name.';
COMMENT ON FUNCTION end_lease IS 'Ends the lease of a run; given a time, only if no heartbeat came after it.';
COMMENT ON FUNCTION find_subject_key IS 'Returns the key of a subject, and creates it with the given random values if there is none.';
COMMENT ON FUNCTION follow IS 'Lets a projection catch up to a position, by a limited number of events; returns how far it is then.';
COMMENT ON FUNCTION google_field IS 'Returns a field of a JSON object; null if it holds nothing.';
COMMENT ON FUNCTION google_labels IS 'Returns labels in the form of Google''s APIs; null if there are none.';
COMMENT ON FUNCTION google_ml_job_rows IS 'Returns the rows of google_ml_jobs.';
COMMENT ON FUNCTION google_ml_output IS 'Returns trainingOutput or predictionOutput of a job''s output.';
COMMENT ON FUNCTION google_ml_places IS 'Returns the position in the queue of each QUEUED job.';
COMMENT ON FUNCTION grow_log IS 'Grows the Merkle tree from one size to the next; false, and nothing is changed, if it is not of the first size.';
COMMENT ON FUNCTION job_interval_rows IS 'Returns the rows of job_intervals.';
COMMENT ON FUNCTION keep_checkpoint IS 'Stores a signed checkpoint: the last of each hour.';
COMMENT ON FUNCTION keep_evaluations IS 'Stores the result of an evaluation run, once.';
COMMENT ON FUNCTION keep_lease IS 'Extends the lease of a run, to that many milliseconds from now.';
COMMENT ON FUNCTION keep_spec_set IS 'Stores an annotation spec set; false if there is one of that name.';
COMMENT ON FUNCTION lock_head IS 'Waits for other writers, and locks them out until the transaction ends.';
COMMENT ON FUNCTION mail_sent IS 'Records that the alert mail of a run was sent.';
COMMENT ON FUNCTION may_record IS 'Whether a granted role may write an event of the ledger''s own streams.';
COMMENT ON FUNCTION only_grow IS 'Trigger: refuses a change of the Merkle tree other than growth.';
COMMENT ON FUNCTION position_recorded IS 'Returns the last position recorded by a time; later events are recorded after that time.';
COMMENT ON FUNCTION record_answers IS 'Records the answers of one labeler; returns for each whether it was kept, repeated, twice or full.';
COMMENT ON FUNCTION record_samples IS 'Samples predictions, and stores the rejected ones; returns the outcome of each.';
COMMENT ON FUNCTION record_spec_set IS 'Records that an annotation spec set was created or deleted, as an event.';
COMMENT ON FUNCTION record_truths IS 'Records ground truth of samples; returns for each whether it was told, repeated, unknown, taken or differs.';
COMMENT ON FUNCTION refuse_change IS 'Trigger: refuses every change of a row.';
COMMENT ON FUNCTION refuse_deletion IS 'Trigger: refuses to delete an event that is not recorded as pruned.';
COMMENT ON FUNCTION refuse_unzoned IS 'Raises an error for a time without a time zone.';
COMMENT ON FUNCTION settle_samples IS 'Returns the number of a job''s last sample, after waiting for transactions that are sampling it.';
COMMENT ON FUNCTION spec_set_digest IS 'Returns SHA-256 of an annotation spec set, in hexadecimal.';
COMMENT ON FUNCTION zoned_time IS 'Reads a time with its zone: an offset from UTC, UTC, or a zone of the IANA database.';
COMMENT ON FUNCTION jobs_as_of(timestamptz) IS 'Jobs as of a valid time, as far as is known now, without those deleted by then.';
COMMENT ON FUNCTION jobs_as_of(text) IS 'Jobs as of a valid time given as text with its time zone.';
COMMENT ON FUNCTION jobs_as_of(timestamp) IS 'Raises an error: the time has no time zone.';
COMMENT ON FUNCTION jobs_as_of(date) IS 'Raises an error: a date has no time zone.';
