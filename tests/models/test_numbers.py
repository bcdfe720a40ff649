"""Stored numbers become the same floats that the `gguf` package makes of them, to the last bit."""

import gguf
import numpy as np
import pytest
from gguf.constants import GGMLQuantizationType

from pie.models.numbers import BF16, F16, F32, Q4_0, Q4_1, Q8_0, NumberFormat


@pytest.mark.parametrize("format", [F32, F16, BF16, Q8_0, Q4_0, Q4_1], ids=lambda format: format.name)
def test_every_format_is_decoded_as_the_reference_does(format: NumberFormat) -> None:
    numbers = np.random.default_rng(1).standard_normal((6, 128)).astype(np.float32)
    kind = GGMLQuantizationType[format.name]
    stored = gguf.quantize(numbers, kind)
    ours = format.to_floats(np.ascontiguousarray(stored).view(np.uint8), (6, 128))
    assert ours.dtype == np.float32
    np.testing.assert_array_equal(ours, gguf.dequantize(stored, kind))


@pytest.mark.parametrize("format", [Q8_0, Q4_0, Q4_1], ids=lambda format: format.name)
def test_rows_that_are_not_whole_blocks_are_refused(format: NumberFormat) -> None:
    with pytest.raises(ValueError, match="whole blocks"):
        format.byte_count((4, 33))


def test_a_tensor_of_any_claimed_size_has_an_exact_byte_count() -> None:
    assert Q4_1.byte_count((2**40, 2**40)) == 2**80 // 32 * 20
