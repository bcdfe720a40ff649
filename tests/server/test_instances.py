"""`/v1/instances`: programs over plain HTTP."""

import json

import httpx
import pytest

from pie.core.errors import Overloaded
from pie.core.programs import Component, Launch, Source, Standard
from pie.testing.serving import Served


async def launch(http: httpx.AsyncClient, **body: object) -> str:
    answer = await http.post("/v1/instances", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/v1/instances/{answer.json()['id']}"
    return str(answer.json()["id"])


async def test_a_launched_program_tells_its_events_from_first_to_last(http: httpx.AsyncClient) -> None:
    id = await launch(http, program="hello")
    answer = await http.get(f"/v1/instances/{id}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    *blocks, done, rest = answer.text.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    events = [json.loads(block.partition("data: ")[2]) for block in blocks]
    assert events == [
        {"event": "started", "id": id},
        {"event": "log", "stream": "stdout", "text": "greeting\n"},
        {"event": "message", "text": "hello"},
        {"event": "finished", "result": "done"},
    ]


async def test_last_event_id_continues_a_broken_stream(http: httpx.AsyncClient) -> None:
    id = await launch(http, program="hello")
    answer = await http.get(f"/v1/instances/{id}/events", headers={"last-event-id": "3"})
    assert answer.text == 'id: 4\ndata: {"event":"finished","result":"done"}\n\ndata: [DONE]\n\n'


async def test_messages_and_blobs_reach_the_program_in_order(served: Served, http: httpx.AsyncClient) -> None:
    id = await launch(http, program="echo")
    binary = {"content-type": "application/octet-stream"}
    inbox = f"/v1/instances/{id}/messages"
    assert (await http.post(inbox, json={"text": "a"})).status_code == 202
    assert (await http.post(inbox, content=b"\x00", headers=binary)).status_code == 202
    assert (await http.post(inbox, json={"text": "stop"})).status_code == 202
    await served.application.instance(id).wait()
    text = (await http.get(f"/v1/instances/{id}/events")).text
    assert '{"event":"message","text":"a"}' in text
    assert '{"event":"blob","data":"AA=="}' in text


async def test_a_message_to_an_ended_program_is_a_conflict(served: Served, http: httpx.AsyncClient) -> None:
    id = await launch(http, program="hello")
    await served.application.instance(id).wait()
    answer = await http.post(f"/v1/instances/{id}/messages", json={"text": "late"})
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "wrong_state"


async def test_cancel_ends_a_program_and_may_be_repeated(served: Served, http: httpx.AsyncClient) -> None:
    id = await launch(http, program="forever")
    assert (await http.post(f"/v1/instances/{id}/cancel")).status_code == 202
    await served.application.instance(id).wait()
    assert (await http.post(f"/v1/instances/{id}/cancel")).status_code == 202
    assert (await http.get(f"/v1/instances/{id}")).json()["state"] == "cancelled"


async def test_the_listing_shows_running_and_ended_programs(served: Served, http: httpx.AsyncClient) -> None:
    ended, running = await launch(http, program="hello"), await launch(http, program="forever")
    await served.application.instance(ended).wait()
    rows = {row["id"]: row for row in (await http.get("/v1/instances")).json()["instances"]}
    assert rows[ended]["state"] == "finished"
    assert rows[ended]["finished_at"] >= rows[ended]["started_at"]
    assert (rows[running]["state"], rows[running]["finished_at"]) == ("running", None)


async def test_logs_give_what_was_printed_so_far_without_waiting_for_the_end(
    served: Served, http: httpx.AsyncClient
) -> None:
    id = await launch(http, program="echo")
    served.application.instance(id).log("thinking", "stderr")
    answer = await http.get(f"/v1/instances/{id}/logs")
    assert answer.json() == {"logs": [{"stream": "stderr", "text": "thinking"}]}


async def test_what_is_launched_is_what_was_asked_for(served: Served, http: httpx.AsyncClient) -> None:
    async def taken(**body: object) -> Launch:
        return served.application.instance(await launch(http, **body)).launch

    served.application.scripts |= {"source": served.application.scripts["hello"]}
    served.application.scripts |= {"component": served.application.scripts["hello"]}
    asked = await taken(program="hello", args=["--n", "1"], limits={"cpu_seconds": 2})
    assert (asked.program, asked.args, asked.limits.cpu_seconds) == (Standard("hello"), ("--n", "1"), 2)
    assert asked.limits.memory_bytes == served.service.settings.limits.memory_bytes
    assert (await taken(program="a" * 64)).program == Component("a" * 64)
    source = {"source": "x", "filename": "f.py", "first_line": 7, "entry": "go"}
    assert (await taken(**source)).program == Source("x", "f.py", 7, "go")


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"program": "nope"}, 404, None),
        ({}, 400, None),
        ({"program": "hello", "source": "x"}, 400, None),
        ({"program": 7}, 400, "program"),
        ({"program": "hello", "limits": {"memory_bytes": 0}}, 400, "limits.memory_bytes"),
        ({"program": "hello", "limits": {"memory_bytes": 1 << 60}}, 400, None),
        ({"program": "hello", "limits": {"disk": 1}}, 400, "limits"),
        ({"program": "hello", "colour": 1}, 400, None),
    ],
)
async def test_a_launch_that_asks_wrongly_is_refused_naming_the_field(
    http: httpx.AsyncClient, body: object, status: int, param: str | None
) -> None:
    answer = await http.post("/v1/instances", json=body)
    error = answer.json()["error"]
    assert answer.status_code == status
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["param"]) == ("caller_error", param)


async def test_a_component_is_uploaded_once_and_named_by_its_digest(
    served: Served, http: httpx.AsyncClient
) -> None:
    answer = await http.post("/v1/programs", content=b"\x00asm")
    assert (answer.status_code, answer.json()) == (201, {"program": "0" * 64})
    assert served.application.uploads == [b"\x00asm"]
    assert (await http.get("/v1/programs")).json() == {"programs": ["echo", "fail", "forever", "hello"]}


async def test_a_launch_beyond_what_the_server_takes_is_told_when_to_come_back(
    served: Served, http: httpx.AsyncClient
) -> None:
    served.application.refusal = Overloaded("too many programs: try again in 7 s", 6.5)
    answer = await http.post("/v1/instances", json={"program": "hello"})
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "7"
    assert answer.json()["error"]["code"] == "overloaded"
