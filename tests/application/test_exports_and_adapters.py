"""Published pages, hints, adapters and attention stats as a program in the sandbox meets them."""

import asyncio
import json

import pytest
from sandbox import MODEL, Letters, Sandbox, make_application, message, shared_home

from pie.control import Control, ControlSettings
from pie.core.events import Finished
from pie.core.programs import Launch, Source
from pie.loop_clock import LoopClock
from pie.testing import FakeDriver, FakeExecutor, fake_model, fake_spec

pytestmark = pytest.mark.wasm

ALL = """
from inferlet import InferletError, raw


def said(call, *args):
    try:
        call(*args)
    except InferletError as error:
        return str(error)


async def main():
    q = raw.create_queue("fake")
    raw.alloc_kvpage(q, [0, 1])
    raw.alloc_emb(q, range(20))
    raw.embed_txt(q, range(18), range(18), range(18))
    raw.forward(q, [], range(18), [0, 1], 0, [19])
    raw.export_kvpage(q, [0, 1], "mine", about=b"about")
    raw.export_kvpage(q, [1], "lasting", lease_seconds=60, max_bytes=5000)
    await raw.synchronize(q)
    raw.import_kvpage(q, "mine", [7, 8])
    found = raw.find_kvpages("fake", "mine")
    lasting = raw.find_kvpages("fake", "lasting")
    raw.embed_txt(q, [3], [18], [18])
    shares = await raw.attention_stats(q, [7, 8], [18])
    facts = {
        "found": [found.name, found.pages, found.bytes, bytes(found.about).decode()],
        "mine": [found.seconds_left, found.readers],
        "lasts": 0 < lasting.seconds_left <= 60,
        "names": [one.name for one in raw.exported_kvpages("fake")],
        "nothing": raw.find_kvpages("fake", "nothing"),
        "hints": [
            raw.retain_kvpage(q, [0], 1000), raw.retain_kvpage(q, [0], 10**12), raw.demote_kvpage(q, [0]),
            raw.prefetch_kvpage(q, [0]),
        ],
        "shares": [round(share * 19, 3) for share in shares],
        "read only": said(raw.mask_kvpage, q, 7, 1),
        "in use": said(raw.export_kvpage, q, [0], "mine"),
        "wrong count": said(raw.import_kvpage, q, "mine", [9]),
    }
    for name in ("mine", "lasting"):
        raw.unexport_kvpage("fake", name)
    facts["gone"] = said(raw.unexport_kvpage, "fake", "mine")
    return facts
"""


async def test_every_call_of_published_pages_and_stats_works_from_a_program(sandbox: Sandbox) -> None:
    facts = json.loads(await sandbox.result(ALL))
    assert facts.pop("read only").startswith("mask_kvpage: page 7 was imported from 'mine' and is read-only")
    assert "the name 'mine' is in use" in facts.pop("in use")
    assert "'mine' has 2 pages, 1 ids were given" in facts.pop("wrong count")
    assert "nothing is exported as 'mine'" in facts.pop("gone")
    assert facts == {
        "found": ["mine", 2, 2000, "about"],
        "mine": [None, 1],
        "lasts": True,
        "names": ["mine", "lasting"],
        "nothing": None,
        "hints": ["accepted", "clipped", "rejected", "accepted"],
        "shares": [16, 2, 1],
    }


ADAPTED = """
from inferlet import InferletError, raw


async def main():
    names = raw.available_adapters("fake")
    q = raw.create_queue("fake")
    raw.alloc_emb(q, [0, 1])
    found = []
    for name in (None, *names):
        raw.embed_txt(q, [65], [0], [0])
        if name is None:
            raw.forward(q, [], [0], oemb=[1])
        else:
            raw.forward_with_adapter(q, name, [], [0], oemb=[1])
        found.append((await raw.get_next_dist(q, 1, 1)).max_index())
    errors = []
    for name in ("nope", ""):
        try:
            raw.forward_with_adapter(q, name, [], [0], oemb=[1])
        except InferletError as error:
            errors.append(str(error))
    return {"names": names, "different": len(set(found)), "errors": errors}
"""


async def test_a_program_chooses_among_the_adapters_that_are_loaded() -> None:
    spec = fake_spec(adapters=("french", "poems"))
    control = Control(ControlSettings(), LoopClock())
    control.add_model(fake_model(spec, MODEL), FakeDriver(FakeExecutor(spec)), Letters())
    application = make_application(control, shared_home())
    await application.start()
    facts = json.loads(await Sandbox(application, control, FakeDriver(FakeExecutor(spec))).result(ADAPTED))
    await application.close(grace_seconds=0)
    assert facts["names"] == ["french", "poems"]
    assert facts["different"] == 3
    assert "no adapter 'nope'; there are: french, poems" in facts["errors"][0]
    assert "no adapter is named" in facts["errors"][1]


async def test_programs_share_pages_by_name_and_tenants_do_not(sandbox: Sandbox) -> None:
    holder = sandbox.launch(
        "from inferlet import raw, receive, send\n"
        "async def main():\n"
        "    q = raw.create_queue('fake')\n"
        "    raw.alloc_kvpage(q, [0])\n"
        "    raw.export_kvpage(q, [0], 'shared')\n"
        "    await raw.synchronize(q)\n"
        "    send('there')\n"
        "    await receive()\n"
    )
    assert await message(holder) == "there"
    look = "from inferlet import raw\ndef main():\n    return raw.find_kvpages('fake', 'shared') is None\n"
    foreign = sandbox.application.launch(Launch(Source(look, "mine.py"), tenant="other"))
    assert await foreign.wait() == Finished("true")
    assert await sandbox.result(look) == "false"
    holder.cancel()
    await asyncio.wait_for(holder.wait(), 10)
    assert await sandbox.result(look) == "true"
