"""A driver process and its supervisor: start, death, restart, end."""

import asyncio
import logging
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pie.core.errors import BadModel, Unavailable, WrongState
from pie.core.passes import Pass
from pie.core.progress import NoStep
from pie.inference.process import EXECUTOR, DriverProcess
from pie.inference.settings import InferenceSettings
from pie.inference.wire import Fault
from pie.testing.passes import PassBuilder

SECONDS = 60.0
"""No test waits that long unless it fails."""
SETTINGS = InferenceSettings(
    page_size=8, pages=32, embs=256, threads=1, restart_delay_seconds=0.01, precision="fp32", kernels="torch"
)
OUT = 200
MakeDriver = Callable[..., DriverProcess]


class Diary:
    """All that a driver says, one after the other."""

    def __init__(self, driver: DriverProcess) -> None:
        self._entries: asyncio.Queue[tuple[str, object]] = asyncio.Queue()
        driver.attach(
            lambda result: self._entries.put_nowait(("error" if result.error else "done", result)),
            lambda reason: self._entries.put_nowait(("lost", reason)),
            lambda: self._entries.put_nowait(("restored", None)),
        )

    async def next(self, kind: str) -> object:
        found, value = await asyncio.wait_for(self._entries.get(), SECONDS)
        assert found == kind, value
        return value


@pytest.fixture
def sockets(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where sockets are made; nothing may be left there."""
    folder = Path(tempfile.mkdtemp(prefix="s-", dir="/tmp"))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "contract"))
    yield folder
    assert list(folder.iterdir()) == []
    folder.rmdir()


@pytest.fixture
async def make_driver(home: Path, sockets: Path) -> AsyncIterator[MakeDriver]:  # noqa: ARG001
    """Makes drivers of the fake heart unless told otherwise, and ends them."""
    made: list[DriverProcess] = []

    def make(
        *faults: Fault,
        settings: InferenceSettings = SETTINGS,
        executor: str = "fake_heart:open_fake",
        folder: Path = home / "models" / "tiny",
    ) -> DriverProcess:
        made.append(DriverProcess(folder, home, settings, executor, faults))
        return made[-1]

    yield make
    for driver in made:
        await driver.close()


def step(number: int) -> Pass:
    builder = PassBuilder(number).fresh(1).embed([9], [0], [0])
    return builder.forward([0], [1], [8], {0: OUT}).dist(OUT).build()


def alive(pid: int | None) -> bool:
    """Also false for a zombie: nobody may be left to reap."""
    return pid is not None and Path(f"/proc/{pid}").exists()


class Steps:
    """A `Progress` that notes what it is told."""

    def __init__(self) -> None:
        self.notes: list[object] = []

    def start(self, label: str, total: int | None = None) -> NoStep:
        self.notes.append((label, total))
        return Noted(self.notes)


class Noted(NoStep):
    def __init__(self, notes: list[object]) -> None:
        self._notes = notes

    def advance(self, amount: int = 1) -> None:
        self._notes.append(amount)

    def finish(self) -> None:
        self._notes.append("finished")


async def test_progress_of_the_driver_reaches_the_host(make_driver: MakeDriver) -> None:
    driver, steps = make_driver(), Steps()
    await driver.start(steps)
    assert steps.notes == [("Making it up", 3), 3, "finished"]


async def test_closing_ends_the_process(make_driver: MakeDriver) -> None:
    driver = make_driver()
    await driver.start()
    pid = driver.pid
    assert alive(pid)
    await driver.close()
    assert not alive(pid)
    assert driver.pid is None
    await driver.close()


async def test_closing_ends_a_process_that_hangs(make_driver: MakeDriver) -> None:
    driver = make_driver(Fault("hang", 1))
    await driver.start()
    driver.submit(step(1))
    pid = driver.pid
    await driver.close()
    assert not alive(pid)


async def test_a_driver_starts_once(make_driver: MakeDriver) -> None:
    driver = make_driver()
    with pytest.raises(WrongState):
        _ = driver.spec
    await driver.start()
    with pytest.raises(WrongState):
        await driver.start()


@pytest.mark.parametrize("when", ["idle", "in a pass"])
async def test_a_killed_driver_is_lost_at_once_and_restored(make_driver: MakeDriver, when: str) -> None:
    driver = make_driver(*([Fault("hang", 1)] if when == "in a pass" else []))
    diary = Diary(driver)
    await driver.start()
    if when == "in a pass":
        driver.submit(step(1))
        driver.submit(step(2))
    assert driver.pid
    os.kill(driver.pid, signal.SIGKILL)
    assert "signal 9" in str(await diary.next("lost"))
    await diary.next("restored")
    driver.submit(step(3))
    await diary.next("done")
    assert driver.restarts == 1


async def test_answers_given_before_the_death_still_arrive(make_driver: MakeDriver) -> None:
    driver = make_driver(Fault("kill", 3))
    diary = Diary(driver)
    await driver.start()
    for number in range(5):
        driver.submit(step(number))
    await diary.next("done")
    await diary.next("done")
    await diary.next("lost")
    await diary.next("restored")


async def test_a_pass_given_to_a_lost_driver_is_an_error(make_driver: MakeDriver) -> None:
    driver = make_driver(Fault("kill", 1), settings=replace(SETTINGS, restart_delay_seconds=30))
    diary = Diary(driver)
    await driver.start()
    driver.submit(step(1))
    await diary.next("lost")
    assert driver.pid is None
    driver.submit(step(2))
    result = await diary.next("error")
    assert "signal 9" in result.error  # type: ignore[attr-defined]


async def test_a_pass_that_hangs_costs_the_driver_its_life(make_driver: MakeDriver) -> None:
    driver = make_driver(Fault("hang", 2), settings=replace(SETTINGS, pass_seconds=0.2))
    diary = Diary(driver)
    await driver.start()
    driver.submit(step(1))
    await diary.next("done")
    driver.submit(step(2))
    assert "pass 2 took longer than 0.2 seconds" in str(await diary.next("lost"))
    await diary.next("restored")


async def test_an_executor_that_raises_fails_its_pass_only(make_driver: MakeDriver) -> None:
    driver = make_driver(Fault("raise", 1))
    diary = Diary(driver)
    await driver.start()
    driver.submit(step(1))
    driver.submit(step(2))
    assert "FaultInjected" in (await diary.next("error")).error  # type: ignore[attr-defined]
    await diary.next("done")


@pytest.mark.parametrize(
    ("kind", "reason"), [("truncate", "not a message"), ("twice", "not the next"), ("lose", "not the next")]
)
async def test_answers_that_make_no_sense_cost_the_driver_its_life(
    make_driver: MakeDriver, kind: str, reason: str
) -> None:
    driver = make_driver(Fault(kind, 2))
    diary = Diary(driver)
    await driver.start()
    for number in range(3):
        driver.submit(step(number))
    await diary.next("done")
    if kind == "twice":
        await diary.next("done")
    assert reason in str(await diary.next("lost"))
    await diary.next("restored")


async def test_a_driver_that_keeps_dying_is_given_up(
    make_driver: MakeDriver, caplog: pytest.LogCaptureFixture
) -> None:
    driver = make_driver(Fault("kill", 1, every_life=True), settings=replace(SETTINGS, restarts=2))
    diary = Diary(driver)
    await driver.start()
    for life in range(3):
        driver.submit(step(life))
        await diary.next("lost")
        if life < 2:
            await diary.next("restored")
    answer = ""
    while "died 3 times" not in answer:  # a moment after the third loss
        driver.submit(step(9))
        answer = (await diary.next("error")).error  # type: ignore[attr-defined]
        await asyncio.sleep(0)
    assert "given up" in caplog.text


async def test_a_driver_that_cannot_start_gives_its_last_words(make_driver: MakeDriver) -> None:
    driver = make_driver(executor="nowhere_at_all:open")
    with pytest.raises(Unavailable, match="nowhere_at_all"):
        await driver.start()


async def test_a_driver_that_dies_while_starting_says_so(make_driver: MakeDriver) -> None:
    driver = make_driver(Fault("kill", 0))
    with pytest.raises(Unavailable, match=r"did not start: .* signal 9"):
        await driver.start()


async def test_a_driver_that_never_gets_ready_is_ended(make_driver: MakeDriver) -> None:
    driver = make_driver(Fault("hang", 0), settings=replace(SETTINGS, start_seconds=1.0))
    with pytest.raises(Unavailable, match="not ready within 1 seconds"):
        await driver.start()


async def test_a_start_that_is_cancelled_leaves_nothing(make_driver: MakeDriver) -> None:
    driver = make_driver(Fault("hang", 0))
    start = asyncio.create_task(driver.start())
    await asyncio.sleep(0)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert driver.pid is None


async def test_the_reason_of_a_driver_crosses_as_the_error_it_was(
    make_driver: MakeDriver, tmp_path: Path
) -> None:
    driver = make_driver(executor=EXECUTOR, folder=tmp_path / "gone")
    with pytest.raises(BadModel, match="gone"):
        await driver.start()


@pytest.mark.usefixtures("sockets")
async def test_a_driver_ends_with_its_host() -> None:
    script = (
        "import asyncio, os, sys\n"
        "from pathlib import Path\n"
        "from pie.inference.process import DriverProcess\n"
        "from pie.inference.settings import InferenceSettings\n"
        "async def main():\n"
        "    driver = DriverProcess(Path('.'), Path('.'), InferenceSettings(), 'fake_heart:open_fake')\n"
        "    await driver.start()\n"
        "    print(driver.pid, flush=True)\n"
        "    await asyncio.sleep(1000)\n"
        "asyncio.run(main())\n"
    )
    host = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
    assert host.stdout
    pid = int(await asyncio.wait_for(host.stdout.readline(), SECONDS))
    watch = os.pidfd_open(pid)
    host.kill()
    await host.wait()
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(watch, ended.set)
    await asyncio.wait_for(ended.wait(), SECONDS)
    asyncio.get_running_loop().remove_reader(watch)
    os.close(watch)


async def test_what_a_driver_prints_is_logged(
    make_driver: MakeDriver, caplog: pytest.LogCaptureFixture
) -> None:
    driver = make_driver(Fault("raise", 1))
    diary = Diary(driver)
    await driver.start()
    with caplog.at_level(logging.WARNING, "pie.driver"):
        driver.submit(step(1))
        await diary.next("error")
        await driver.close()
    assert "FaultInjected" in caplog.text
