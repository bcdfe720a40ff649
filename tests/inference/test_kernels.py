"""The compiled kernels do what plain torch does."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pie.core.progress import NoProgress
from pie.inference.by_parts import ByParts
from pie.inference.compiled import CompiledLlama
from pie.inference.compiled_attention import CompiledAttention
from pie.inference.device import Processor
from pie.inference.forms import Bits, PackedForm
from pie.inference.kernels.library import Kernels
from pie.inference.logits import allow_only, measure, top_tokens
from pie.inference.measures import IMPOSSIBLE
from pie.inference.packed_product import PackedMatrix, PackedProduct, packed_weights
from pie.inference.packing import Packed, group4, interleaved, pack4, pack8, pack_wide, padded, turn
from pie.inference.prepared import PreparedWeights
from pie.inference.rotary import Rotary
from pie.inference.storage import KvPrecision, PageStorage
from pie.inference.visibility import Block, Rows, View
from pie.inference.window import with_window
from pie.models import Groups, ModelConfig, StoredModel
from pie.models.tiny import TINY

SHAPES = {
    "tiny": TINY,
    "one key-value head": replace(TINY, kv_heads=1),
    "heads of 24": replace(TINY, head_dim=24),
    "nothing a multiple of 32": replace(TINY, hidden_size=40, intermediate_size=72, heads=5, kv_heads=1),
    "heads of 64 in groups of 3": replace(TINY, hidden_size=192, heads=6, kv_heads=2, head_dim=64),
    "heads of 128": replace(TINY, hidden_size=128, heads=5, kv_heads=1, head_dim=128),
    "heads of 256": replace(TINY, heads=4, kv_heads=1, head_dim=256),
    "biases": replace(TINY, architecture="qwen2", qkv_bias=True),
    "norms of heads": replace(TINY, architecture="qwen3", qk_norm=True, head_dim=24),
    "windows": replace(TINY, architecture="mistral", window=4, windowed_layers=(1,)),
    "gemma": replace(
        TINY,
        architecture="gemma3",
        hidden_size=40,
        qk_norm=True,
        post_norms=True,
        activation="gelu_tanh",
        embedding_scale=6.3,
        query_scale=0.2,
        window=4,
        windowed_layers=(0,),
        window_rope_theta=100.0,
    ),
}
SIZE = 8


def quantised(x: torch.Tensor, bits: int) -> torch.Tensor:
    """[inputs, columns] rounded as the kernels do: to 8 bits in groups of 32 for weights of 4 bits, to 8 bits
    and turned, with one scale an input, for 8, not at all for more."""
    if bits > 8:
        return x
    groups = x.view(len(x), -1, 32) if bits == 4 else turned(x)[:, None]
    scales = groups.abs().amax(2, keepdim=True) / 127
    found = ((groups / scales).round() * scales).nan_to_num(0.0).view(x.shape)
    return found if bits == 4 else turned(found)


def turned(x: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(turn(x.numpy()))


def product_of(kernels: Kernels, data: NDArray[np.uint8], *shape: int) -> PackedProduct:
    return PackedProduct(kernels, PackedMatrix(data, *shape))


def storage(config: ModelConfig, pages: int, scratch: int, precision: KvPrecision = "fp32") -> PageStorage:
    return PageStorage(config, pages, SIZE, scratch, precision, Processor())


def numbers(seed: int, *shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def random_matrix(rows: int, columns: int, bits: int) -> Packed:
    values = np.random.default_rng(rows).standard_normal((rows, columns)).astype(np.float32)
    data = pack4(group4(values)) if bits == 4 else pack8(values) if bits == 8 else pack_wide(values, bits)
    return Packed(rows, columns, bits, data)


@pytest.mark.parametrize("bits", [4, 8, 16, 32])
@pytest.mark.parametrize("shape", [(32, 32), (64, 96), (40, 72), (7, 5), (96, 192)])
@pytest.mark.parametrize("tokens", [1, 2, 3, 4, 9, 16, 33, 300])
def test_a_product_is_that_of_the_rounded_numbers(
    kernels: Kernels, bits: int, shape: tuple[int, int], tokens: int
) -> None:
    packed = random_matrix(*shape, bits)
    weight = torch.from_numpy(packed.floats())
    x = torch.randn(tokens, shape[1], generator=torch.Generator().manual_seed(1))
    wide = torch.nn.functional.pad(x, (0, padded(shape[1]) - shape[1]))
    wanted = (quantised(wide, bits).double() @ weight.double().t())[:, : shape[0]].float()
    product = product_of(kernels, packed.data, *shape, bits)
    torch.testing.assert_close(torch.from_numpy(product(x.numpy())), wanted, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("bits", [4, 8, 16, 32])
@pytest.mark.parametrize("columns", [96, 128])
def test_strangers_in_the_batch_change_no_bit_of_a_product(kernels: Kernels, bits: int, columns: int) -> None:
    """Also where single inputs go through vectors, and many through tiles."""
    packed = random_matrix(64, columns, bits)
    product = product_of(kernels, packed.data, 64, columns, bits)
    x = numbers(1, 29, columns)
    together = product(x)
    assert all(np.array_equal(together[i : i + 1], product(x[i : i + 1])) for i in range(29))


@pytest.mark.parametrize("bits", [16, 32])
@pytest.mark.parametrize("tokens", [1, 8, 300])
def test_products_in_full_precision_err_by_no_more_than_32_bits_must(
    kernels: Kernels, bits: int, tokens: int
) -> None:
    """On the processor's matrix unit, too, where a number goes as the sum of three shorter ones."""
    packed, x = random_matrix(96, 576, bits), numbers(3, tokens, 576)
    weight, exact = packed.floats().astype(np.float64), x.astype(np.float64)
    found = product_of(kernels, packed.data, 96, 576, bits)(x)
    error = np.abs(found - exact @ weight.T) / (np.abs(exact) @ np.abs(weight).T)
    assert error.max() < 2**-22


def test_4_bit_groups_are_kept_exactly() -> None:
    random = np.random.default_rng(0)
    numbers = random.integers(0, 16, (32, 64), np.uint8)
    scales, least = random.standard_normal((2, 32, 2)).astype(np.float16).astype(np.float32)
    packed = Packed(32, 64, 4, pack4(Groups(numbers, scales, least)))
    wanted = numbers.reshape(32, 2, 32) * scales[:, :, None] + least[:, :, None]
    assert np.array_equal(packed.floats(), wanted.reshape(32, 64))


def test_two_matrices_in_turns_come_out_one_below_the_other(kernels: Kernels) -> None:
    values = np.random.default_rng(0).standard_normal((80, 32)).astype(np.float32)
    order = interleaved(40)
    mixed = values[order] * (order >= 0)[:, None]
    turns = product_of(kernels, pack8(mixed), 80, 32, 8, 2)
    plain = product_of(kernels, pack8(values), 80, 32, 8)
    x = numbers(1, 5, 32)
    assert np.array_equal(turns(x), plain(x))


def test_32_bits_are_kept_exactly_and_16_rounded_as_torch_does() -> None:
    full, half = random_matrix(40, 72, 32), random_matrix(40, 72, 16)
    values = np.random.default_rng(40).standard_normal((40, 72)).astype(np.float32)
    assert np.array_equal(full.floats()[:40, :72], values)
    assert np.array_equal(half.floats()[:40, :72], torch.from_numpy(values).bfloat16().float().numpy())


class Whole:
    """A tiny model in groups, on compiled kernels and product by product, over the same pages."""

    def __init__(
        self, kernels: Kernels, model: StoredModel, folder: Path, form: PackedForm, many: int = 1
    ) -> None:
        config = model.config
        self.config = config
        self.pages = storage(config, 8, 64)
        tensors = PreparedWeights(folder).load(model, config, form, NoProgress())
        weights = packed_weights(kernels, tensors, config, form, many)
        self.compiled = CompiledLlama(config, weights, kernels, self.pages)
        self.plain = ByParts(config, weights, threads=2)
        self.attention = CompiledAttention(kernels, self.pages, config.heads)

    def hidden(self, model: CompiledLlama | ByParts, view: View) -> NDArray[np.float32]:
        inputs = numbers(3, len(view.places), self.config.hidden_size)
        self.attention.begin(view)
        return model.hidden(inputs, Rotary(self.config).turns(view.positions), self.attention, None)


def mixed_view(pages: PageStorage) -> View:
    """Two decoding inputs, and one segment of seven with a mask."""
    random = np.random.default_rng(5)
    places = pages.scratch_slot + np.arange(9, dtype=np.int32)
    rows = Rows(
        np.array([0, 8], np.int32),
        np.concatenate((np.arange(30), places[:1], np.arange(7), places[8:])).astype(np.int32),
        np.array([0, 31, 39]),
    )
    slots = np.concatenate((np.arange(40, 60), places[1:8])).astype(np.int32)
    mask = random.random((7, 27)) < 0.5
    mask[3] = False
    return View(places, np.arange(9, dtype=np.int32), rows, [Block(1, 8, slots, mask)])


@pytest.mark.parametrize(("form", "many"), [((4, 8), 9), ((4, 8), 10), ((32,), 1)])
@pytest.mark.parametrize("shape", SHAPES)
def test_all_layers_in_one_call_are_those_one_by_one(
    kernels: Kernels,
    make_model: Callable[[ModelConfig], StoredModel],
    tmp_path: Path,
    shape: str,
    form: tuple[Bits, ...],
    many: int,
) -> None:
    """The view has nine inputs: in both layouts of the weights."""
    whole = Whole(kernels, make_model(SHAPES[shape]), tmp_path / "prepared", PackedForm(form), many)
    cells = numbers(4, *whole.pages.cells.shape)
    whole.pages.cells[:] = cells
    view = with_window(mixed_view(whole.pages), whole.pages, whole.config.window)
    one_by_one = whole.hidden(whole.plain, view)
    kept = whole.pages.cells.copy()
    whole.pages.cells[:] = cells
    together = whole.hidden(whole.compiled, view)
    # A number on the edge between two steps may be rounded to either: all steps together stay small.
    assert norm(together - one_by_one) < 0.01 * norm(one_by_one)
    assert norm(whole.pages.cells - kept) < 0.01 * norm(kept - cells)
    logits = whole.compiled.logits(together)
    assert norm(logits - whole.plain.logits(together)) < 0.01 * norm(logits)


def norm(array: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(array))


def test_int8_pages_keep_what_is_written_within_half_a_step() -> None:
    pages = storage(TINY, 4, 8, "int8")
    keys, values = numbers(1, 2, 3, TINY.kv_heads * TINY.head_dim)
    rows = pages.row_index(np.array([3, 17, 30], np.int32))
    pages.write(1, rows, keys, values)
    for wanted, found in ((keys, pages.read_keys(1, rows)), (values, pages.read_values(1, rows))):
        heads = wanted.reshape(3, TINY.kv_heads, TINY.head_dim)
        assert (np.abs(found - heads) <= 0.501 / 127 * np.abs(heads).max(2, keepdims=True)).all()


@pytest.mark.parametrize("heads", [(4, 2, 16), (6, 2, 64), (5, 1, 128), (4, 1, 192)])
def test_attention_over_int8_pages_is_that_over_their_numbers(
    kernels: Kernels, heads: tuple[int, int, int]
) -> None:
    """Heads of 64, 128 ... are multiplied as whole numbers, with queries of 8 bits and weights of 16."""
    config = replace(TINY, heads=heads[0], kv_heads=heads[1], head_dim=heads[2])
    small, full = storage(config, 8, 64, "int8"), storage(config, 8, 64)
    rows = small.row_index(np.arange(8 * SIZE + SIZE + 64, dtype=np.int32))
    for layer in range(TINY.layers):
        small.write(layer, rows, *numbers(layer, 2, len(rows), config.kv_heads * config.head_dim))
        read = small.read_keys(layer, rows), small.read_values(layer, rows)
        full.write(layer, rows, *(part.reshape(len(rows), -1) for part in read))
    view, queries = mixed_view(small), numbers(9, 9, config.heads * config.head_dim)
    seen = []
    for pages in (small, full):
        attention = CompiledAttention(kernels, pages, config.heads)
        attention.begin(view)
        seen.append(attention.attend(1, queries))
    assert norm(seen[0] - seen[1]) < (0.01 if config.head_dim % 64 == 0 else 1e-5) * norm(seen[1])
    assert not seen[0][4].any()


class Logits(CompiledLlama):
    """Only what asks about logits."""

    def __init__(self, kernels: Kernels) -> None:
        self._kernels = kernels


@pytest.mark.parametrize("vocabulary", [5, 64, 1000])
def test_best_tokens_and_entropies_are_those_of_torch(kernels: Kernels, vocabulary: int) -> None:
    rows = torch.randn(7, vocabulary, generator=torch.Generator().manual_seed(2)) * 5
    rows[3] = rows[3].round()
    logits = rows.t()
    found, wanted = Logits(kernels).measure(logits.numpy()), measure(logits)
    assert found.tokens.tolist() == rows.argmax(1).tolist()
    assert np.array_equal(found.best, wanted.best.numpy())
    np.testing.assert_allclose(found.log_totals, wanted.log_totals, rtol=1.3e-6, atol=1e-5)
    np.testing.assert_allclose(found.entropies, wanted.entropies, rtol=1e-5, atol=1e-5)
    count = min(20, vocabulary)
    best = torch.from_numpy(Logits(kernels).top_tokens(logits.numpy(), count)).long()
    assert torch.equal(rows.gather(1, best), rows.gather(1, top_tokens(logits, count)))
    assert best[3].tolist() == sorted(range(vocabulary), key=lambda token: (-rows[3, token], token))[:count]


@pytest.mark.parametrize("vocabulary", [5, 64, 1000])
def test_a_mask_leaves_what_it_allows(kernels: Kernels, vocabulary: int) -> None:
    random = np.random.default_rng(7)
    bits = random.integers(0, 256, (3, -(-vocabulary // 32) * 4), np.uint8)
    bits[1] = 255
    columns = np.array([4, 0, 2])
    logits = torch.randn(6, vocabulary, generator=torch.Generator().manual_seed(8)).t()
    wanted = logits.clone()
    allow_only(wanted, columns, bits)
    Logits(kernels).allow_only(logits.numpy(), columns, bits)
    assert torch.equal(logits, wanted)
    assert (logits == IMPOSSIBLE).any() and (logits[:, 0] != IMPOSSIBLE).all()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_hidden_states_that_are_not_finite_are_noticed(
    kernels: Kernels, tiny_model: StoredModel, tmp_path: Path, value: float
) -> None:
    whole = Whole(kernels, tiny_model, tmp_path / "prepared", PackedForm((8,)))
    hidden = np.ones((2, TINY.hidden_size), np.float32)
    hidden[1, 5] = value
    entropies = whole.compiled.measure(whole.compiled.logits(hidden)).entropies
    assert np.isfinite(entropies).tolist() == [True, False]
    assert np.isfinite(whole.compiled.best(hidden)[1]).tolist() == [True, False]


@pytest.mark.parametrize("rows", [1, 7, 300])
@pytest.mark.parametrize("vocabulary", [TINY.vocabulary_size, TINY.vocabulary_size - 45])
def test_the_best_token_needs_no_logits_to_be_kept(
    kernels: Kernels,
    make_model: Callable[[ModelConfig], StoredModel],
    tmp_path: Path,
    rows: int,
    vocabulary: int,
) -> None:
    config = replace(TINY, vocabulary_size=vocabulary)
    whole = Whole(kernels, make_model(config), tmp_path / "prepared", PackedForm((8,)))
    hidden = numbers(6, rows, TINY.hidden_size)
    wanted = whole.compiled.measure(whole.compiled.logits(hidden)).tokens
    assert whole.compiled.best(hidden)[0].tolist() == wanted.tolist()


def test_the_threads_are_those_of_torch(kernels: Kernels) -> None:
    """A second OpenMP in this process would mean a second pool."""
    maps = Path("/proc/self/maps").read_text()
    pools = {line.split()[-1] for line in maps.splitlines() if "libgomp" in line or "libiomp" in line}
    assert kernels.count_threads(2) == 2
    assert len(pools) == 1
