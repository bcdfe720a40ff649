"""Each key stands for a tenant, and a tenant sees, talks to and cancels only its own programs."""

from collections.abc import AsyncIterator

import httpx
import pytest

from pie.client import AsyncClient
from pie.core.errors import PieError
from pie.protocol import LaunchBody, LimitsBody
from pie.server import ServerSettings
from pie.server.launches import to_launch
from pie.testing.serving import Served, serve_scripts

SETTINGS = ServerSettings(api_key="first", api_keys={"a1": "alice", "a2": "alice", "b": "bob"})


@pytest.fixture
async def shared() -> AsyncIterator[Served]:
    async with serve_scripts(settings=SETTINGS) as served:
        yield served


def client(served: Served, key: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=served.url, headers={"authorization": f"Bearer {key}"}, timeout=10)


async def launch(http: httpx.AsyncClient, name: str = "forever") -> str:
    answer = await http.post("/v1/instances", json={"program": name})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def test_a_launch_belongs_to_the_keys_tenant(shared: Served) -> None:
    for key, tenant in (("first", "default"), ("a1", "alice"), ("a2", "alice"), ("b", "bob")):
        async with client(shared, key) as http:
            found = shared.application.instance(await launch(http))
        assert found.launch.tenant == tenant


async def test_a_wrong_key_is_refused_beside_many(shared: Served) -> None:
    for key in ("a", "a11", "alice", "A1"):
        async with client(shared, key) as http:
            assert (await http.get("/v1/instances")).status_code == 401


async def test_another_tenants_programs_are_as_if_they_were_not_there(shared: Served) -> None:
    async with client(shared, "a1") as alice, client(shared, "a2") as alice_too, client(shared, "b") as bob:
        id = await launch(alice)
        assert (await bob.get("/v1/instances")).json() == {"instances": []}
        for method, path in (
            ("GET", ""),
            ("GET", "/events"),
            ("GET", "/logs"),
            ("POST", "/cancel"),
            ("POST", "/messages"),
        ):
            refused = await bob.request(method, f"/v1/instances/{id}{path}", json={"text": "x"})
            assert (refused.status_code, refused.json()["error"]["code"]) == (404, "not_found")
        assert [row["id"] for row in (await alice_too.get("/v1/instances")).json()["instances"]] == [id]
        assert (await alice_too.post(f"/v1/instances/{id}/cancel")).status_code == 202


async def test_over_a_session_too(shared: Served) -> None:
    async with AsyncClient(shared.url, "a1") as alice, AsyncClient(shared.url, "b") as bob:
        running = await alice.launch("forever")
        found = shared.application.instance(running.id)
        assert found.launch.tenant == "alice"
        with pytest.raises(PieError):
            await bob.cancel(running.id)
        assert found.finished_at is None


def test_a_launch_narrows_hosts_children_and_pages() -> None:
    body = LaunchBody(program="hello", limits=LimitsBody(hosts=["example.org"], children=0, pages=5))
    launch = to_launch(body, SETTINGS.limits, "alice")
    limits = launch.limits
    assert (limits.hosts, limits.children, limits.pages) == (("example.org",), 0, 5)


def test_a_launch_without_wishes_gets_what_the_server_gives() -> None:
    assert to_launch(LaunchBody(program="hello"), SETTINGS.limits, "alice").limits == SETTINGS.limits
