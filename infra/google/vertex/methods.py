"""Vertex AI v1 jobs and pipelines: the methods each resource has, and no others."""

from typing import Final

from jobledger.infra.google.vertex import nas_trials, operations, pipelines
from jobledger.infra.google.vertex.jobs import Face
from jobledger.infra.google.vertex.resources import RESOURCES, Resource
from jobledger.infra.google.wire.calls import AS_OF, Method, Methods


def _methods(resource: Resource) -> list[Method]:
    """The methods that one resource has."""
    face, root = Face(resource), f"v1/projects/*/locations/*/{resource.collection}"
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


_ROOT: Final = "v1/projects/*/locations/*"
_TRIALS: Final = f"{_ROOT}/nasJobs/*/nasTrialDetails"
_PAGES: Final = frozenset({"pageSize", "pageToken"})
_SERVICE: Final = "aiplatform.projects.locations"
METHODS: Final = Methods(
    [
        *(method for resource in RESOURCES.values() for method in _methods(resource)),
        *pipelines.methods(_ROOT),
        Method(f"{_SERVICE}.nasJobs.nasTrialDetails.get", "GET", f"{_TRIALS}/*", nas_trials.trial, AS_OF),
        Method(
            f"{_SERVICE}.nasJobs.nasTrialDetails.list", "GET", _TRIALS, nas_trials.trials,
            AS_OF | _PAGES,
        ),
        Method(
            f"{_SERVICE}.modelDeploymentMonitoringJobs.searchModelDeploymentMonitoringStatsAnomalies",
            "POST",
            f"{_ROOT}/modelDeploymentMonitoringJobs/*:searchModelDeploymentMonitoringStatsAnomalies",
            None,
        ),
        Method(
            f"{_SERVICE}.tuningJobs.rebaseTunedModel", "POST", f"{_ROOT}/tuningJobs:rebaseTunedModel",
            None,
        ),
        *operations.METHODS,
    ]
)  # fmt: skip
