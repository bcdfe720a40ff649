"""What programs reach from the sandbox besides the model: the network, topics, the store."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sandbox import MODEL, Sandbox, make_application, make_control, message, shared_home
from web import Web, serve_web

from pie.application.egress_hosts import parse_patterns
from pie.application.egress_settings import EgressSettings
from pie.application.store import StoreSettings
from pie.core.errors import InvalidArgument, NotFound
from pie.core.events import Failed, Finished
from pie.core.programs import Launch, Limits, Source

pytestmark = pytest.mark.wasm


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with serve_web() as web:
        web.answer("/", b'{"a": [1, 2]}', "200 OK", "content-type: application/json")
        yield web


@pytest.fixture
async def open_sandbox(web: Web, tmp_path: Path) -> AsyncIterator[Sandbox]:
    """Programs may talk to the test's own web server; the store is on disk."""
    control, driver = make_control()
    egress = EgressSettings(private_hosts=parse_patterns([f"127.0.0.1:{web.port}"]), seconds=5)
    application = make_application(control, shared_home(), egress=egress, store=StoreSettings(tmp_path))
    await application.start()
    yield Sandbox(application, control, driver)
    hoard = application._parts().services.hoard
    topics = application._parts().services.topics
    await application.close(grace_seconds=0)
    control.check_integrity()
    assert (hoard.held, len(topics)) == (0, 0)


async def launch(sandbox: Sandbox, text: str, tenant: str = "default") -> Finished | Failed:
    return await sandbox.application.launch(Launch(Source(text, "mine.py"), tenant=tenant)).wait()


HTTP = "import asyncio\nfrom inferlet import http, raw\n"


async def test_a_program_gets_and_posts(open_sandbox: Sandbox, web: Web) -> None:
    text = HTTP + (
        "async def main(url: str):\n"
        "    got = (await http.get(url, headers={'x-mine': 'yes'})).raise_for_status().json()\n"
        "    posted = await http.post(url, json={'é': 1})\n"
        "    u = raw.usage()\n"
        "    return [got, posted.status, u.bytes_in, u.bytes_out > 20]\n"
    )
    assert await open_sandbox.result(text, "--url", web.url) == '[{"a": [1, 2]}, 200, 26, true]'
    assert web.asked[0].header("x-mine") == "yes"
    assert json.loads(web.asked[1].body) == {"é": 1}
    assert web.asked[1].header("content-type") == "application/json"


async def test_bodies_of_any_bytes_cross_the_wall(open_sandbox: Sandbox, web: Web) -> None:
    web.answer("/bytes", bytes(range(256)) * 4096)
    text = HTTP + (
        "async def main(url: str):\n"
        "    body = (await http.get(url)).body\n"
        "    return body == bytes(range(256)) * 4096 and (await http.post(url, data=body[:1000])).status\n"
    )
    assert await open_sandbox.result(text, "--url", f"{web.url}/bytes") == "200"
    assert web.asked[1].body == bytes(range(256)) * 3 + bytes(range(232))


async def test_without_leave_nothing_is_reached_and_the_line_is_named(sandbox: Sandbox) -> None:
    failed = await sandbox.failure(HTTP + "async def main():\n    await http.get('http://127.0.0.1:1/')\n")
    assert "mine.py, line 4: NotPermitted: programs may not talk to 127.0.0.1:1" in failed.message
    assert "allow_hosts" in failed.message


async def test_a_launch_that_narrows_hosts_is_obeyed(open_sandbox: Sandbox, web: Web) -> None:
    text = HTTP + "async def main(url: str):\n    await http.get(url)\n"
    failed = await open_sandbox.failure(text, "--url", web.url, limits=Limits(hosts=()))
    assert "its launch does not allow it" in failed.message
    with pytest.raises(InvalidArgument, match="no pattern of hosts"):
        open_sandbox.launch(text, limits=Limits(hosts=("http://x/",)))


async def test_many_requests_at_once_and_one_that_is_given_up(open_sandbox: Sandbox, web: Web) -> None:
    async def never(asked: object, writer: object) -> None:
        del writer
        await asked.client_left()  # type: ignore[attr-defined]

    web.pages["/never"] = never
    text = HTTP + (
        "async def main(url: str):\n"
        "    pages = await asyncio.gather(*(http.get(url) for _ in range(20)))\n"
        "    try:\n"
        "        async with asyncio.timeout(0.05): await http.get(url + '/never')\n"
        "    except TimeoutError:\n"
        "        return sum(page.ok for page in pages)\n"
    )
    assert await open_sandbox.result(text, "--url", web.url) == "20"


async def test_a_program_that_ends_takes_its_requests_with_it(open_sandbox: Sandbox, web: Web) -> None:
    left: list[bool] = []

    async def never(asked: object, writer: object) -> None:
        del writer
        await asked.client_left()  # type: ignore[attr-defined]
        left.append(True)

    web.pages["/never"] = never
    text = HTTP + (
        "from inferlet import send\n"
        "async def main(url: str):\n"
        "    asking = [raw.http_get(url + '/never') for _ in range(3)]\n"
        "    send('asked')\n"
        "    await asking[0]\n"
    )
    instance = open_sandbox.launch(text, "--url", web.url)
    await message(instance)
    instance.cancel()
    await open_sandbox.quiet()
    assert open_sandbox.application._parts().services.egress._tasks == set()


TOPIC = "import asyncio\nfrom inferlet import receive, send, topic\n"
LISTEN = TOPIC + (
    "async def main(count: int):\n"
    "    with topic('news').subscribe() as news:\n"
    "        send('up')\n"
    "        return [await news.receive() for _ in range(count)]\n"
)


async def test_programs_talk_over_topics_and_slow_ones_push_back(open_sandbox: Sandbox) -> None:
    listeners = [open_sandbox.launch(LISTEN, "--count", "500") for _ in range(3)]
    for listener in listeners:
        await message(listener)
    sender = TOPIC + (
        "async def main():\n    for i in range(500): await topic('news').publish({'number': i})\n"
    )
    assert await open_sandbox.result(sender) == ""
    for listener in listeners:
        ended = await listener.wait()
        assert isinstance(ended, Finished), ended
        assert [each["number"] for each in json.loads(ended.result)] == list(range(500))


async def test_a_listener_that_is_cancelled_lets_publishers_go_on(open_sandbox: Sandbox) -> None:
    deaf = TOPIC + (
        "async def main():\n"
        "    with topic('news').subscribe():\n        send('up')\n        await receive()\n"
    )
    listener = open_sandbox.launch(deaf)
    await message(listener)
    text = TOPIC + "async def main():\n    for i in range(100): await topic('news').publish(i)\n"
    sender = open_sandbox.launch(text)
    await open_sandbox.quiet()
    assert not sender.over
    listener.cancel()
    assert await sender.wait() == Finished("")


STORE = "from inferlet import store\n"


async def test_values_are_there_for_the_next_program(open_sandbox: Sandbox) -> None:
    assert await open_sandbox.result(STORE + "store.set('runs', [1, 'ä'])\ndef main(): pass") == ""
    assert await open_sandbox.result(STORE + "def main():\n    return store.get('runs')") == '[1, "ä"]'


async def test_concurrent_programs_lose_nothing(open_sandbox: Sandbox) -> None:
    text = STORE + "def main(n: int):\n    for i in range(5): store.set(f'{n}/{i}', i)\n"
    instances = [open_sandbox.launch(text, "--n", str(n)) for n in range(8)]
    for instance in instances:
        assert await instance.wait() == Finished("")
    assert await open_sandbox.result(STORE + "def main():\n    return len(store.keys())") == "40"


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("store.set('', 1)", "InvalidArgument: a key has 1 to 1024 bytes, not 0"),
        ("store.set('k', 'x' * 2000000)", "LimitExceeded: a value of"),
    ],
)
async def test_values_have_bounds(open_sandbox: Sandbox, call: str, error: str) -> None:
    failed = await open_sandbox.failure(f"{STORE}def main():\n    {call}\n")
    assert f"mine.py, line 3: {error}" in failed.message


async def test_tenants_do_not_meet(open_sandbox: Sandbox) -> None:
    app = open_sandbox.application
    await launch(open_sandbox, STORE + "def main():\n    store.set('key', 'secret')", "alice")
    hers = await launch(open_sandbox, STORE + "def main():\n    return store.get('key')", "alice")
    look = STORE + "def main():\n    return [store.get('key'), store.keys()]"
    his = await launch(open_sandbox, look, "bob")
    assert (hers, his) == (Finished("secret"), Finished("[null, []]"))

    listener = app.launch(Launch(Source(LISTEN), ("--count", "1"), tenant="alice"))
    await message(listener)
    say = TOPIC + "async def main():\n    await topic('news').publish('{}')\n"
    await launch(open_sandbox, say.format("from bob"), "bob")
    await launch(open_sandbox, say.format("from alice"), "alice")
    assert await listener.wait() == Finished('["from alice"]')

    assert {each.tenant for each in app.instances("alice")} == {"alice"}
    assert app.instance(listener.id, "alice") is listener
    with pytest.raises(NotFound):
        app.instance(listener.id, "bob")


async def test_a_child_belongs_to_its_parents_tenant(open_sandbox: Sandbox) -> None:
    text = STORE + (
        "from inferlet import spawn\n"
        "def work():\n    store.set('from', 'child')\n"
        "async def main():\n    await spawn(work)\n    return store.get('from')\n"
    )
    assert await launch(open_sandbox, text, "alice") == Finished("child")
    assert {each.tenant for each in open_sandbox.application.instances()} == {"alice"}


async def test_usage_says_what_was_used_and_what_is_left(sandbox: Sandbox) -> None:
    text = (
        "from inferlet import raw, send\n"
        "async def main():\n"
        f"    q = raw.create_queue({MODEL!r})\n"
        "    raw.alloc_kvpage(q, [1, 2]); raw.alloc_emb(q, [1]); raw.embed_txt(q, [1], [0], [1])\n"
        "    raw.forward(q, [], [1], [1], 0, [])\n"
        "    send('12345')\n"
        "    kept = raw.sleep(10_000)\n"
        "    await raw.synchronize(q)\n"
        "    u = raw.usage()\n"
        "    return [u.pages, u.embs, u.tokens, u.bytes_out, u.bytes_in, u.pages_left, u.children,\n"
        "        u.children_left, u.calls_left <= 49, u.host_calls > 8, u.page_seconds >= 0,\n"
        "        u.compute_ms >= 0, u.cpu_ms > 0, 0 < u.cpu_ms_left < 3000,\n"
        "        u.wall_ms + u.wall_ms_left > 9999]\n"
    )
    limits = Limits(pages=6, calls_in_flight=50, children=3, cpu_seconds=3, wall_seconds=10)
    ended = await sandbox.run(text, limits=limits)
    assert isinstance(ended, Finished), ended
    assert json.loads(ended.result) == [1, 1, 1, 5, 0, 4, 0, 3, *[True] * 7]


async def test_pages_are_bounded_by_the_launch_and_come_back_when_they_are_freed(sandbox: Sandbox) -> None:
    text = (
        "from inferlet import raw\n"
        "from inferlet.errors import LimitExceeded\n"
        "async def main():\n"
        f"    q = raw.create_queue({MODEL!r})\n"
        "    raw.alloc_kvpage(q, [1, 2, 3])\n"
        "    try:\n        raw.fork_kvpage(q, [1], [4])\n"
        "    except LimitExceeded as error:\n        said = str(error)\n"
        "    raw.dealloc_kvpage(q, [3])\n"
        "    raw.fork_kvpage(q, [1], [4])\n"
        "    return said\n"
    )
    ended = await sandbox.run(text, limits=Limits(pages=3))
    assert isinstance(ended, Finished), ended
    assert "1 more pages would be more than the 3 that this program was launched with" in ended.result


@pytest.mark.parametrize("call", [f"raw.num_embs_needed({MODEL!r}, 10, 10)", "raw.embed_img(q, b'', [], [])"])
async def test_a_model_that_cannot_see_says_what_it_offers_instead(sandbox: Sandbox, call: str) -> None:
    text = f"from inferlet import raw\ndef main():\n    q = raw.create_queue({MODEL!r})\n    {call}\n"
    failed = await sandbox.failure(text)
    assert f"trait not available: {MODEL} has no input-image; it offers core-runtime" in failed.message
