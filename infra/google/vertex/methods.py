"""Vertex AI jobs and pipelines: exactly the methods that each resource has in each version of the API."""

from functools import partial
from typing import Final

from jobledger.infra.google.vertex import nas_trials, operation_methods, pipelines
from jobledger.infra.google.vertex.jobs import Face
from jobledger.infra.google.vertex.resources import RESOURCES, Resource
from jobledger.infra.google.vertex.versions import V1, VERSIONS, Version
from jobledger.infra.google.wire.calls import AS_OF, Method, Methods


def _methods(resource: Resource, version: Version) -> list[Method]:
    """Returns the methods of one resource."""
    face = Face(resource, version)
    root = f"{version.path}/projects/*/locations/*/{resource.collection}"
    named = frozenset({resource.create_parameter}) if resource.create_parameter else frozenset()
    view = resource.list_parameters & {"view"}
    usual = {
        "create": ("POST", root, face.create, named, resource.message),
        "get": ("GET", f"{root}/*", face.get, AS_OF | view, None),
        "list": ("GET", root, face.list_jobs, AS_OF | resource.list_parameters, None),
    }
    further = {
        "cancel": ("POST", f"{root}/*:cancel", face.cancel, frozenset(), "Empty"),
        "delete": ("DELETE", f"{root}/*", face.delete, frozenset(), None),
        "pause": ("POST", f"{root}/*:pause", face.pause, frozenset(), "Empty"),
        "resume": ("POST", f"{root}/*:resume", face.resume, frozenset(), "Empty"),
        "patch": (
            "PATCH", f"{root}/*", face.patch, frozenset({"updateMask"}), resource.message,
        ),
    }  # fmt: skip
    chosen = usual | {verb: further[verb] for verb in resource.methods.split()}
    return [Method(f"{resource.service}.{verb}", *rest) for verb, rest in chosen.items()]


_PAGES: Final = frozenset({"pageSize", "pageToken"})
_SERVICE: Final = "aiplatform.projects.locations"
ABSENT: Final = (
    ("modelDeploymentMonitoringJobs", "/*:searchModelDeploymentMonitoringStatsAnomalies", True),
    ("tuningJobs", ":rebaseTunedModel", True),
    ("tuningJobs", ":optimizePrompt", False),
    ("tuningJobs", ":processData", False),
    ("tuningJobs", ":validateReinforcementTuningReward", False),
    ("notebookExecutionJobs", "/*:generateAccessToken", False),
    ("notebookExecutionJobs", "/*:reportEvent", False),
)
"""Methods that Google's API has and the ledger does not; the last value says whether v1 has it, too."""


def _of_version(version: Version) -> list[Method]:
    root = f"{version.path}/projects/*/locations/*"
    trials, service = f"{root}/nasJobs/*/nasTrialDetails", f"{_SERVICE}.nasJobs.nasTrialDetails"
    one, many = partial(nas_trials.trial, version), partial(nas_trials.trials, version)
    return [
        *(method for resource in RESOURCES.values() for method in _methods(resource, version)),
        *pipelines.methods(version, root),
        Method(f"{service}.get", "GET", f"{trials}/*", one, AS_OF),
        Method(f"{service}.list", "GET", trials, many, AS_OF | _PAGES),
        *(
            Method(
                f"{_SERVICE}.{collection}.{path.rpartition(':')[2]}", "POST",
                f"{root}/{collection}{path}", None,
            )
            for collection, path, is_in_v1 in ABSENT
            if is_in_v1 or version.package != V1.package
        ),
    ]  # fmt: skip


METHODS: Final = Methods(
    [
        *(method for version in VERSIONS for method in _of_version(version)),
        *operation_methods.all_methods(VERSIONS),
    ]
)
