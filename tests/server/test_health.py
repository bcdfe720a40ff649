"""Alive, ready, or why not."""

import httpx

from pie.core.errors import Unavailable
from pie.server import Listener, ServerSettings, Service, bind, make_app
from pie.testing.serving import Served


async def test_a_server_that_loads_is_alive_but_not_ready() -> None:
    settings = ServerSettings(port=0)
    listener = Listener(make_app(Service(settings)), bind(settings), settings)
    async with listener.serving(), httpx.AsyncClient(base_url=listener.url) as http:
        assert (await http.get("/livez")).status_code == 200
        ready = await http.get("/readyz")
        assert ready.status_code == 503
        assert "loading" in ready.json()["reasons"][0]
        launch = await http.post("/v1/instances", json={"program": "hello"})
        assert launch.status_code == 503
        assert launch.headers["retry-after"]


async def test_readyz_says_why_no_program_can_start(served: Served, http: httpx.AsyncClient) -> None:
    assert (await http.get("/readyz")).json() == {"status": "ready"}
    served.blockers.append("the driver died")
    answer = await http.get("/readyz")
    assert (answer.status_code, answer.json()["reasons"]) == (503, ["the driver died"])
    assert (await http.get("/health")).status_code == 503


async def test_a_draining_server_takes_no_new_work_and_still_tells_of_the_old(
    served: Served, http: httpx.AsyncClient
) -> None:
    id = (await http.post("/v1/instances", json={"program": "echo"})).json()["id"]
    served.service.drain()
    assert (await http.get("/readyz")).json()["status"] == "draining"
    refused = await http.post("/v1/instances", json={"program": "hello"})
    assert refused.status_code == 503
    assert "shutting down" in refused.json()["error"]["message"]
    assert (await http.post("/v1/programs", content=b"x")).status_code == 503
    await http.post(f"/v1/instances/{id}/messages", json={"text": "stop"})
    assert "stopped" in (await http.get(f"/v1/instances/{id}/events")).text


def test_a_service_without_a_backend_says_unavailable() -> None:
    service = Service(ServerSettings())
    try:
        service.application()
    except Unavailable as error:
        assert "loading" in str(error)


async def test_the_version_and_the_models_are_told(http: httpx.AsyncClient) -> None:
    assert (await http.get("/version")).json()["name"] == "pie"
    model = (await http.get("/v1/models")).json()["data"][0]
    assert (model["id"], model["object"], model["page_size"]) == ("scripted", "model", 16)


async def test_metrics_are_in_the_text_format_of_prometheus(http: httpx.AsyncClient) -> None:
    await http.post("/v1/instances", json={"program": "forever"})
    answer = await http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert answer.text == (
        "# HELP pie_instances Programs\n"
        "# TYPE pie_instances gauge\n"
        'pie_instances{tenant="default",odd="a\\"b\\\\c"} 1\n'
    )
