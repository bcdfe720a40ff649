"""Stored numbers become the same floats that the `gguf` package makes of them, to the last bit."""

import gguf
import numpy as np
import pytest
from gguf.constants import GGMLQuantizationType

from pie.models.numbers import BF16, F16, F32, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, NumberFormat
from pie.models.superblocks import Q4_K, Q5_K, Q6_K

WRITABLE = [F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1]


@pytest.mark.parametrize("format", WRITABLE, ids=lambda format: format.name)
def test_every_format_is_decoded_as_the_reference_does(format: NumberFormat) -> None:
    numbers = np.random.default_rng(1).standard_normal((6, 128)).astype(np.float32)
    kind = GGMLQuantizationType[format.name]
    stored = gguf.quantize(numbers, kind)
    ours = format.to_floats(np.ascontiguousarray(stored).view(np.uint8), (6, 128))
    assert ours.dtype == np.float32
    np.testing.assert_array_equal(ours, gguf.dequantize(stored, kind))


@pytest.mark.parametrize(("format", "halves"), [(Q4_K, (0, 2)), (Q5_K, (0, 2)), (Q6_K, (208,))])
def test_super_blocks_of_any_bits_are_decoded_as_the_reference_does(
    format: NumberFormat, halves: tuple[int, ...]
) -> None:
    """The reference cannot write these formats, so the blocks are random, but for their fp16 scales."""
    random = np.random.default_rng(2)
    stored = random.integers(0, 256, (24, format.size_bytes), np.uint8)
    for start in halves:
        stored[:, start : start + 2] = random.standard_normal((24, 1)).astype("<f2").view(np.uint8)
    ours = format.to_floats(stored, (6, 1024))
    theirs = gguf.dequantize(stored.reshape(6, -1), GGMLQuantizationType[format.name])
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("format", [Q8_0, Q4_0, Q4_1, Q5_0, Q6_K], ids=lambda format: format.name)
def test_rows_that_are_not_whole_blocks_are_refused(format: NumberFormat) -> None:
    with pytest.raises(ValueError, match="whole blocks"):
        format.byte_count((4, 33))


def test_a_tensor_of_any_claimed_size_has_an_exact_byte_count() -> None:
    assert Q4_1.byte_count((2**40, 2**40)) == 2**80 // 32 * 20
