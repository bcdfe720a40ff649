"""Text from bytes, with stop strings."""

from inferlet.text import TextStream


def push_all(stream: TextStream, text: str) -> list[str]:
    return [stream.push(bytes([byte])) for byte in text.encode()]


def test_bytes_of_an_unfinished_character_wait_for_the_rest() -> None:
    assert push_all(TextStream(), "é€") == ["", "é", "", "", "€"]


def test_an_unfinished_character_at_the_end_becomes_a_replacement() -> None:
    stream = TextStream()
    assert stream.push(b"a\xe2\x82") == "a"
    assert stream.finish() == "\ufffd"


def test_what_may_begin_a_stop_string_is_held_back() -> None:
    stream = TextStream(["END"])
    assert push_all(stream, "aENxE") == ["a", "", "", "ENx", ""]
    assert stream.finish() == "E"
    assert stream.stopped is None


def test_nothing_after_a_stop_string_comes_out() -> None:
    stream = TextStream(["END", "D!"])
    assert stream.push(b"one END two") == "one "
    assert stream.stopped == "END"
    assert stream.finish() == ""


def test_the_earliest_stop_string_counts() -> None:
    stream = TextStream(["two", "one"])
    assert stream.push(b"x one two") == "x "
    assert stream.stopped == "one"
