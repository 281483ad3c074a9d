-- Whether a job of certain states ended, or was deleted after that, by a time; or_deleted is rendered.
((state = ANY (%(states)s) AND coalesce(greatest(end_time, delete_time), update_time) <= %(ended_by)s) {or_deleted})
