-- Whether a job of certain states ended, or was deleted after that, by a time.
(state = ANY (%(states)s) AND coalesce(greatest(end_time, delete_time), update_time) <= %(ended_by)s)
