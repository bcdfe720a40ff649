"""The contract in `wit/` and the code say the same."""

import re
from pathlib import Path

import pytest
from sandbox import Sandbox

from pie.application.bindings import INTERFACES
from pie.application.hostcall import parameters
from pie.data import wit_folder

INTERFACE = re.compile(r"^interface ([a-z-]+) \{(.*?)^\}", re.S | re.M)
PARAMETER = re.compile(r"%?([a-z-]+):")
FUNCTION = re.compile(r"^  ([a-z-]+): func\((.*?)\)(?: ->|;)", re.S | re.M)


def declared() -> dict[str, dict[str, tuple[str, ...]]]:
    """Interfaces, functions and names of parameters, from the text of the WIT."""
    text = re.sub(r"//.*", "", (wit_folder() / "pie.wit").read_text())
    return {
        f"pie:inferlet/{name}": {
            function: tuple(PARAMETER.findall(params)) for function, params in FUNCTION.findall(body)
        }
        for name, body in INTERFACE.findall(text)
    }


def test_there_is_a_binding_for_each_function_with_its_parameters() -> None:
    bound = {
        name: {function: parameters(binding) for function, binding in functions.items()}
        for name, functions in INTERFACES.items()
    }
    assert bound == declared()


@pytest.mark.wasm
async def test_the_runner_is_built_from_this_contract(sandbox: Sandbox) -> None:
    contract = sandbox.application.contract()
    names = {
        interface: {name: tuple(each for each, _ in found.params) for name, found in functions.items()}
        for interface, functions in contract.items()
    }
    assert names == declared()


def test_each_interface_has_a_file_of_its_name() -> None:
    folder = Path(__file__).parents[2] / "src" / "pie" / "application" / "bindings"
    names = {name.removeprefix("pie:inferlet/").replace("-", "_") for name in INTERFACES} - {"types"}
    assert names <= {path.stem for path in folder.glob("*.py")}
