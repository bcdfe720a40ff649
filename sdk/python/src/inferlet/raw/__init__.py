"""Every call of the contract under its published name; what the library above is made of.

Pages and embeddings are numbers that the program chooses itself (below 2**20: the library takes its own from
there on). A call that takes a queue is executed later, in the queue's order; it returns at once, and raises
at once if an argument is wrong or an id unknown. What fails later poisons the queue: its later calls and
futures fail with that error until `reset_queue`.

Wrong types raise `TypeError`, everything else a subclass of `InferletError`.
"""

from inferlet.futures import poll, wait_any
from inferlet.raw.allocate import (
    Span,
    alloc_emb,
    alloc_kvpage,
    copy_kvpage,
    dealloc_emb,
    dealloc_kvpage,
    demote_kvpage,
    export_kvpage,
    exported_kvpages,
    find_kvpages,
    fork_kvpage,
    import_kvpage,
    kvpage_size,
    on_pressure,
    prefetch_kvpage,
    retain_kvpage,
    unexport_kvpage,
)
from inferlet.raw.constrain import (
    MatcherState,
    advance_matcher,
    compile_grammar,
    drop_grammar,
    fork_matcher,
    free_matcher,
    get_masked_dist,
    matcher_mask,
    new_matcher,
    read_matcher,
    rollback_matcher,
)
from inferlet.raw.core_runtime import (
    available_models,
    available_traits,
    create_queue,
    debug_query,
    get_arg,
    get_instance_id,
    get_version,
    log,
    log_error,
    now,
    receive,
    receive_blob,
    reset_queue,
    send,
    send_blob,
    set_queue_priority,
    sleep,
    synchronize,
    usage,
)
from inferlet.raw.forwards import available_adapters, forward, forward_with_adapter, mask_kvpage
from inferlet.raw.http import Header, Response, http_get, http_post
from inferlet.raw.input_image import embed_img, num_embs_needed
from inferlet.raw.input_text import embed_txt
from inferlet.raw.introspect import attention_stats
from inferlet.raw.output_text import get_next_dist
from inferlet.raw.score import logprobs
from inferlet.raw.slots import (
    SamplingSpec,
    TokenRun,
    alloc_slot,
    dealloc_slot,
    decode_ahead,
    embed_slot,
    read_slots,
    sample,
)
from inferlet.raw.spawning import (
    Function,
    Myself,
    Named,
    Source,
    cancel_child,
    receive_blob_from_child,
    receive_from_child,
    send_blob_to_child,
    send_to_child,
    spawn,
    wait_child,
)
from inferlet.raw.store import store_delete, store_exists, store_get, store_list_keys, store_set
from inferlet.raw.tokens import apply_chat_template, detokenize, get_vocabs, token_bytes, tokenize
from inferlet.raw.topics import broadcast, next_message, subscribe, unsubscribe

__all__ = [
    "Function", "Header", "MatcherState", "Myself", "Named", "Response", "SamplingSpec", "Source",
    "Span", "TokenRun", "advance_matcher", "alloc_emb", "alloc_kvpage", "alloc_slot",
    "apply_chat_template", "attention_stats", "available_adapters", "available_models",
    "available_traits", "broadcast", "cancel_child", "compile_grammar", "copy_kvpage", "create_queue",
    "dealloc_emb", "dealloc_kvpage", "dealloc_slot", "debug_query", "decode_ahead", "demote_kvpage",
    "detokenize", "drop_grammar", "embed_img", "embed_slot", "embed_txt", "export_kvpage",
    "exported_kvpages", "find_kvpages", "fork_kvpage", "fork_matcher", "forward",
    "forward_with_adapter", "free_matcher", "get_arg", "get_instance_id", "get_masked_dist",
    "get_next_dist", "get_version", "get_vocabs", "http_get", "http_post", "import_kvpage",
    "kvpage_size", "log", "log_error", "logprobs", "mask_kvpage", "matcher_mask", "new_matcher",
    "next_message", "now", "num_embs_needed", "on_pressure", "poll", "prefetch_kvpage", "read_matcher",
    "read_slots", "receive", "receive_blob", "receive_blob_from_child", "receive_from_child",
    "reset_queue", "retain_kvpage", "rollback_matcher", "sample", "send", "send_blob",
    "send_blob_to_child", "send_to_child", "set_queue_priority", "sleep", "spawn", "store_delete",
    "store_exists", "store_get", "store_list_keys", "store_set", "subscribe", "synchronize",
    "token_bytes", "tokenize", "unexport_kvpage", "unsubscribe", "usage", "wait_any", "wait_child",
]
