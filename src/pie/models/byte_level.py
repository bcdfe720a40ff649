"""The bytes behind the tokens of a vocabulary.

Byte-level vocabularies (GPT-2's way) spell each byte as one printable character; SentencePiece ones write
a space as U+2581 and single bytes as `<0x0A>`.
"""

import re

SPACE_MARK = "▁"
BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def byte_alphabet() -> dict[int, int]:
    """Character -> byte, for `str.translate`: printable Latin-1 stands for itself, others from U+0100."""
    printable = {
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    }
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: byte for byte in printable} | {256 + index: byte for index, byte in enumerate(others)}


def byte_level_bytes(text: str, alphabet: dict[int, int]) -> bytes:
    """A token that is not spelled in the alphabet (an added one) is its own UTF-8."""
    if all(ord(character) in alphabet for character in text):
        return text.translate(alphabet).encode("latin-1")
    return text.encode()


def sentencepiece_bytes(text: str) -> bytes:
    match = BYTE_TOKEN.fullmatch(text)
    if match:
        return bytes([int(match[1], 16)])
    return text.replace(SPACE_MARK, " ").encode()
