"""`--model A --model B`: a driver for each, and what belongs to the first one only."""

from pathlib import Path

import pytest

from pie.cli.options import load_settings
from pie.core.errors import NotFound
from pie.core.progress import NoProgress
from pie.drivers import find_models, make_drivers
from pie.models import ModelStore
from pie.models.tiny import write_tiny_llama


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("one", "two"):
        ModelStore(tmp_path).pull(str(write_tiny_llama(tmp_path / "files" / name)), NoProgress())
    return tmp_path


def test_every_model_gets_a_driver_of_its_own_and_the_first_is_the_default(home: Path) -> None:
    settings = load_settings(home=home, model="two", more_models=("one", "two"), adapters={"a": Path("/a")})
    models = find_models(ModelStore(home), settings, NoProgress())
    assert list(make_drivers(models, settings)) == ["two", "one"]


def test_a_further_model_that_is_not_there_is_named(home: Path) -> None:
    settings = load_settings(home=home, model="one", more_models="three,two")
    with pytest.raises(NotFound, match="no model 'three'; there are one, two"):
        find_models(ModelStore(home), settings, NoProgress())
