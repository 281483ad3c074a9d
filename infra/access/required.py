"""The role that each action needs: one table for HTTP, gRPC and Google's methods.

An action has the name of its route's or method's verb: `cancel`, `started`, `get`. An action that
is not in the table cannot be served.
"""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Final

from jobledger.domain.data import Data
from jobledger.domain.events import EVENT_TYPES
from jobledger.domain.reports import reported_type
from jobledger.domain.run_events import RUN_EVENTS
from jobledger.infra.access.tokens import Role

READ: Final = "read"
"""Every read of the ledger's own surface: jobs, events, the feed, pages, proofs, samples, tasks."""
REPORTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        type_[0].lower() + type_[1:]: type_
        for type_ in EVENT_TYPES
        if type_ not in {"Created", "Contradicted"}
    }
)
"""The type of event that each report makes, by the report's verb."""
LINEAGE: Final = "lineage"
"""For OpenLineage events, which also create the jobs that they name."""
_READS: Final = (
    READ, "get", "list", "search", "wait", "receipt", "getIamPolicy", "testIamPermissions",
    "searchModelDeploymentMonitoringStatsAnomalies", "validateReinforcementTuningReward",
)  # fmt: skip
_CONTRIBUTIONS: Final = (
    "recordPredictions",
    "recordTruths",
    "answer",
    "import",
    "batch",
    LINEAGE,
    "heartbeat",
)
_COMMANDS: Final = (
    "create", "cancel", "pause", "resume", "update", "patch", "changeConfig", "retry", "changeLabels",
    "delete", "batchCancel", "batchDelete", "rebaseTunedModel", "optimizePrompt", "processData",
    "generateAccessToken", "reportEvent",
)  # fmt: skip
_AS_COMMANDS: Final = ("ConfigChanged", "Deleted", "LabelsChanged", "Retried")
"""Reports that change a job as a command does."""
_RUNS: Final = tuple(cls.__name__ for cls in RUN_EVENTS)
"""Events that the scheduler writes, and that decide what it does next."""
_POLICIES: Final = (
    "changePolicy", "policyChanged", "setIamPolicy",
    "hold", "release", "set", "drop",
)  # fmt: skip
"""Decisions on who may do what, and on how long jobs are kept."""

REQUIRED: Final[Mapping[str, Role]] = MappingProxyType(
    dict.fromkeys(_READS, Role.READER)
    | dict.fromkeys((*REPORTS, *_CONTRIBUTIONS), Role.REPORTER)
    | dict.fromkeys(_COMMANDS, Role.OPERATOR)
    | {verb: Role.OPERATOR for verb, type_ in REPORTS.items() if type_ in _AS_COMMANDS + _RUNS}
    | dict.fromkeys(_POLICIES, Role.ADMIN)
)
"""The least role for each action."""
FIELDS: Final[Mapping[str, Mapping[str, Role]]] = MappingProxyType(
    {
        "Updating": {"spec": Role.OPERATOR, "labels": Role.OPERATOR},
        "Updated": {"spec": Role.OPERATOR},
    }
)
"""Fields of reports, by type, that take more than the report itself."""
_OF_TYPE: Final = {type_: REQUIRED[verb] for verb, type_ in REPORTS.items()}
_NONE: Final[Mapping[str, Role]] = {}


def required_for_report(data: Data) -> Role:
    """Returns the role that a report needs: that of its type, or a higher one for certain fields."""
    type_ = reported_type(data)
    role = _OF_TYPE[type_]
    for field, needed in FIELDS.get(type_, _NONE).items():
        if getattr(data, field, None) is not None:
            role = max(role, needed)
    return role


@cache
def required_for_method(name: str) -> Role:
    """Returns the role that a Google method needs, by a name such as `ml.projects.jobs.get`."""
    return REQUIRED[name.rpartition(".")[2]]
