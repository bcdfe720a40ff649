"""What programs and tenants may use up, with programs in the sandbox."""

import json

import pytest
from sandbox import MODEL, Sandbox, make_application, make_control, message, shared_home

from pie.application.admission import AdmissionSettings
from pie.control import Control, ControlSettings
from pie.core.errors import Overloaded
from pie.core.events import Failed
from pie.core.programs import Launch, Limits, Quota, Source
from pie.loop_clock import LoopClock

pytestmark = pytest.mark.wasm

LEFT = """
import json
from inferlet import raw, send

def main():
    send("x" * 100)
    left = raw.usage()
    names = "tokens", "compute_ms", "page_seconds", "host_calls", "bytes_out"
    return json.dumps({name: getattr(left, name + "_left") for name in names})
"""
SEND = """
from inferlet import send

def main():
    for _ in range(100):
        send("x" * 100)
"""
CALLS = """
import inferlet.host
host = inferlet.host.bound.host

def main():
    while True:
        host.runtime.now()
"""
SPAWN = """
from inferlet import spawn

def loud(size: int) -> None:
    from inferlet import send
    send("x" * size)

async def main():
    await spawn(loud, 600, share=1)
    await spawn(loud, 600, share=1)
"""
HOLD = f"""
from inferlet import raw, send

async def main():
    queue = raw.create_queue({MODEL!r})
    raw.alloc_kvpage(queue, range(8))
    raw.alloc_emb(queue, [0])
    raw.embed_txt(queue, [5], [0], [0])
    raw.forward(queue, [], [0], [0], 0, [], [], None)
    await raw.synchronize(queue)
    send("holds")
    await raw.sleep(60_000)
"""


async def test_usage_tells_what_is_left_and_nothing_where_there_is_no_limit(sandbox: Sandbox) -> None:
    assert set(json.loads(await sandbox.result(LEFT)).values()) == {None}
    limits = Limits(tokens=50, compute_ms=7.5, page_seconds=3, host_calls=1000, bytes_out=300)
    ended = await sandbox.run(LEFT, limits=limits)
    left = json.loads(ended.result)  # type: ignore[union-attr]
    assert (left["tokens"], left["compute_ms"], left["page_seconds"], left["bytes_out"]) == (50, 7.5, 3, 200)
    assert 900 < left["host_calls"] < 1000


async def test_a_program_that_sends_more_than_it_may_gets_an_error_of_the_call(sandbox: Sandbox) -> None:
    failed = await sandbox.failure(SEND, limits=Limits(bytes_out=1000))
    assert failed.reason == "limit"
    assert "mine.py, line 6: LimitExceeded" in failed.message
    assert "has used 1000 of its 1000 bytes sent (bytes_out), and 100 more are asked for" in failed.message


async def test_a_program_that_makes_more_host_calls_than_it_may_is_ended(sandbox: Sandbox) -> None:
    failed = await sandbox.failure(CALLS, limits=Limits(host_calls=5000))
    assert failed.reason == "limit"
    assert "of its 5000 host calls (host_calls)" in failed.message


async def test_children_send_on_their_parents_budget(sandbox: Sandbox) -> None:
    failed = await sandbox.failure(SPAWN, limits=Limits(bytes_out=1000))
    assert "ChildFailed" in failed.message
    assert "bytes_out" in failed.message


async def test_a_program_that_holds_pages_for_too_long_is_ended(sandbox: Sandbox) -> None:
    holding = sandbox.launch(HOLD, limits=Limits(page_seconds=1e-6))
    assert await message(holding) == "holds"
    holding.charge_pages()
    ended = await holding.wait()
    assert isinstance(ended, Failed)
    assert ended.reason == "limit"
    assert "page-seconds (page_seconds)" in ended.message


async def test_a_tenant_that_has_used_up_its_quota_is_refused_until_the_next_period() -> None:
    settings = ControlSettings(quotas={"x": Quota(bytes_out=500)}, quota_seconds=100.0)
    control = Control(settings, LoopClock())
    application = make_application(control, shared_home())
    await application.start()
    launch = Launch(Source(SEND), tenant="x")
    ended = await application.launch(launch).wait()
    assert isinstance(ended, Failed)
    assert "tenant x has used 500 of its 500 bytes sent" in ended.message
    with pytest.raises(Overloaded, match="tenant x has used 500") as refused:
        application.launch(launch)
    assert 90 < refused.value.retry_after <= 100
    assert application.statistics().rejected == {"quota": 1}
    other = application.launch(Launch(Source("def main():\n    return 'fine'"), tenant="y"))
    assert not isinstance(await other.wait(), Failed)
    await application.close(grace_seconds=0)


async def test_a_tenant_has_so_many_programs_and_so_many_spawned_ones_at_a_time() -> None:
    admission = AdmissionSettings(quotas={"x": Quota(programs=2, children=0)})
    application = make_application(make_control()[0], shared_home(), admission=admission)
    await application.start()
    endless = Launch(Source("def main():\n    while True: pass"), tenant="x")
    running = [application.launch(endless) for _ in range(3)]
    assert [each.state for each in running] == ["starting", "starting", "waiting"]
    for each in running:
        each.cancel()
    ended = await application.launch(Launch(Source(SPAWN), tenant="x")).wait()
    assert isinstance(ended, Failed)
    assert "tenant x has 0 spawned programs alive of the 0" in ended.message
    await application.close(grace_seconds=0)


async def test_operators_see_what_tenants_have_use_and_may_and_tenants_see_their_own() -> None:
    control = Control(ControlSettings(quotas={"x": Quota(bytes_out=500, pages=9)}), LoopClock())
    admission = AdmissionSettings(places=1, queue=0)
    application = make_application(control, shared_home(), admission=admission)
    await application.start()
    running = application.launch(Launch(Source(HOLD), tenant="x"))
    with pytest.raises(Overloaded):
        application.launch(Launch(Source(HOLD), tenant="y"))
    running.cancel()
    await application.launch(Launch(Source(SEND), tenant="x")).wait()

    def figures(tenant: str) -> dict[tuple[str, ...], float]:
        found = application.measures(tenant)
        return {
            (one.name, *(value for _, value in labels)): figure
            for one in found for labels, figure in one.values
        }  # fmt: skip

    seen = figures("default")
    assert seen["admission_rejected_total", "no_place"] == 1
    assert seen["instances_finished_total", "cancelled"] == 1
    assert seen["tenant_used_total", "x", "bytes_out"] == 500
    assert seen["tenant_used_in_period", "x", "bytes_out"] == 500
    assert seen["tenant_quota", "x", "pages"] == 9
    assert seen["tenant_held", "x", "programs"] == 0
    assert ("tenant_quota", "x", "tokens") not in seen
    assert figures("x") == {key: value for key, value in seen.items() if "y" not in key}
    assert not [key for key in figures("y") if "x" in key]
    await application.close(grace_seconds=0)
