"""Text becomes the tokens the model was trained on, and tokens become exactly the text they came from."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from pie.core.errors import BadModel, InvalidArgument
from pie.core.progress import NoProgress
from pie.models import ModelStore, ModelTokenizer, load_tokenizer, model_info
from pie.models.tiny import TINY, write_tiny_llama
from pie.models.tiny_gguf import write_tiny_gguf

TEXTS = [
    "",
    "Hello world",
    "the robot and the robot",
    "def f(x):\n\treturn x  # é 😀 日本語",
    "  leading, trailing  \n\n",
    "👩‍👩‍👧 flags 🇩🇪 zero\x00width\u200bjoin",
    "a<|im_end|>b<|im_start|>",
    "don't, I'll, WE'VE",
    "\u00a0\u2003\r\n\t x",
    "12 345 6.7e8",
]
WHOLE_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)

# All but the last as transformers reads the same file. The last follows from the splitting that the file
# names ("smollm": each digit alone, and the space before it too), which transformers does not know.
SMOLLM2 = {
    "Hello world": [19556, 905],
    "def f(x):\n\treturn x  # é": [1604, 275, 24, 104, 727, 198, 197, 5406, 1792, 216, 907, 26411],
    "  leading, trailing  \n\n": [216, 2899, 28, 35079, 256, 1116],
    "don't, I'll, WE'VE": [12420, 982, 28, 339, 3060, 28, 26587, 23, 18525],
    "<|im_start|>user\nhi<|im_end|>\n": [1, 4093, 198, 6004, 2, 198],
    "12 34  567 a1b2": [33, 34, 216, 35, 36, 256, 37, 38, 39, 253, 33, 82, 34],
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_gguf_tokenizer_gives_what_transformers_makes_of_it(
    tmp_path: Path, store: ModelStore, text: str
) -> None:
    path = write_tiny_gguf(tmp_path / "tiny.gguf")
    ours = load_tokenizer(store.pull(str(path), NoProgress()))
    theirs = AutoTokenizer.from_pretrained(tmp_path, gguf_file=path.name)
    tokens = theirs.encode(text, add_special_tokens=False)
    assert ours.encode(text) == tokens
    assert ours.decode(tokens) == theirs.decode(
        tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
    )


@given(WHOLE_TEXTS)
def test_any_text_survives_the_way_to_tokens_and_back(tiny_tokenizer: ModelTokenizer, text: str) -> None:
    tokens = tiny_tokenizer.encode(text)
    assert tiny_tokenizer.decode(tokens) == text
    assert tiny_tokenizer.token_bytes(tokens) == text.encode()


@given(st.lists(st.integers(0, 319)), st.lists(st.integers(0, 319)))
def test_the_bytes_of_a_stream_do_not_depend_on_where_it_is_cut(
    tiny_tokenizer: ModelTokenizer, first: list[int], second: list[int]
) -> None:
    whole = tiny_tokenizer.token_bytes(first + second)
    assert whole == tiny_tokenizer.token_bytes(first) + tiny_tokenizer.token_bytes(second)
    assert tiny_tokenizer.decode(first + second) == whole.decode(errors="replace")


def test_special_tokens_are_recognised_and_give_no_text(tiny_tokenizer: ModelTokenizer) -> None:
    tokens = tiny_tokenizer.encode("a<|im_end|>b")
    assert 2 in tokens
    assert tiny_tokenizer.decode(tokens) == "ab"
    assert tiny_tokenizer.token_bytes([0, 1, 2]) == b""


def test_the_vocabulary_has_an_entry_for_every_row_of_the_model(tiny_tokenizer: ModelTokenizer) -> None:
    vocabulary = tiny_tokenizer.vocabulary()
    assert len(vocabulary) == 320
    assert vocabulary[2] == b""
    assert sorted(vocabulary[3:259]) == [bytes([byte]) for byte in range(256)]
    assert vocabulary[319] == b""


@pytest.mark.parametrize("token", [-1, 320, 2**31, 2**70])
def test_a_token_that_does_not_exist_is_named(tiny_tokenizer: ModelTokenizer, token: int) -> None:
    for call in (tiny_tokenizer.decode, tiny_tokenizer.token_bytes):
        with pytest.raises(InvalidArgument, match=f"token {token} does not exist"):
            call([5, token])


def test_half_a_surrogate_pair_is_an_error(tiny_tokenizer: ModelTokenizer) -> None:
    with pytest.raises(InvalidArgument, match="surrogate"):
        tiny_tokenizer.encode("a\ud800b")


@pytest.mark.parametrize(
    ("metadata", "complaint"),
    [
        ({"tokenizer.ggml.pre": "unheard-of"}, "'unheard-of', which is not supported"),
        ({"tokenizer.ggml.model": "bert"}, "'bert'.*tokenizer.json"),
        ({"tokenizer.ggml.eos_token_id": 10**6}, "eos_token_id.*1000000"),
        ({"tokenizer.chat_template": "{% for %}"}, "chat template does not compile"),
    ],
)
def test_a_gguf_tokenizer_we_cannot_be_sure_of_is_refused(
    tmp_path: Path, store: ModelStore, metadata: dict[str, str | int | float | bool], complaint: str
) -> None:
    path = write_tiny_gguf(tmp_path / "tiny.gguf", metadata=metadata)
    with pytest.raises(BadModel, match=complaint):
        store.pull(str(path), NoProgress())


@pytest.mark.parametrize("pre", ["smollm", "llama-bpe", "qwen2", "gpt-2"])
def test_every_way_of_splitting_keeps_the_text(tmp_path: Path, store: ModelStore, pre: str) -> None:
    path = write_tiny_gguf(tmp_path / "tiny.gguf", metadata={"tokenizer.ggml.pre": pre})
    tokenizer = load_tokenizer(store.pull(str(path), NoProgress()))
    for text in TEXTS:
        expected = text.replace("<|im_end|>", "").replace("<|im_start|>", "")
        assert tokenizer.decode(tokenizer.encode(text)) == expected


def test_a_model_that_begins_texts_with_a_token_says_which(tmp_path: Path, store: ModelStore) -> None:
    for name, add in (("with", True), ("without", False)):
        path = write_tiny_gguf(tmp_path / f"{name}.gguf", metadata={"tokenizer.ggml.add_bos_token": add})
        model = store.pull(str(path), NoProgress())
        assert model_info(model, 16).bos_token == (1 if add else None)
        assert load_tokenizer(model).encode("a")[0] != 1


def test_a_tokenizer_larger_than_the_model_is_refused(tiny_folder: Path, store: ModelStore) -> None:
    text = (tiny_folder / "tokenizer.json").read_text()
    (tiny_folder / "tokenizer.json").write_text(text.replace('"robot":', '"robot!": 320, "robot":'))
    with pytest.raises(BadModel, match="does not fit the model: token 320 of 320"):
        store.pull(str(tiny_folder), NoProgress())


def test_a_tokenizer_far_too_small_for_the_weights_is_refused(tmp_path: Path, store: ModelStore) -> None:
    folder = write_tiny_llama(tmp_path / "large", replace(TINY, vocabulary_size=1000))
    with pytest.raises(BadModel, match=r"has \d+ tokens, the weights have rows for 1,000"):
        store.pull(str(folder), NoProgress())


@pytest.mark.model
@pytest.mark.parametrize("text", SMOLLM2)
def test_the_default_model_gets_the_tokens_it_was_trained_on(
    default_tokenizer: ModelTokenizer, text: str
) -> None:
    assert default_tokenizer.encode(text) == SMOLLM2[text]


@pytest.mark.model
@given(WHOLE_TEXTS)
def test_any_text_survives_the_default_model_s_tokens(default_tokenizer: ModelTokenizer, text: str) -> None:
    """Except for some control characters: the model was trained without tokens for them."""
    known = set(default_tokenizer.vocabulary())
    assume(all(bytes([byte]) in known for byte in text.encode()))
    assert default_tokenizer.decode(default_tokenizer.encode(text)) == text
