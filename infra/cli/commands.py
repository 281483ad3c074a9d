"""The table of commands: the name of each, where its function is, and its help in one paragraph.

The help is here too, so that `jobledger --help` lists all commands without importing any.
"""

from importlib import import_module
from typing import Any, Final, NamedTuple


class Entry(NamedTuple):
    """One command, or a group of commands."""

    source: str
    """`package.module:attribute` under `jobledger.infra`: a function, or a typer.Typer for a group."""
    help: str
    """The first paragraph of the function's docstring, or the group's help."""

    def find(self) -> Any:
        """Imports the module and returns what `source` names."""
        module, _, attribute = self.source.partition(":")
        return getattr(import_module(f"jobledger.infra.{module}"), attribute)


TABLE: Final = """
init           | cli.server.operate:init             | Create the ledger and its log's key, or migrate the ledger to this version.
doctor         | cli.diagnosis.doctor:doctor         | Check settings, server, schema, grants, clock, keys, checkpoint, spool, disk and ports; exits 1 if one is wrong.
settings       | cli.diagnosis.settings:settings     | Show all settings: environment variables, their present values, and their meaning.
status         | cli.server.embedded:status          | Show whether the embedded server runs, since when, and which processes use it; exits 1 if it does not run.
stop           | cli.server.embedded:stop            | Stop the embedded server; it also stops when the last process that uses it ends.
psql           | cli.server.embedded:psql            | Open psql on the ledger's schema, with psql's own options; exits with psql's exit code.
list           | cli.jobs.list:list_jobs             | List jobs, newest first, now or as of a moment.
count          | cli.jobs.read:count                 | Count jobs by state or another field, now or as of a moment.
show           | cli.jobs.read:show                  | Show one job, now or as of a moment; JSON includes the moment.
history        | cli.jobs.read:history               | Show all events of one job, oldest first; legal holds and pins are named on standard error.
events         | cli.jobs.read:events                | Print all events of the ledger in commit order, one JSON document per line.
diff           | cli.history.compare:diff            | Compare one job at two moments, two jobs, two attempts, or all jobs at two moments.
blame          | cli.history.compare:blame           | Show for each field of a job which event set it, when, by whom, and in which request.
bisect         | cli.history.compare:bisect          | Find the first event after which a condition was true; exits 1 if it never was.
tree           | cli.history.tree:tree                 | Show the jobs below a job, by the parents that they name.
why            | cli.history.compare:why             | Explain how a job came to its state, now or as of a moment.
replay         | cli.history.replay:replay           | Replay a job event by event, with hypothetical events after the recorded ones.
report         | cli.data.report:report              | Compute a statistic over many jobs, including deleted ones, in valid time (UTC).
verify-report  | cli.data.report:verify_report       | Verify a certified report: recompute it from the events under its checkpoint; exits 1 if it differs.
export         | cli.data.export:export              | Export the events of jobs up to a moment, as a history or in other programs' formats.
verify-export  | cli.data.verify_export:verify_export | Verify a Parquet export against its manifest without a database; exits 1 at the first file that differs.
record         | cli.jobs.write:record               | Record a report on a job; one that the job's state does not allow is recorded as Contradicted.
run            | cli.jobs.run_command:run            | Run a command as a job, and exit with its exit code; a second run under the same name is a new attempt.
spool          | cli.jobs.spooled:spool              | List or send the runs in the spool, which are not recorded yet.
cancel         | cli.jobs.act:cancel                 | Cancel a job: a QUEUED or PAUSED one is CANCELLED at once, others are CANCELLING until they end.
pause          | cli.jobs.act:pause                  | Pause a job, so that it can be resumed.
resume         | cli.jobs.act:resume                 | Resume a paused job: it is QUEUED again.
retry          | cli.jobs.act:retry                  | Retry a job that has ended: begin a new attempt.
delete         | cli.jobs.act:delete                 | Delete a job that has ended; its history is kept.
labels         | cli.jobs.act:labels                 | Set or remove labels of a job; its other labels stay.
comment        | cli.jobs.act:comment                | Add a note with an author to a job's history; the job stays as it is.
simulate       | cli.jobs.write:simulate             | Write a simulated week of a small cluster: the week that ends now, or one with a given end.
ledgers        | cli.server.ledgers:ledgers          | List, create, describe and drop the ledgers of a database.
plan-capacity  | cli.server.capacity:plan_capacity   | Plan the disk, memory and time that a ledger takes, from measured figures; needs no database.
rebuild        | cli.server.operate:rebuild          | Rebuild a projection from the events, while writers continue.
verify         | cli.proof.verify:verify             | Verify the ledger: replay all jobs and compare them with the stored rows; exits 1 if anything differs.
receipt        | cli.proof.receipts:receipt          | Write a receipt: an offline proof that an event of a job is in the log (C2SP tlog-proof).
verify-receipt | cli.proof.receipts:verify_receipt   | Verify a receipt without a database; exits 1 unless the log signed exactly this event.
witness        | cli.proof.witness:witness           | Serve a witness, which cosigns checkpoints of logs that only grew (C2SP tlog-witness); needs no database.
erase          | cli.data.erase_and_prune:erase               | Erase all personal data of a subject permanently; all proofs stay valid.
prune          | cli.data.erase_and_prune:prune               | Export old jobs and delete them from the ledger; the log records that, and proofs stay valid.
retention      | cli.data.retention:retention        | List, set, drop and apply rules for how long jobs are kept.
hold           | cli.data.retention:hold             | Place a legal hold on a job, or pin it: nobody can prune it until that is released.
release        | cli.data.retention:release          | Release a job's legal hold, or its pin.
serve          | cli.server.serve:serve              | Serve the ledger over HTTP: its own API under /ledger/v1 (described at /docs), and Google's three job APIs.
serve-grpc     | cli.server.serve:serve_grpc         | Serve Google's Vertex AI and Data Labeling job APIs over gRPC, for their Python clients.
scheduler      | cli.evaluation.evaluate:scheduler   | Start and continue the runs of evaluation jobs when they are due; of several schedulers one is active.
evaluations    | cli.evaluation.evaluate:evaluations | Show the results of an evaluation job, one line per run, or draw one run's evaluation.
bench          | bench.command:bench                 | Measure the ledger, and what it is compared with, on this machine.
attach         | cli.sources.attaching:attach         | Follow another system's PostgreSQL database: jobledger attach DSN --as airflow.
follow         | cli.sources.following:follow        | Follow a Kubernetes cluster: its Jobs, Pods and Events.
detach         | cli.sources.attaching:detach         | Stop following a database: remove the slot and the publication, and restore REPLICA IDENTITY.
import         | cli.sources.importing:importing     | Import histories of another system or ledger: jobledger import MAPPING FILE, or EXPORT.
log            | cli.proof.log:log                   | Manage the log over all events: its name, keys and checkpoints.
token          | cli.server.tokens:token             | Manage the server's access tokens.
label          | cli.evaluation.label:label          | Set labels of a job (label NAME K=V), or answer the labeling tasks of evaluation jobs.
"""
"""A command's name, where its function is, and its help, in the order in which `--help` lists them."""
COMMANDS: Final = {
    name.strip(): Entry(source.strip(), help_.strip())
    for name, source, help_ in (line.split(" | ") for line in TABLE.strip().splitlines())
}
"""The commands by name."""
PASSING_ON: Final = ("psql",)
"""Commands that pass unknown options to the program that they run."""
OTHER_WORDS: Final = {
    "show": "get describe inspect status info",
    "list": "ls ps top jobs search find",
    "history": "cat log logs timeline",
    "delete": "rm remove",
    "cancel": "kill stop abort",
    "run": "start submit exec",
    "record": "create add new update",
}
"""Words of other programs for what a command does to a job, by the command."""
