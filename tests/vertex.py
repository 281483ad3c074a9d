"""Vertex AI's job resources as Google's Vertex client knows them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

from google.auth.credentials import AnonymousCredentials

from tests.servers import Server

JOB_SPEC: Any = {
    "worker_pool_specs": [
        {
            "machine_spec": {
                "machine_type": "n1-standard-4",
                "accelerator_type": "NVIDIA_TESLA_T4",
                "accelerator_count": 2,
            },
            "replica_count": 3,
            "container_spec": {"image_uri": "gcr.io/i", "args": ["--fast"]},
        },
        {},
    ],
    "scheduling": {"timeout": "3600s", "strategy": "SPOT"},
    "base_output_directory": {"output_uri_prefix": "gs://b/out"},
}
STUDY: Any = {
    "metrics": [{"metric_id": "loss", "goal": "MINIMIZE"}],
    "parameters": [
        {"parameter_id": "lr", "double_value_spec": {"min_value": 0.1, "max_value": 1.0}}
    ],
}


class Kind(NamedTuple):
    """A resource: its client, what its methods are called, and what one is made of."""

    collection: str
    noun: str
    service: str
    methods: str
    """Beside create, get and list."""
    spec: dict[str, Any]
    state: str = "state"
    """The field that holds it."""

    @property
    def message(self) -> str:
        return "".join(word.title() for word in self.noun.split("_"))

    @property
    def states(self) -> str:
        return "PipelineState" if "peline" in self.noun else "JobState"

    def has(self, method: str) -> bool:
        return method in self.methods.split()


KINDS = [
    Kind("customJobs", "custom_job", "Job", "cancel delete", {"job_spec": JOB_SPEC}),
    Kind(
        "hyperparameterTuningJobs", "hyperparameter_tuning_job", "Job", "cancel delete",
        {"study_spec": STUDY, "max_trial_count": 9, "parallel_trial_count": 3, "trial_job_spec": JOB_SPEC},
    ),
    Kind(
        "batchPredictionJobs", "batch_prediction_job", "Job", "cancel delete",
        {
            "model": "projects/p/locations/us-central1/models/7",
            "input_config": {"instances_format": "jsonl", "gcs_source": {"uris": ["gs://b/in"]}},
            "output_config": {
                "predictions_format": "jsonl", "gcs_destination": {"output_uri_prefix": "gs://b/out"},
            },
            "model_parameters": {"temperature": 0.5},
        },
    ),
    Kind(
        "dataLabelingJobs", "data_labeling_job", "Job", "cancel delete",
        {
            "datasets": ["projects/p/locations/us-central1/datasets/7"], "labeler_count": 2,
            "instruction_uri": "gs://b/how.pdf", "inputs_schema_uri": "gs://b/schema.yaml",
            "inputs": {"annotationSpecs": ["cat", "dog"]},
        },
    ),
    Kind(
        "nasJobs", "nas_job", "Job", "cancel delete",
        {"nas_job_spec": {"multi_trial_algorithm_spec": {"search_trial_spec": {
            "search_trial_job_spec": JOB_SPEC, "max_trial_count": 5, "max_parallel_trial_count": 2}}}},
    ),
    Kind(
        "modelDeploymentMonitoringJobs", "model_deployment_monitoring_job", "Job",
        "delete pause resume update",
        {
            "endpoint": "projects/p/locations/us-central1/endpoints/7",
            "model_deployment_monitoring_objective_configs": [
                {"deployed_model_id": "1", "objective_config": {"training_dataset": {"data_format": "csv"}}}
            ],
            "model_deployment_monitoring_schedule_config": {"monitor_interval": "3600s"},
            "logging_sampling_strategy": {"random_sample_config": {"sample_rate": 0.5}},
        },
    ),
    Kind(
        "tuningJobs", "tuning_job", "GenAiTuning", "cancel",
        {"base_model": "gemini", "supervised_tuning_spec": {"training_dataset_uri": "gs://b/train"}},
    ),
    Kind(
        "notebookExecutionJobs", "notebook_execution_job", "Notebook", "delete",
        {"gcs_notebook_source": {"uri": "gs://b/n.ipynb"}, "gcs_output_uri": "gs://b/out",
         "execution_timeout": "60s"},
        "job_state",
    ),
    Kind(
        "pipelineJobs", "pipeline_job", "Pipeline", "cancel delete",
        {"pipeline_spec": {"root": {"dag": {}}}, "template_uri": "https://t.example/train",
         "runtime_config": {"gcs_output_directory": "gs://b/out"}},
    ),
    Kind(
        "trainingPipelines", "training_pipeline", "Pipeline", "cancel delete",
        {"training_task_definition": "gs://google/automl_text_classification.yaml",
         "training_task_inputs": {"multiLabel": True}},
    ),
]  # fmt: skip
MONITORING = next(kind for kind in KINDS if kind.has("update"))
CUSTOM = KINDS[0]


class Vertex:
    """Google's clients of one server, by what the methods of a kind are called."""

    def __init__(self, server: Server, open_ones: ExitStack) -> None:
        from google.cloud import aiplatform_v1

        self.types: Any = aiplatform_v1
        self.server = server
        self._clients: dict[str, Any] = {}
        for service in ("Job", "GenAiTuning", "Notebook", "Pipeline"):
            client = getattr(self.types, f"{service}ServiceClient")(
                transport="rest",
                credentials=AnonymousCredentials(),
                client_options={"api_endpoint": server.url},
            )
            self._clients[service] = open_ones.enter_context(client)
            open_ones.callback(client.transport.operations_client.transport._session.close)

    def client(self, kind: Kind) -> Any:
        return self._clients[kind.service]

    def message(self, kind: Kind, **fields: Any) -> Any:
        """What a job of that kind is made of."""
        named = {} if kind.noun == "tuning_job" else {"display_name": "d"}
        return getattr(self.types, kind.message)({**named, **kind.spec, **fields})

    def create(self, kind: Kind, parent: str, **fields: Any) -> Any:
        """A new job."""
        return self.send(kind, parent, self.message(kind, **fields))

    def send(self, kind: Kind, parent: str, message: Any) -> Any:
        made = self.call("create", kind, **{"parent": parent, kind.noun: message})
        return made.result(timeout=60) if kind.service == "Notebook" else made

    def get(self, kind: Kind, name: str) -> Any:
        return self.call("get", kind, name=name)

    def list(self, kind: Kind, **request: Any) -> Any:
        """A pager over all that there are."""
        return getattr(self.client(kind), f"list_{kind.noun}s")(request)

    def call(self, method: str, kind: Kind, **expected: Any) -> Any:
        """A method by what it is called before the noun."""
        return getattr(self.client(kind), f"{method}_{kind.noun}")(**expected)

    def state(self, kind: Kind, job: Any) -> str:
        """The state it shows, without the prefix."""
        return str(getattr(job, kind.state).name).rpartition("STATE_")[2]


@contextmanager
def vertex_of(server: Server) -> Iterator[Vertex]:
    with ExitStack() as open_ones:
        yield Vertex(server, open_ones)
