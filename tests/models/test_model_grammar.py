"""Grammars: what is accepted, and what is said about those that are not."""

import json

import pytest

from pie.core.errors import InvalidArgument, Unavailable
from pie.core.grammar import GrammarKind
from pie.models.grammar import GrammarVocabulary

STOP = 256


@pytest.fixture(scope="module")
def vocabulary() -> GrammarVocabulary:
    return GrammarVocabulary([bytes([i]) for i in range(256)] + [b""], {STOP: "<end>"}, (STOP,))


def complaint(vocabulary: GrammarVocabulary, kind: GrammarKind, text: str | dict[str, object]) -> str:
    with pytest.raises(InvalidArgument) as raised:
        vocabulary.compile(kind, text if isinstance(text, str) else json.dumps(text))
    return str(raised.value)


def accepts(vocabulary: GrammarVocabulary, kind: GrammarKind, grammar: str, text: str) -> bool:
    matcher = vocabulary.compile(kind, grammar)
    return matcher.consume_tokens(list(text.encode())) and matcher.is_accepting()


def test_a_regular_expression_must_match_the_whole_text(vocabulary: GrammarVocabulary) -> None:
    assert accepts(vocabulary, "regex", "a+b", "aab")
    assert not accepts(vocabulary, "regex", "a+b", "aa")


def test_a_lark_grammar_has_rules_and_terminals(vocabulary: GrammarVocabulary) -> None:
    assert accepts(vocabulary, "lark", 'start: item ("," item)*\nitem: /[0-9]+/', "1,22,3")


def test_json_is_written_as_python_writes_it(vocabulary: GrammarVocabulary) -> None:
    properties = {"a": {"type": "integer"}, "b": {}}
    schema = json.dumps({"type": "object", "properties": properties, "required": ["a", "b"]})
    assert accepts(vocabulary, "json-schema", schema, json.dumps({"a": 1, "b": [1, {"c": None}]}))
    assert not accepts(vocabulary, "json-schema", schema, '{"a" : 1,   "b": 2}')


def test_a_schema_may_ask_for_free_white_space(vocabulary: GrammarVocabulary) -> None:
    schema = json.dumps({"type": "array", "x-guidance": {"whitespace_flexible": True}})
    assert accepts(vocabulary, "json-schema", schema, "[ 1,\n  2 ]")


@pytest.mark.parametrize("bounds", [{}, {"minimum": 0}, {"exclusiveMaximum": 10**6}, {"multipleOf": 0.25}])
def test_numbers_come_to_an_end(vocabulary: GrammarVocabulary, bounds: dict[str, float]) -> None:
    schema = {"items": {"type": "number", **bounds}, "type": "array"}
    matcher = vocabulary.compile("json-schema", json.dumps(schema))
    assert matcher.consume_tokens(list(b"[0."))
    digits = 0
    while matcher.validate_tokens(list(b"5")):
        matcher.consume_tokens(list(b"5"))
        digits += 1
    assert digits <= 9


@pytest.mark.parametrize(
    ("form", "texts"),
    [
        ("date-time", ["2026-11-23T06:31:34Z", "2026-11-23T06:31:34.123456789+00:00"]),
        ("time", ["06:31:34Z", "06:31:34.123456789-11:30"]),
        ("duration", ["P3Y6M4DT12H30M5S"]),
        ("email", ["somebody@example.org"]),
    ],
)
def test_formats_come_to_an_end(vocabulary: GrammarVocabulary, form: str, texts: list[str]) -> None:
    schema = json.dumps({"type": "string", "format": form})
    assert all(accepts(vocabulary, "json-schema", schema, json.dumps(text)) for text in texts)
    matcher = vocabulary.compile("json-schema", schema)
    start = json.dumps(texts[-1])[:-1].rstrip("0:+-1Z")
    assert matcher.consume_tokens(list(start.encode()))
    digits = 0
    while matcher.validate_tokens(list(b"5")) and digits < 300:
        matcher.consume_tokens(list(b"5"))
        digits += 1
    assert digits < 300


def test_numbers_within_bounds_of_their_own_keep_them(vocabulary: GrammarVocabulary) -> None:
    schema = json.dumps({"type": "integer", "minimum": 10**17, "maximum": 10**18})
    assert accepts(vocabulary, "json-schema", schema, "500000000000000000")


def test_a_schema_that_only_fits_large_numbers_is_followed_as_it_is(vocabulary: GrammarVocabulary) -> None:
    schema = json.dumps({"allOf": [{"type": "integer"}, {"type": "integer", "minimum": 10**16}]})
    assert accepts(vocabulary, "json-schema", schema, "50000000000000000")


def test_the_schema_true_is_any_json(vocabulary: GrammarVocabulary) -> None:
    assert accepts(vocabulary, "json-schema", "true", '"x"')


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a":\n  1,\n "b" 2}', "the schema is not JSON: .* (line 3, column 6)"),
        ("[1]", "a JSON schema is an object, {...}, not [1]"),
        ("", "the schema is not JSON"),
        ("[" * 100_000, "the schema is not JSON"),
        ({"type": "objekt"}, "at #: Invalid type: objekt"),
        (
            {"properties": {"a/b": {"items": {"anyOf": [{"type": "null"}, {"uniqueItems": True}]}}}},
            'at #/properties/a~1b/items/anyOf/1: these keywords are not supported: ["uniqueItems"]',
        ),
        ({"type": "integer", "minimum": 5, "maximum": 3}, "at #: Unsatisfiable schema"),
        ({"$ref": "#/$defs/nope"}, "at #: Pointer '/$defs/nope' does not exist"),
        ({"$ref": "http://example.com/schema"}, "at #: Resource 'http://example.com/schema' is not present"),
    ],
)  # fmt: skip
def test_a_bad_schema_is_refused_with_the_place(
    vocabulary: GrammarVocabulary, text: str | dict[str, object], said: str
) -> None:
    before, _, after = said.partition(".*")
    message = complaint(vocabulary, "json-schema", text)
    assert before in message and after in message


def test_a_bad_regular_expression_is_refused_with_the_place(vocabulary: GrammarVocabulary) -> None:
    assert complaint(vocabulary, "regex", "a(b") == (
        "the regular expression is not valid:\n    a(b\n     ^\nerror: unclosed group"
    )
    assert "look-around" in complaint(vocabulary, "regex", "(?=a)b")


def test_a_bad_lark_grammar_is_refused_with_line_and_column(vocabulary: GrammarVocabulary) -> None:
    assert 'line 2, column 4: unknown name: "foo"' in complaint(vocabulary, "lark", 'start: a\na: "x" foo')


def test_a_grammar_that_matches_nothing_is_refused(vocabulary: GrammarVocabulary) -> None:
    assert "matches no text at all" in complaint(vocabulary, "lark", "start: start")
    assert "matches no text at all" in complaint(vocabulary, "regex", "[a&&b]")


def test_a_model_that_cannot_end_a_text_takes_no_grammars() -> None:
    with pytest.raises(Unavailable, match="no token that ends a text"):
        GrammarVocabulary([b"a"], {}, ())
