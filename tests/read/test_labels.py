"""Labels of Vertex AI and of Kubernetes, and what Google's APIs show of the latter."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.filters import Restriction
from jobledger.domain.values.labels import (
    from_google,
    google_key,
    google_labels,
    google_value,
    nearest,
    parse_google_labels,
    parse_labels,
)
from jobledger.infra import Ledger
from jobledger.infra.read.lists.filter_fields import GOOGLE_LABELS

PART = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
PREFIX = st.lists(PART, min_size=1, max_size=4).map(".".join)
NAME = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", fullmatch=True)
BARE = st.from_regex(r"[a-z]([a-z0-9_.-]{0,20}[a-z0-9])?", fullmatch=True)
KEY = BARE | st.builds("{}/{}".format, PREFIX, NAME) | st.sampled_from(["größe", "チーム"])
VALUE = st.just("") | NAME | st.sampled_from(["検索", "a_-", "v1.2.3", "Helm"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("app.kubernetes.io/name", "ads"),
        ("app.kubernetes.io/version", "v1.28.3-rc.1"),
        ("app.kubernetes.io/managed-by", "Helm"),
        ("batch.kubernetes.io/job-name", "etl-28391040"),
        ("kueue.x-k8s.io/queue-name", "gpu_A100"),
        ("io.kompose.service", "web"),
        ("pod-template-hash", "6d4cf56db6"),
        ("controller-uid", "5f1c2d3e-0000-4a4a-9b9b-000000000000"),
    ],
)
def test_labels_of_kubernetes_are_recorded_found_and_counted(
    ledger: Ledger, key: str, value: str
) -> None:
    job = ledger.create("projects/p/jobs/a", labels={key: value})
    assert job.labels == {key: value}
    for filter_ in (f"labels.{key} = {value}", f'labels."{key}" = "{value}"', f"labels:{key}"):
        assert [job.name for job in ledger.list(filter_)] == ["projects/p/jobs/a"]
    assert ledger.count(f"labels.{key}").counts == {value: 1}
    assert ledger.list(f"NOT labels:{key}") == []


@pytest.mark.slow
@given(st.dictionaries(KEY, VALUE, max_size=20))
def test_they_are_taken_as_they_are_and_shown_to_google_as_it_takes_them(
    labels: dict[str, str],
) -> None:
    assert parse_labels(labels) == labels
    shown = google_labels(labels)
    assert parse_google_labels(shown) == shown
    assert from_google(shown, labels).items() <= labels.items() or len(shown) < len(labels)


@pytest.mark.slow
@given(st.dictionaries(KEY, VALUE, max_size=8), BARE.filter(lambda key: "." not in key))
def test_labels_set_through_google_keep_the_others(labels: dict[str, str], key: str) -> None:
    set_ = google_labels(labels) | {key: "new"}
    after = from_google(set_, labels)
    assert after[key] == "new" or labels.get(key) == "new"
    assert google_labels(after) == set_


@pytest.mark.slow
@given(st.text(max_size=100), st.text(max_size=100))
def test_there_is_a_nearest_label_to_anything(key: str, value: str) -> None:
    found = nearest(key, value)
    assert parse_labels(dict([found])) == dict([found])
    assert nearest(*found) == found


@pytest.mark.parametrize(
    "labels",
    [{"Team": "a"}, {"a/b/c": "x"}, {"/a": "x"}, {"a/": "x"}, {"A.io/x": "y"}, {"a": "-b.c"},
     {"x.io/" + "n" * 64: ""}, {"p" * 254 + "/a": ""}, {"a": "b c"}],
)  # fmt: skip
def test_an_invalid_label_is_refused_with_the_valid_forms(labels: dict[str, str]) -> None:
    with pytest.raises(InvalidFieldError, match="letters"):
        parse_labels(labels)


def test_googles_apis_accept_only_their_own_labels() -> None:
    for labels in ({"a.b/c": "x"}, {"a": "V1"}, {"a.b": "x"}):
        with pytest.raises(InvalidFieldError):
            parse_google_labels(labels)


@pytest.mark.slow
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(key=KEY, value=VALUE)
def test_the_server_maps_them_as_python_does(ledger: Ledger, key: str, value: str) -> None:
    from jobledger.infra.read.lists.filter_sql import Rendering

    rendering = Rendering()
    field = Restriction((GOOGLE_LABELS, google_key(key)), "=", google_value(value))
    statement = rendering.condition(field)
    with ledger.connection() as connection:
        from psycopg.sql import SQL
        from psycopg.types.json import Jsonb

        row = connection.execute(
            SQL("SELECT {} FROM (SELECT {}::jsonb AS labels) AS jobs").format(
                statement, rendering.parameter(Jsonb({key: value}))
            ),
            rendering.parameters,
        ).fetchone()
    assert row == (True,)
