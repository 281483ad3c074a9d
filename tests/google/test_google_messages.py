"""The ledger's checks of Google's messages, compared with Google's own parser where there is one."""

from __future__ import annotations

import json
import re
import runpy
import sys
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.states import JobState
from jobledger.domain.values import canonical
from jobledger.infra.google.wire import messages
from jobledger.infra.google.wire.messages import Api

from tests.checkout import ROOT

APIS = ["ml_v1", "aiplatform_v1", "datalabeling_v1beta1", "aiplatform_v1beta1"]
ML, VERTEX, LABELING, BETA = map(messages.load, APIS)
VERTEX_JOBS = [
    "BatchPredictionJob",
    "CustomJob",
    "DataLabelingJob",
    "HyperparameterTuningJob",
    "ModelDeploymentMonitoringJob",
    "NasJob",
    "NotebookExecutionJob",
    "PipelineJob",
    "TrainingPipeline",
    "TuningJob",
]
SCALARS = "bool bytes double duration float int32 int64 string timestamp uint32 uint64 value any"
EVERY = Api(
    {
        "messages": {
            "Every": {
                "fields": {
                    **{f"{type_}Field": type_ for type_ in SCALARS.split()},
                    "colourField": "Colour",
                    "listField": "[int32]",
                    "mapField": "map<bool>",
                    "everyField": "Every",
                    "leftHand": "string",
                    "rightHand": "Every",
                    "madeField": "int32",
                },
                "oneofs": [["leftHand", "rightHand"]],
                "readOnly": ["madeField"],
            }
        },
        "enums": {"Colour": {"NO_COLOUR": 0, "RED": 1, "BLUE": 7, "NEW_COLOUR": None}},
    }
)
"""A message with a field of every sort, some of which Google's jobs happen not to have."""


def deep(levels: int, value: Any = 1) -> Any:
    for _ in range(levels):
        value = {"a": value}
    return value


def refusal(api: Api, message: str, body: Any, **how: Any) -> tuple[str, str]:
    with pytest.raises(InvalidFieldError) as caught:
        api.parse(message, body, **how)
    return caught.value.field, caught.value.why


# The schemas


@pytest.mark.slow
@pytest.mark.parametrize("api", APIS)
def test_the_schemas_are_what_the_script_makes_of_googles_packages(api: str, google: Any) -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "schemas"))
    assert script["render"](api) == (ROOT / "infra/google/wire/schemas" / f"{api}.json").read_text()


def test_states_have_googles_numbers() -> None:
    vertex = {f"JOB_STATE_{state.name}": state.value for state in JobState}
    assert VERTEX.enum("JobState") == {"JOB_STATE_UNSPECIFIED": 0} | vertex
    names = "STATE_UNSPECIFIED QUEUED PREPARING RUNNING SUCCEEDED FAILED CANCELLING CANCELLED"
    assert ML.enum("JobState") == {name: number for number, name in enumerate(names.split())}


def test_output_only_fields_are_known_from_annotations_and_from_comments() -> None:
    made = "createTime endTime errorMessage jobPosition predictionOutput startTime state"
    assert sorted(ML.read_only("Job")) == [*made.split(), "trainingOutput"]
    assert {"name", "state", "webAccessUris", "error"} < VERTEX.read_only("CustomJob")
    assert LABELING.read_only("EvaluationJob") == {"name", "state", "attempts", "createTime"}
    assert VERTEX.read_only("CustomJobSpec") == set()
    assert "jobSpec" in VERTEX.required("CustomJob")


def test_fields_have_types() -> None:
    fields = VERTEX.fields("CustomJob")
    assert fields["labels"] == "map<string>"
    assert fields["state"] == "JobState"
    assert fields["createTime"] == "timestamp"
    assert VERTEX.fields("CustomJobSpec")["workerPoolSpecs"] == "[WorkerPoolSpec]"
    assert VERTEX.fields("Status")["details"] == "[any]"
    assert VERTEX.fields("PipelineJob")["pipelineSpec"] == "map<value>"
    # Google's own message of that name, and not the JSON value.
    assert VERTEX.fields("PipelineJobRuntimeConfig")["parameters"] == "map<Value>"


def test_every_type_in_a_schema_is_one() -> None:
    for name in APIS:
        schema = json.loads((ROOT / "infra/google/wire/schemas" / f"{name}.json").read_text())
        known = schema["messages"].keys() | schema["enums"].keys() | messages.TYPES.keys()
        for message in schema["messages"].values():
            used = {re.sub(r"^\[|^map<|\]$|>$", "", type_) for type_ in message["fields"].values()}
            assert used <= known
            grouped = {field for group in message.get("oneofs", ()) for field in group}
            assert grouped <= message["fields"].keys()


# What is accepted, and its normal form

NANOS = "0001-01-01T00:00:00.000000001Z"
ACCEPTED = [
    ("bool", True, True),
    ("int32", 3, 3),
    ("int32", 3.0, 3),
    ("int32", "3", 3),
    ("int32", "-3.0", -3),
    ("int32", "1e3", 1000),
    ("int32", -(2**31), -(2**31)),
    ("uint32", 2**32 - 1, 2**32 - 1),
    ("int64", 3, "3"),
    ("int64", 1e3, "1000"),
    ("int64", "9223372036854775807", "9223372036854775807"),
    ("int64", -(2**63), "-9223372036854775808"),
    ("int64", "0e999999999", "0"),
    ("int64", "1." + "0" * 5000, "1"),
    ("uint64", 2**64 - 1, "18446744073709551615"),
    ("double", 1, 1.0),
    ("double", -0.5, -0.5),
    ("double", "1.5e3", 1500.0),
    ("double", "NaN", "NaN"),
    ("double", "-Infinity", "-Infinity"),
    ("float", 3.4e38, 3.4e38),
    ("float", 3.4028235e38, 3.4028235e38),
    ("float", "Infinity", "Infinity"),
    ("string", "größer 𝄞", "größer 𝄞"),
    ("bytes", "3q2+7w==", "3q2+7w=="),
    ("bytes", "3q2-7w==", "3q2+7w=="),
    ("bytes", "3q2-7w", "3q2+7w=="),
    ("bytes", "3q2-7x", "3q2+7w=="),
    ("bytes", "", ""),
    ("timestamp", "2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"),
    ("timestamp", "2026-01-31T12:00:00.5+02:30", "2026-01-31T09:30:00.500Z"),
    ("timestamp", "2026-01-31T12:00:00.123400Z", "2026-01-31T12:00:00.123400Z"),
    ("timestamp", "2026-01-31T12:00:00.000Z", "2026-01-31T12:00:00Z"),
    ("timestamp", NANOS, NANOS),
    ("timestamp", "9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999999Z"),
    ("duration", "3.5s", "3.500s"),
    ("duration", "3600s", "3600s"),
    ("duration", "-0.000001s", "-0.000001s"),
    ("duration", "-0s", "0s"),
    ("duration", "315576000000s", "315576000000s"),
    ("value", None, None),
    ("value", {"a": [1, None, {"b": True}]}, {"a": [1, None, {"b": True}]}),
    ("value", 2**60, float(2**60)),
    ("any", {"@type": "type.googleapis.com/x.Y", "b": 1}, {"@type": "type.googleapis.com/x.Y", "b": 1}),
    ("colour", "RED", "RED"),
    ("colour", 7, "BLUE"),
    ("colour", 7.0, "BLUE"),
    ("colour", "7", "BLUE"),
    ("colour", "NEW_COLOUR", "NEW_COLOUR"),
    ("list", [1, "2", 3.0], [1, 2, 3]),
    ("map", {"a b": True}, {"a b": True}),
    ("every", {"every_field": {"bool_field": False}}, {"everyField": {"boolField": False}}),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("sort", "value", "normal"), ACCEPTED, ids=lambda value: str(value)[:30])
def test_a_value_in_any_of_its_forms_becomes_its_normal_one(
    sort: str, value: Any, normal: Any
) -> None:
    parsed = EVERY.parse("Every", {f"{sort}Field": value})
    assert parsed == {f"{sort}Field": normal}
    assert type(parsed[f"{sort}Field"]) is type(normal)
    assert EVERY.parse("Every", parsed) == parsed


REFUSED = [
    ("bool", 1, "must be true or false, not a number"),
    ("bool", "true", "must be true or false, not a string"),
    ("int32", True, "must be a whole number, not a boolean"),
    ("int32", 1.5, "must be a whole number, not a fraction"),
    ("int32", "1.5", 'must be a whole number, not "1.5"'),
    ("int32", 2**31, "must be from -2147483648 to 2147483647"),
    ("int32", "1e999999999", "must be from -2147483648 to 2147483647"),
    ("int32", "1e99999999999999999999", "must be a whole number"),
    ("int32", float("inf"), "must be a whole number"),
    ("int32", "0x10", "must be a whole number"),
    ("int32", "1_000", "must be a whole number"),
    ("int32", "٣", "must be a whole number"),
    ("int32", " 3", "must be a whole number"),
    ("int32", "", "must be a whole number"),
    ("int32", [], "must be a whole number, not a list"),
    ("uint32", -1, "must be from 0 to 4294967295"),
    ("int64", 2**63, "must be from"),
    ("int64", 1e19, "must be from"),
    ("uint64", "-1", "must be from 0 to 18446744073709551615"),
    ("double", float("nan"), "must be finite"),
    ("double", "1e999", "must be finite"),
    ("double", 10**400, "the largest double"),
    ("double", "nan", 'must be a number, not "nan"'),
    ("double", "1_0", "must be a number"),
    ("double", False, "must be a number, not a boolean"),
    ("float", 1e39, "must be finite, from -3.4028235e+38"),
    ("string", 1, "must be a string, not a number"),
    ("string", "a\0b", "has a NUL character"),
    ("string", "a\ud800", "has half of a surrogate pair"),
    ("bytes", "3q2+7", "must be bytes in base64"),
    ("bytes", "3q2+7w=", "must be bytes in base64"),
    ("bytes", "3q2 7w==", "must be bytes in base64"),
    ("bytes", "====", "must be bytes in base64"),
    ("bytes", 3, "must be a string"),
    ("timestamp", "2026-01-31T12:00:00", "must be a time as"),
    ("timestamp", "2026-01-31 12:00:00Z", "must be a time as"),
    ("timestamp", "2026-02-30T12:00:00Z", "must be a time as"),
    ("timestamp", "2026-01-31T24:00:00Z", "must be a time as"),
    ("timestamp", "2026-01-31T23:59:60Z", "must be a time as"),
    ("timestamp", "2026-01-31T12:00:00.1234567891Z", "must be a time as"),
    ("timestamp", "2026-01-31T12:00:00+24:00", "must be a time as"),
    ("timestamp", "0000-12-31T12:00:00Z", "from year 1 to 9999"),
    ("timestamp", "0001-01-01T00:00:00+00:01", "from year 1 to 9999"),
    ("timestamp", "9999-12-31T23:59:59-00:01", "from year 1 to 9999"),
    ("timestamp", 1769860800, "must be a time as"),
    ("duration", "3.5", "must be seconds as"),
    ("duration", 3.5, "must be seconds as"),
    ("duration", ".5s", "must be seconds as"),
    ("duration", "1.0000000001s", "must be seconds as"),
    ("duration", "315576000001s", "from -315576000000s to 315576000000s"),
    ("value", float("inf"), "must be finite"),
    ("value", "\0", "has a NUL character"),
    ("any", {"b": 1}, 'must say what it is as "@type"'),
    ("any", {"@type": "x.Y"}, 'must say what it is as "@type"'),
    ("any", "x", "must be an object, not a string"),
    ("colour", "REED", 'there is no Colour "REED"; perhaps RED is meant'),
    ("colour", "red", 'there is no Colour "red"; perhaps RED is meant'),
    ("colour", 2, "there is no Colour of that number"),
    ("colour", True, "must be a Colour, by name or number, not a boolean"),
    ("list", 1, "must be a list, not a number"),
    ("map", [], "must be an object, not a list"),
    ("every", 1, "must be an object, not a number"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("sort", "value", "why"), REFUSED, ids=lambda value: ascii(value)[:30])
def test_a_value_that_is_not_of_the_type_is_refused(sort: str, value: Any, why: str) -> None:
    field, message = refusal(EVERY, "Every", {f"{sort}Field": value})
    assert field == f"{sort}Field"
    assert why in message


PLACES = [
    ({"listField": [1, "x"]}, "listField[1]"),
    ({"listField": [None]}, "listField[0]"),
    ({"mapField": {"a": True, "b": None}}, "mapField.b"),
    ({"mapField": {"a.b": 1}}, 'mapField["a.b"]'),
    ({"mapField": {"\ud800\0": True}}, r'mapField["\ud800\u0000"]'),
    ({"everyField": {"every_field": {"boolField": 1}}}, "everyField.every_field.boolField"),
    ({"valueField": {"a": [{"b": [float("nan")]}]}}, "valueField.a[0].b[0]"),
    ({"anyField": {"@type": "t/T", "a": "\0"}}, "anyField.a"),
    ({"everyField": {"nope": 1}}, "everyField.nope"),
    ({"leftHand": "", "rightHand": {}}, "rightHand"),
    ([], "body"),
]


@pytest.mark.parametrize(("body", "path"), PLACES, ids=lambda value: ascii(value)[:30])
def test_a_refusal_names_the_place(body: Any, path: str) -> None:
    assert refusal(EVERY, "Every", body)[0] == path
    field = "job" if path == "body" else f"job.{path}"
    assert refusal(EVERY, "Every", body, path="job")[0] == field


def test_a_place_in_googles_own_message() -> None:
    pools = [{"replicaCount": 1}, {"replicaCount": 1.5}]
    body = {"jobSpec": {"workerPoolSpecs": pools}}
    assert refusal(VERTEX, "CustomJob", body) == (
        "jobSpec.workerPoolSpecs[1].replicaCount",
        "must be a whole number, not a fraction",
    )


def test_an_unknown_field_is_refused_with_a_similar_name() -> None:
    assert refusal(VERTEX, "CustomJob", {"displayname": "x"}) == (
        "displayname",
        "there is no such field in CustomJob; perhaps displayName is meant",
    )
    assert refusal(VERTEX, "CustomJob", {"job_specs": {}})[1].endswith("perhaps jobSpec is meant")
    field, why = refusal(VERTEX, "Empty", {"x" * 100_000: 1})
    assert len(field) < 200
    assert why == "there is no such field in Empty"


def test_a_field_may_have_either_of_its_names_but_not_both() -> None:
    assert EVERY.parse("Every", {"left_hand": "x"}) == {"leftHand": "x"}
    for body in ({"left_hand": "x", "leftHand": "x"}, {"leftHand": "x", "left_hand": None}):
        why = "is given twice; the other name is leftHand"
        assert refusal(EVERY, "Every", body) == ("left_hand", why)


def test_null_means_absent_except_in_free_json() -> None:
    fields = {field: None for field in EVERY.fields("Every") if field != "valueField"}
    assert EVERY.parse("Every", fields) == {}
    assert EVERY.parse("Every", {"valueField": None}) == {"valueField": None}


def test_one_of_a_group_may_be_set() -> None:
    assert EVERY.parse("Every", {"leftHand": "", "rightHand": None}) == {"leftHand": ""}
    both: dict[str, Any] = {"trainingInput": {}, "predictionInput": {}}
    assert refusal(ML, "Job", both) == (
        "predictionInput",
        "is set, and so is trainingInput; set only one of them",
    )


def test_output_is_left_out_of_requests_unlooked_at_and_checked_in_reports() -> None:
    body = {"made_field": "nonsense", "everyField": {"madeField": []}, "boolField": True}
    assert EVERY.parse("Every", body) == {"everyField": {}, "boolField": True}
    assert EVERY.parse("Every", {"made_field": "3"}, output=True) == {"madeField": 3}
    assert refusal(EVERY, "Every", body, output=True)[0] == "made_field"


def test_the_body_itself_is_left_as_it_is() -> None:
    body = {"list_field": ["1"], "madeField": 1, "valueField": {"a": 2**60}}
    before = json.dumps(body)
    EVERY.parse("Every", body, output=True)
    assert json.dumps(body) == before


def test_a_name_that_no_message_has_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(KeyError):
        VERTEX.parse("CustomJobb", {})


@pytest.mark.parametrize("levels", [100, 10_000])
@pytest.mark.parametrize("field", ["valueField", "everyField", "anyField"])
def test_a_body_that_is_too_deep_is_refused(field: str, levels: int) -> None:
    body: Any = {"boolField": True}
    for _ in range(levels):
        body = {"every_field": body} if field == "everyField" else [body]
    whole = {"anyField": {"@type": "t/T", "a": body}} if field == "anyField" else {field: body}
    assert "messages deep, and Google" in refusal(EVERY, "Every", whole)[1]


# Whatever is said

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


@pytest.mark.slow
@given(
    st.dictionaries(
        st.sampled_from(sorted(EVERY.fields("Every"))) | st.text(max_size=3), JSON, max_size=4
    ),
    st.booleans(),
)
def test_any_json_is_either_refused_by_name_or_can_be_stored(body: Any, output: bool) -> None:
    try:
        parsed = EVERY.parse("Every", body, output=output)
    except InvalidFieldError as error:
        orjson.dumps([error.field, error.why])
    else:
        assert EVERY.parse("Every", parsed, output=output) == parsed
        stored = canonical.decode(canonical.encode(parsed))
        assert EVERY.parse("Every", stored, output=output) == parsed


def texts() -> st.SearchStrategy[str]:
    return st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4)


def whole_numbers(bits: int) -> st.SearchStrategy[Any]:
    numbers = st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return numbers | numbers.map(str) | st.integers(-(2**31), 2**31 - 1).map(float)


def fractions() -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=1, max_size=9).map(".{}".format) | st.just("")


def times() -> st.SearchStrategy[str]:
    offsets = st.sampled_from(["Z", "+00:00", "-08:00", "+05:45"])
    days = st.dates().filter(lambda day: 1 < day.year < 9999)
    return st.builds("{}T{:%H:%M:%S}{}{}".format, days, st.times(), fractions(), offsets)


def octets() -> st.SearchStrategy[str]:
    encoded = st.binary(max_size=5).map(b64encode) | st.binary(max_size=5).map(urlsafe_b64encode)
    return encoded.map(bytes.decode) | encoded.map(bytes.decode).map(lambda text: text.rstrip("="))


def numbers(width: Any) -> st.SearchStrategy[Any]:
    finite = st.floats(width=width, allow_nan=False, allow_infinity=False)
    return finite | finite.map(str) | st.integers(-(2**53), 2**53) | st.just("Infinity")


FREE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | texts()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts(), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip
VALID: Mapping[str, st.SearchStrategy[Any]] = {
    "any": st.just({"@type": "type.googleapis.com/google.protobuf.Duration", "value": "3s"}),
    "bool": st.booleans(),
    "bytes": octets(),
    "double": numbers(64),
    "duration": st.builds("{}{}s".format, st.integers(-(10**11), 10**11), fractions()),
    "float": numbers(32),
    "int32": whole_numbers(32),
    "int64": whole_numbers(64),
    "string": texts(),
    "timestamp": times(),
    "value": FREE,
}


@st.composite
def bodies(draw: st.DrawFn, api: Api, message: str, levels: int = 4) -> dict[str, Any]:
    """A message's body as a client may write it, with some fields of some levels."""
    fields = api.fields(message)
    names = (
        draw(st.lists(st.sampled_from(sorted(fields)), unique=True, max_size=5)) if fields else []
    )
    taken = [next((name for name in names if name in group), None) for group in api.oneofs(message)]
    body: dict[str, Any] = {}
    for name in names:
        others = [t for t, group in zip(taken, api.oneofs(message), strict=True) if name in group]
        if any(other != name for other in others):
            continue
        snake = re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", name)
        value = draw(values(api, fields[name], levels))
        if value is not ...:
            body[draw(st.sampled_from([name, snake]))] = value
    return body


def values(api: Api, type_: str, levels: int) -> st.SearchStrategy[Any]:
    """A type's values; Ellipsis for a message that would be one level too many."""
    if type_ in VALID:
        return VALID[type_]
    if type_[0] == "[":
        items = values(api, type_[1:-1], levels).filter(lambda item: item is not ...)
        return st.just([]) if levels == 0 else st.lists(items, max_size=2)
    if type_.startswith("map<"):
        items = values(api, type_[4:-1], levels).filter(lambda item: item is not ...)
        return st.just({}) if levels == 0 else st.dictionaries(texts(), items, max_size=2)
    if type_ in VERTEX_ENUMS:
        known = api.enum(type_)
        spelt = [*known, *known.values(), *map(str, known.values())]
        return st.sampled_from(spelt) if known else st.just(...)
    return st.just(...) if levels == 0 else bodies(api, type_, levels - 1)


VERTEX_ENUMS = json.loads((ROOT / "infra/google/wire/schemas/aiplatform_v1.json").read_text())[
    "enums"
]


@pytest.fixture(scope="module")
def google() -> Any:
    from google.cloud import aiplatform_v1

    return aiplatform_v1


@pytest.mark.slow
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(data=st.data())
@pytest.mark.parametrize("job", VERTEX_JOBS)
def test_googles_parser_reads_the_same_from_a_body_and_from_its_normal_form(
    google: Any, job: str, data: st.DataObject
) -> None:
    body = data.draw(bodies(VERTEX, job))
    try:
        parsed = VERTEX.parse(job, body, output=True)
    except InvalidFieldError as error:
        assert "(2^53 - 1)" in error.why  # Google's own parser rounds it.
        return

    assert VERTEX.parse(job, parsed, output=True) == parsed
    # Documents are newer than the client: it does not know all fields. Of a CustomJob it does.
    message, newer = getattr(google, job), job != "CustomJob"
    as_given, as_parsed = (
        message.from_json(json.dumps(form), ignore_unknown_fields=newer) for form in (body, parsed)
    )
    wire = [message.pb(one).SerializeToString(deterministic=True) for one in (as_given, as_parsed)]
    assert wire[0] == wire[1]
    # As its REST client would send it: numbers for enums, and every field that is empty.
    sent = json.loads(message.to_json(as_given))
    again = message.from_json(json.dumps(VERTEX.parse(job, sent, output=True)))
    assert message.pb(again).SerializeToString(deterministic=True) == wire[0]


@pytest.mark.slow
def test_names_in_the_protos_are_known(google: Any) -> None:
    seen: set[str] = set()
    todo = [getattr(google, job).pb().DESCRIPTOR for job in VERTEX_JOBS]
    while todo:
        message = todo.pop()
        if message.full_name in seen or not message.full_name.startswith("google.cloud"):
            continue
        seen.add(message.full_name)
        todo += [field.message_type for field in message.fields if field.message_type]
        name = message.full_name.removeprefix("google.cloud.aiplatform.v1.").replace(".", "")
        if not message.GetOptions().map_entry:
            # proto-plus puts an underscore behind what is a word of Python.
            names = {field.name.rstrip("_"): None for field in message.fields}
            assert VERTEX.parse(name, names, output=True) in ({}, dict.fromkeys(free_json(name)))
    assert len(seen) > 200


def free_json(message: str) -> list[str]:
    return [name for name, type_ in VERTEX.fields(message).items() if type_ == "value"]


GOOGLE_REFUSES = [
    {"nope": 1},
    {"displayName": 1},
    {"displayName": "a\ud800"},
    {"labels": []},
    {"labels": {"a": 1}},
    {"labels": {"a": None}},
    {"jobSpec": "x"},
    {"jobSpec": {"workerPoolSpecs": {}}},
    {"jobSpec": {"workerPoolSpecs": [None]}},
    {"jobSpec": {"workerPoolSpecs": [{"replicaCount": 1.5}]}},
    {"jobSpec": {"workerPoolSpecs": [{"replicaCount": "x"}]}},
    {"jobSpec": {"workerPoolSpecs": [{"replicaCount": True}]}},
    {"jobSpec": {"workerPoolSpecs": [{"replicaCount": 2**63}]}},
    {"jobSpec": {"workerPoolSpecs": [{"diskSpec": {"bootDiskSizeGb": 2**31}}]}},
    {"jobSpec": {"workerPoolSpecs": [{"containerSpec": {}, "pythonPackageSpec": {}}]}},
    {"jobSpec": {"workerPoolSpecs": [{"containerSpec": {"args": [1]}}]}},
    {"jobSpec": {"enableWebAccess": 1}},
    {"jobSpec": {"enableWebAccess": "true"}},
    {"jobSpec": {"scheduling": {"timeout": "3"}}},
    {"jobSpec": {"scheduling": {"timeout": "315576000001s"}}},
    {"jobSpec": {"scheduling": {"timeout": 3}}},
    {"jobSpec": {"scheduling": {"strategy": "NOPE"}}},
    {"createTime": "2026-01-31T12:00:00"},
    {"createTime": "2026-01-31t12:00:00Z"},
    {"createTime": "2026-02-30T12:00:00Z"},
    {"createTime": "0000-01-01T00:00:00Z"},
    {"createTime": 3},
    {"error": {"details": [{"value": "3s"}]}},
]


@pytest.mark.slow
@pytest.mark.parametrize("body", GOOGLE_REFUSES, ids=lambda value: ascii(value)[:60])
def test_bodies_that_googles_parser_refuses_are_refused(google: Any, body: Any) -> None:
    with pytest.raises(import_module("google.protobuf.json_format").ParseError):
        google.CustomJob.from_json(json.dumps(body))
    refusal(VERTEX, "CustomJob", body, output=True)


@pytest.mark.parametrize("nest", [deep, lambda levels: deep(levels, [[[1]]])])
def test_the_deepest_that_is_accepted_can_be_read_in_a_list(google: Any, nest: Any) -> None:
    job, levels = {"modelParameters": 1}, 0
    while levels < sys.getrecursionlimit():
        deeper = {"modelParameters": nest(levels + 1)}
        try:
            VERTEX.parse("BatchPredictionJob", deeper)
        except InvalidFieldError:
            break
        job, levels = deeper, levels + 1
    assert levels >= 25

    answer = google.ListBatchPredictionJobsResponse
    read = answer.from_json(json.dumps({"batchPredictionJobs": [job]}))
    assert answer.deserialize(answer.serialize(read)) == read
