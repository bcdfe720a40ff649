"""Functions as tools: schemas out of signatures, calls out of JSON."""

import json
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

import pytest

from inferlet import tool
from inferlet.errors import InvalidArgument, OutOfResources
from inferlet.runner import run_in_loop
from inferlet.schemas import convert, schema_of
from inferlet.tools import Tool, ToolCall, call_schema, read_call


class Unit(Enum):
    CELSIUS = "C"
    FAHRENHEIT = "F"


@dataclass
class Place:
    city: str
    zip: int = 0


@tool
def weather(place: Place, days: int = 1, unit: Unit = Unit.CELSIUS, note: str | None = None) -> str:
    """What the weather will be.
    Or so they say.

    Args:
        place: where
        days (int): how many days ahead
    """
    return f"{place.city} {days} {unit.name} {note}"


@tool
async def divide(a: float, b: float) -> float:
    """The first number divided by the second."""
    return a / b


@tool
def full() -> None:
    raise OutOfResources("no page left")


def test_a_signature_and_a_docstring_become_a_schema() -> None:
    place = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "zip": {"type": "integer"}},
        "required": ["city"],
        "additionalProperties": False,
        "description": "where",
    }
    assert weather.schema == {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "What the weather will be. Or so they say.",
            "parameters": {
                "type": "object",
                "properties": {
                    "place": place,
                    "days": {"type": "integer", "description": "how many days ahead"},
                    "unit": {"enum": ["C", "F"]},
                    "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                },
                "required": ["place"],
                "additionalProperties": False,
            },
        },
    }


def test_a_tool_is_still_a_function() -> None:
    assert weather(Place("Bonn"), 2) == "Bonn 2 CELSIUS None"


def call(text: str, *tools: Tool[..., Any]) -> str:
    return run_in_loop(read_call(text, tools or (weather, divide, full)).run())


def test_a_call_in_json_becomes_a_call_in_python() -> None:
    arguments = '{"place": {"city": "Bonn"}, "unit": "F", "days": 3}'
    assert call('{"name": "weather", "arguments": ' + arguments + "}") == "Bonn 3 FAHRENHEIT None"


def test_results_are_text_or_json() -> None:
    assert call('{"name": "divide", "arguments": {"a": 1, "b": 4}}') == "0.25"


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("weather", {}, "Error: weather lacks place"),
        ("weather", {"place": {"city": 1}}, "weather.place.city must be of type string, not 1"),
        ("weather", {"place": {"city": ""}, "unit": "K"}, "one of 'C', 'F', not 'K'"),
        ("weather", {"place": {"city": ""}, "town": "Bonn"}, "has no town; there is: place"),
        ("weather", {"place": {"city": ""}, "days": True}, "type integer, not True"),
        ("weather", {"place": {"city": ""}, "note": 1}, "note must be str or NoneType"),
        ("weather", 7, "weather must be an object, not 7"),
        ("fly", {}, "Error: there is no tool 'fly'; there are: weather, divide, full"),
        ("divide", {"a": 1, "b": 0}, "Error: ZeroDivisionError: float division by zero"),
    ],
)
def test_what_goes_wrong_is_told_to_the_model(name: str, arguments: object, message: str) -> None:
    assert message in call(json.dumps({"name": name, "arguments": arguments}))


def test_errors_of_the_server_are_not_for_the_model() -> None:
    with pytest.raises(OutOfResources):
        call('{"name": "full"}')


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "{}", '"weather"'])
def test_what_is_no_call_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="no call of a tool"):
        read_call(text, [weather])


def test_one_of_several_tools_is_a_choice_of_schemas() -> None:
    schemas = call_schema([weather, divide])["anyOf"]
    assert [schema["properties"]["name"] for schema in schemas] == [{"const": "weather"}, {"const": "divide"}]


@pytest.mark.parametrize(
    ("kind", "schema", "value"),
    [
        (int, {"type": "integer"}, 3),
        (bool, {"type": "boolean"}, True),
        (list[str], {"type": "array", "items": {"type": "string"}}, ["a"]),
        (list, {"type": "array", "items": {}}, [1, "a"]),
        (dict[str, float], {"type": "object", "additionalProperties": {"type": "number"}}, {"a": 1.5}),
        (Literal["a", 1], {"enum": ["a", 1]}, 1),
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}, None),
        (Any, {}, [{}]),
    ],
)
def test_types_have_schemas_and_take_values(kind: Any, schema: object, value: object) -> None:
    assert schema_of(kind) == schema
    assert convert(kind, value, "it") == value


def test_a_whole_number_may_be_written_with_a_point() -> None:
    assert convert(int, 3.0, "it") == 3
    assert isinstance(convert(float, 3, "it"), float)


def test_a_parameter_without_a_type_is_refused() -> None:
    with pytest.raises(TypeError, match="parameter 'what' of guess needs a type"):

        @tool
        def guess(what) -> None:  # type: ignore[no-untyped-def]
            pass


def test_a_type_that_json_does_not_know_is_refused() -> None:
    with pytest.raises(TypeError, match="no counterpart in JSON"):

        @tool
        def guess(what: bytes) -> None:
            pass


def test_a_call_knows_its_parts() -> None:
    assert read_call('{"name": "x", "arguments": {"a": 1}}', []) == ToolCall("x", {"a": 1}, [])
