"""A driver process may begin before anybody knows what for, and torch without what nothing here needs."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from pie.inference.early import early_process
from pie.inference.process import DriverProcess
from pie.inference.settings import InferenceSettings

SECONDS = 60.0


async def test_an_early_process_becomes_the_first_life_of_a_driver(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "contract"))
    async with early_process() as early:
        driver = DriverProcess(tmp_path, tmp_path, InferenceSettings(), "fake_heart:open_fake", early=early)
        await driver.start()
        assert driver.pid == early.process.pid
    assert early.process.returncode is None
    assert driver.spec.vocabulary_size == 320
    await driver.close()
    assert early.process.returncode is not None


async def test_an_early_process_that_nobody_takes_is_ended() -> None:
    async with early_process() as early:
        pass
    assert await asyncio.wait_for(early.process.wait(), SECONDS) < 0


def test_descriptions_of_operations_are_left_out_and_can_be_made_up_for() -> None:
    script = (
        "from pie.inference.torch_parts import leave_out_descriptions, load_descriptions\n"
        "leave_out_descriptions()\n"
        "import torch\n"
        "assert torch.ones(2, 2).mm(torch.ones(2, 2)).sum() == 8\n"
        "assert not hasattr(torch._meta_registrations, 'meta_mm')\n"
        "load_descriptions()\n"
        "assert torch.empty(2, 3, device='meta').mm(torch.empty(3, 4, device='meta')).shape == (2, 4)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=SECONDS)
