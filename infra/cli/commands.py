"""The table of commands: the name of each, where its function is, and its help in one paragraph.

The help stands here too, so that `jobledger --help` lists all commands without importing any.
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
init           | cli.server.operate:init             | Make the ledger, or bring it up to date, its log, too; makes the key that is signed with, if there is none.
doctor         | cli.diagnosis.doctor:doctor         | Check settings, server, schema, grants, clock, keys, checkpoint, spool, disk and ports; exits 1 if one is wrong.
settings       | cli.diagnosis.settings:settings     | Show every environment variable that the program reads, its value now, and what it is for.
status         | cli.server.embedded:status          | Show whether the embedded server runs, since when, and who uses it; exits 1 if it does not run.
stop           | cli.server.embedded:stop            | Stop the embedded server, which also stops when its last user is gone.
psql           | cli.server.embedded:psql            | Open psql on the ledger's schema; exits as psql does.
list           | cli.jobs.list:list_jobs             | List jobs, newest first, as they are or were.
count          | cli.jobs.read:count                 | Count jobs by state, or by another field, as they are or were.
show           | cli.jobs.read:show                  | Show one job as it is, or was; in JSON, what it was as of, too.
history        | cli.jobs.read:history               | Show all that happened to one job, oldest first.
events         | cli.jobs.read:events                | Print the ledger's events in their order, one JSON document a line.
diff           | cli.history.compare:diff            | Compare one job at two moments, two jobs, two attempts, or the fleet at two moments.
blame          | cli.history.compare:blame           | Show for each field of a job which event set it, when, who, and by which request.
bisect         | cli.history.compare:bisect          | Find the first event after which something was true; exits 1 if it never was.
tree           | cli.history.tree:tree                 | Show the jobs below a job, by the parents that they name.
why            | cli.history.compare:why             | Tell how a job came to be as it is, or was.
replay         | cli.history.replay:replay           | Step through all that happened to a job, and what would if more did.
report         | cli.data.report:report              | Report on many jobs, deleted ones too, as it happened (UTC).
verify-report  | cli.data.report:verify_report       | Compute a certified report again, from the events its checkpoint covers; exits 1 unless it is the same.
export         | cli.data.export:export              | Export all events of jobs up to a moment: a history, or for other programs.
record         | cli.jobs.write:record               | Report by hand what happened to a job. One that cannot be true is kept as Contradicted.
run            | cli.jobs.run_command:run            | Run a command as a job, and exit as it does. Run again under its name, it is a new attempt.
spool          | cli.jobs.spooled:spool              | Runs that are not recorded yet: list or send them.
cancel         | cli.jobs.act:cancel                 | Ask for a job's end: a waiting or paused one is CANCELLED at once, others are CANCELLING.
pause          | cli.jobs.act:pause                  | Stop a job so that it can be resumed.
resume         | cli.jobs.act:resume                 | Let a paused job wait to run again.
retry          | cli.jobs.act:retry                  | Begin a new attempt at a job that has ended.
delete         | cli.jobs.act:delete                 | Take a job that has ended out of lists; its history is kept.
labels         | cli.jobs.act:labels                 | Set labels of a job, or take them away; its other labels stay.
comment        | cli.jobs.act:comment                | Add a note to a job's history, with its author; the job stays as it is.
simulate       | cli.jobs.write:simulate             | Make up a small cluster's week: the first one of June 2026, unless you say its end.
rebuild        | cli.server.operate:rebuild          | Make a projection's rows again from the events, while writers go on.
verify         | cli.proof.verify:verify             | Replay every job and compare with what is shown of it; exits 1 if anything differs.
receipt        | cli.proof.log:receipt               | Write a receipt: that an event of a job is in the log, to be checked offline (C2SP tlog-proof).
verify-receipt | cli.proof.log:verify_receipt        | Check a receipt, without any database; exits 1 unless the log signed for just this event.
witness        | cli.proof.witness:witness           | Serve a witness: it cosigns that logs only ever grow (C2SP tlog-witness). Needs no database.
erase          | cli.data.forget:erase               | Make all personal data of a subject unreadable, for ever. Every proof still verifies.
prune          | cli.data.forget:prune               | Take jobs that have ended or were deleted out of the ledger; the log says so, and proofs still verify.
serve          | cli.server.serve:serve              | Serves the ledger: its own API under /ledger/v1 (described at /docs), and Google's three job APIs.
serve-grpc     | cli.server.serve:serve_grpc         | Serves Google's Vertex AI and Data Labeling job APIs over gRPC, as their Python clients speak them.
scheduler      | cli.evaluation.evaluate:scheduler   | Starts evaluation jobs' runs when they are due, and carries them on. Of several, one leads.
evaluations    | cli.evaluation.evaluate:evaluations | What an evaluation job's runs found, one line a run; or one run's evaluation as a picture.
bench          | bench.command:bench                 | Measure the ledger beside its peers and limits, on this machine, in this run.
attach         | cli.sources.attaching:attach         | Follow another system's PostgreSQL database: jobledger attach DSN --as airflow.
detach         | cli.sources.attaching:detach         | Follow a database no more: remove the slot and the publication from it.
import         | cli.sources.importing:importing     | Import histories from elsewhere: jobledger import MAPPING FILE.
log            | cli.proof.log:log                   | The Merkle tree over all events: its name, its keys, its checkpoints.
token          | cli.server.tokens:token             | Let others in: tokens for the server.
label          | cli.evaluation.label:label          | What people are asked of an evaluation job's samples.
"""
"""A command's name, where its function is, and its help, in the order in which `--help` lists them."""
COMMANDS: Final = {
    name.strip(): Entry(source.strip(), help_.strip())
    for name, source, help_ in (line.split(" | ") for line in TABLE.strip().splitlines())
}
"""By name."""
