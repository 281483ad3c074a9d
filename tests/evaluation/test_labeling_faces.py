"""Labeling over HTTP and on the command line: read, answered, exported, imported, refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from jobledger.infra.access.tokens import Role, Tokens
from jobledger.infra.evaluation.tasks.tasks import find_task

from tests.clients import refused
from tests.desks import Desk
from tests.labeling import BOXES, ask_people, box
from tests.servers import Server, new_server

JSON = {"content-type": "application/json"}


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    with server.client("/ledger/v1/") as client:
        yield client


def said(sample: int, label: Any) -> dict[str, Any]:
    return {"sample": sample, "answer": label}


def test_a_task_over_http_from_its_questions_to_its_end(
    http: httpx.Client, server: Server, project: str
) -> None:
    name = ask_people(server.ledger, "abc", truths=["cat"], project=project)
    [task] = http.get(f"{name}/labeling").json()["tasks"]
    assert task == {
        "job": name, "run": 1, "isOpen": True, "instruction": "Say what it is.", "dataType": "TEXT",
        "labels": ["cat", "dog", "bird"], "multiLabel": False, "boxes": False, "replicaCount": 1,
        "aggregation": "MAJORITY_VOTE", "questionCount": 2, "answerCount": 0,
    }  # fmt: skip
    first = http.get(f"{name}/labeling/1", params={"annotator": "ann", "pageSize": 1}).json()
    assert (first["answeredCount"], first["remainingCount"], first["annotator"]) == (0, 2, "ann")
    shown = {"kind": "text", "value": "b"}
    assert first["questions"] == [{"sample": 2, "data": {"text": "b"}, "shown": shown}]
    assert "cat" not in json.dumps(first["questions"])  # What the model said.
    rest = http.get(f"{name}/labeling/1", params={"after": 2}).json()
    assert [each["sample"] for each in rest["questions"]] == [3]
    body = {"annotator": "ann", "answers": [said(2, "cat"), said(3, "dog")]}
    assert http.post(f"{name}/labeling/1:answer", json=body).json() == {
        "kept": 2,
        "repeated": 0,
        "isOpen": False,
    }
    assert http.post(f"{name}/labeling/1:answer", json=body).json() == {
        "kept": 0,
        "repeated": 2,
        "isOpen": False,
    }
    late = http.post(f"{name}/labeling/1:answer", json=body | {"annotator": "bob"})
    assert refused(late)[:3] == (400, "FAILED_PRECONDITION", "TASK_CLOSED")
    assert http.get(f"{name}/labeling").json() == {"tasks": []}
    ended = http.get(f"{name}/labeling/1", params={"annotator": "bob"}).json()
    assert (ended["task"]["isOpen"], ended["questions"], ended["remainingCount"]) == (False, [], 0)


def test_refusals_have_their_codes(http: httpx.Client, server: Server, project: str) -> None:
    name = ask_people(server.ledger, "ab", project=project)
    path = f"{name}/labeling/1:answer"
    http.post(path, json={"annotator": "ann", "answers": [said(1, "cat")]})
    for who, label, status, reason in (
        ("ann", "dog", (409, "ALREADY_EXISTS"), "ANSWERED_TWICE"),
        ("bob", "dog", (400, "FAILED_PRECONDITION"), "ENOUGH_ANSWERS"),
    ):
        refusal = refused(http.post(path, json={"annotator": who, "answers": [said(1, label)]}))
        assert refusal[:3] == (*status, reason)
        assert "sample 1" in refusal.message
    for missing in (f"{name}/labeling/2", f"projects/{project}/evaluationJobs/none/labeling/1"):
        assert refused(http.get(missing))[:2] == (404, "NOT_FOUND")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("x", "body"),
        ([], "body"),
        ({}, "body"),
        ({"answers": {}}, "body"),
        ({"answers": [], "more": 1}, "body"),
        ({"answers": []}, "annotator"),
        ({"annotator": 7, "answers": []}, "annotator"),
        ({"annotator": "", "answers": []}, "annotator"),
        ({"annotator": "a", "answers": [7]}, "answers[0]"),
        ({"annotator": "a", "answers": [{"sample": 1}]}, "answers[0]"),
        ({"annotator": "a", "answers": [said(1, "cat") | {"sample": True}]}, "answers[0].sample"),
        ({"annotator": "a", "answers": [said(1, "cat"), said(1, "cat")]}, "answers[1].sample"),
        ({"annotator": "a", "answers": [said(n, "cat") for n in range(1_001)]}, "answers"),
        ({"annotator": "a", "answers": [said(1, "cat"), said(2, "horse")]}, "answers.2"),
        ({"annotator": "a", "answers": [said(1, "cat"), said(2**60, "cat")]}, f"answers.{2**60}"),
    ],
)
def test_an_unreadable_item_is_refused_with_its_path(
    http: httpx.Client, server: Server, project: str, body: Any, field: str
) -> None:
    name = ask_people(server.ledger, "ab", project=project)
    content = body if isinstance(body, str) else json.dumps(body)
    refusal = refused(http.post(f"{name}/labeling/1:answer", content=content, headers=JSON))
    assert refusal[:2] == (400, "INVALID_ARGUMENT")
    assert refusal.message.startswith(f"{field}:")
    assert find_task(server.ledger.reader, name, 1).answer_count == 0


@pytest.mark.parametrize("run", ["x", "-1", "0x1", "9" * 10, "²"])
def test_a_run_is_a_number(http: httpx.Client, server: Server, project: str, run: str) -> None:
    name = ask_people(server.ledger, "a", project=project)
    assert refused(http.get(f"{name}/labeling/{run}")).message.startswith("run:")
    assert refused(http.post(f"{name}/labeling/{run}:import", json=[])).message.startswith("run:")


def test_label_studio_there_and_back(http: httpx.Client, server: Server, project: str) -> None:
    name = ask_people(server.ledger, "ab", project=project)
    given = http.get(f"{name}/labeling/1:export").json()
    assert given["config"].startswith("<View>")
    result = [{"type": "choices", "value": {"choices": ["cat"]}}]
    for task in given["tasks"]:
        task["annotations"] = [{"completed_by": {"email": "a@b.c"}, "result": result}]
    path = f"{name}/labeling/1:import"
    assert http.post(path, json=given["tasks"]).json() == {
        "kept": 2,
        "repeated": 0,
        "isOpen": False,
    }
    assert http.post(path, json=given["tasks"]).json() == {
        "kept": 0,
        "repeated": 2,
        "isOpen": False,
    }
    broken = refused(http.post(path, json=[{"data": {}}]))
    assert (broken.status, broken.message.partition(":")[0]) == (
        "INVALID_ARGUMENT",
        "tasks[0].annotations",
    )
    assert refused(http.post(path, content="{", headers=JSON)).message.startswith(
        "body: is not JSON"
    )


@pytest.mark.slow
def test_with_tokens_the_annotator_is_the_token(dsn: str) -> None:
    with new_server(dsn) as server:
        tokens = Tokens(server.ledger.pool)
        secrets = {
            role: tokens.create(f"my-{role}", role, "p") for role in (Role.READER, Role.REPORTER)
        }
        stranger = tokens.create("other", Role.ADMIN, "other")
        name = ask_people(server.ledger, "ab", replicas=3)
        path = f"/ledger/v1/{name}/labeling/1"
        body = {"answers": [said(1, "cat")]}

        def bearer(secret: str) -> dict[str, str]:
            return {"authorization": f"Bearer {secret}"}

        reader, reporter = (bearer(secret) for secret in secrets.values())
        with server.client() as client:
            assert refused(client.get(path)).status == "UNAUTHENTICATED"
            assert refused(client.get(path, headers=bearer(stranger))).status == "PERMISSION_DENIED"
            assert client.get(path, headers=reader).json()["annotator"] == "my-reader"
            for verb, sent in (("answer", body), ("import", [])):
                denied = client.post(f"{path}:{verb}", json=sent, headers=reader)
                assert refused(denied).status == "PERMISSION_DENIED"
            false = client.post(
                f"{path}:answer", json=body | {"annotator": "bob"}, headers=reporter
            )
            assert refused(false).message.startswith("annotator:")
            assert client.post(f"{path}:answer", json=body, headers=reporter).json()["kept"] == 1
            [task, _] = client.get(f"{path}:export", headers=reader).json()["tasks"]
            result = [{"type": "choices", "value": {"choices": ["dog"]}}]
            task["annotations"] = [{"completed_by": "my-reporter", "result": result}]
            assert client.post(f"{path}:import", json=[task], headers=reporter).json()["kept"] == 1
        with server.ledger.connection() as connection:
            rows = connection.execute("SELECT annotator FROM answers ORDER BY time").fetchall()
        assert rows == [("my-reporter",), ("my-reporter/my-reporter",)]


@pytest.mark.slow
def test_the_command_line_shows_and_answers(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    name = ask_people(
        desk.ledger, ["first text", "second"], multi_label=True, labels=["a", "b", "c,d"]
    )
    assert desk.run("label", "tasks", name) == 0
    assert "Say what it is." in capsys.readouterr().out
    assert desk.run("label", "tasks", name, "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["questionCount"] == 2
    assert desk.run("--project", "p", "label", "show", name.rpartition("/")[2]) == 0
    assert "first text" in capsys.readouterr().out
    assert desk.run("label", "answer", name, "--run", "1", "--as", "ann", "1=a,b", "2=c,d") == 0
    assert capsys.readouterr().out == "2 kept, 0 known already; the task is closed\n"
    with desk.ledger.connection() as connection:
        rows = connection.execute("SELECT answer FROM answers ORDER BY sample").fetchall()
    assert rows == [('["a","b"]',), ('["c,d"]',)]
    assert desk.run("label", "show", name, "--run", "1", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [["1"], ["x=a"], ["=a"], ["1=cat", "1=dog"], ["1=horse"], ["7=cat"]]
)
def test_the_command_line_refuses_in_one_sentence(
    desk: Desk, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    name = ask_people(desk.ledger, "ab")
    assert desk.run("label", "answer", name, "--as", "ann", *words) == 2
    assert capsys.readouterr().err.startswith("jobledger: answers")


@pytest.mark.slow
def test_boxes_and_files_on_the_command_line(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    name = ask_people(desk.ledger, "ab", annotation=BOXES)
    boxes = json.dumps([box("cat", 0, 0, 0.5, 0.5)])
    assert desk.run("label", "answer", name, "--as", "ann", f"1={boxes}") == 0
    assert desk.run("label", "answer", name, "--as", "ann", "2=cat") == 2
    capsys.readouterr()
    assert desk.run("label", "export", name, "--config") == 0
    assert "RectangleLabels" in capsys.readouterr().out
    assert desk.run("label", "export", name) == 0
    [task] = json.loads(capsys.readouterr().out)
    file = desk.folder / "export.json"
    file.write_text(json.dumps([task | {"annotations": [{"completed_by": 1, "result": []}]}]))
    assert desk.run("label", "import", name, str(file)) == 0
    assert capsys.readouterr().out == "1 kept, 0 known already; the task is closed\n"
    assert desk.run("label", "import", name, str(file)) == 2
    assert "has no open task; --run names a closed one" in capsys.readouterr().err
    assert desk.run("label", "import", name, str(file), "--run", "1") == 0
    file.write_text("[\n{")
    assert desk.run("label", "import", name, str(file), "--run", "1") == 2
    assert desk.run("label", "import", name, str(desk.folder / "none"), "--run", "1") == 2
    assert "export.json, line 2: is not JSON" in capsys.readouterr().err
