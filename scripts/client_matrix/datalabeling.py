"""Data Labeling v1beta1, over gRPC."""

from importlib.metadata import version

import grpc
from calls import Calls, raises
from google.api_core import exceptions
from google.cloud import datalabeling_v1beta1 as d

calls = Calls()
transport = d.DataLabelingServiceClient.get_transport_class("grpc")
client = d.DataLabelingServiceClient(transport=transport(channel=grpc.insecure_channel(calls.grpc)))
JOB = {
    "description": "how good it is",
    "schedule": "every 24 hours",
    "model_version": "projects/q/models/m/versions/v1",
    "annotation_spec_set": "projects/p/annotationSpecSets/1",
    "evaluation_job_config": {
        "input_config": {
            "data_type": "IMAGE",
            "annotation_type": "IMAGE_BOUNDING_BOX_ANNOTATION",
            "bigquery_source": {"input_uri": "bq://p/d/t"},
        },
        "evaluation_config": {"bounding_box_evaluation_options": {"iou_threshold": 0.5}},
        "bounding_poly_config": {"annotation_spec_set": "projects/p/annotationSpecSets/1"},
        "bigquery_import_keys": {
            "data_json_key": "image",
            "label_json_key": "label",
            "label_score_json_key": "score",
            "bounding_box_json_key": "box",
        },
        "example_count": 100,
        "example_sample_percentage": 0.1,
    },
}
STATE = d.EvaluationJob.State
with calls("create_evaluation_job"):
    job = client.create_evaluation_job(parent=calls.parent, job=JOB)
    assert job.state == STATE.SCHEDULED
with calls("get_evaluation_job"):
    assert client.get_evaluation_job(name=job.name) == job
with calls("list_evaluation_jobs"):
    assert [each.name for each in client.list_evaluation_jobs(parent=calls.parent)] == [job.name]
with calls("update_evaluation_job"):
    changed = {"name": job.name, "evaluation_job_config": {"example_count": 200}}
    mask = {"paths": ["evaluation_job_config.example_count"]}
    updated = client.update_evaluation_job(evaluation_job=changed, update_mask=mask)
    assert updated.evaluation_job_config.example_count == 200
with calls("pause_evaluation_job"):
    client.pause_evaluation_job(name=job.name)
    assert client.get_evaluation_job(name=job.name).state == STATE.PAUSED
with calls("resume_evaluation_job"):
    client.resume_evaluation_job(name=job.name)
    assert client.get_evaluation_job(name=job.name).state == STATE.SCHEDULED
with calls("search_evaluations"):
    assert list(client.search_evaluations(parent=calls.parent)) == []
with calls("delete_evaluation_job"):
    client.delete_evaluation_job(name=job.name)
with calls("get_evaluation_job (deleted)"), raises(exceptions.NotFound):
    client.get_evaluation_job(name=job.name)
calls.print(version("google-cloud-datalabeling"))
