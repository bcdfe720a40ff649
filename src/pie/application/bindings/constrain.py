"""`pie:inferlet/constrain`: not built yet."""

from typing import NoReturn

from pie.application.guest import Guest
from pie.core.errors import Unavailable


def compile_grammar(guest: Guest, model: object, kind: object, text: object) -> NoReturn:
    raise Unavailable("compile-grammar is not built yet")


def take_grammar(guest: Guest, future: object) -> NoReturn:
    raise Unavailable("take-grammar is not built yet")


def drop_grammar(guest: Guest, grammar: object) -> NoReturn:
    raise Unavailable("drop-grammar is not built yet")


def new_matcher(guest: Guest, queue: object, grammar: object, matchers: object) -> NoReturn:
    raise Unavailable("new-matcher is not built yet")


def free_matcher(guest: Guest, queue: object, matchers: object) -> NoReturn:
    raise Unavailable("free-matcher is not built yet")


def fork_matcher(guest: Guest, queue: object, src: object, dst: object) -> NoReturn:
    raise Unavailable("fork-matcher is not built yet")


def advance_matcher(guest: Guest, queue: object, matcher: object, tokens: object) -> NoReturn:
    raise Unavailable("advance-matcher is not built yet")


def rollback_matcher(guest: Guest, queue: object, matcher: object, count: object) -> NoReturn:
    raise Unavailable("rollback-matcher is not built yet")


def read_matcher(guest: Guest, queue: object, matcher: object) -> NoReturn:
    raise Unavailable("read-matcher is not built yet")


def take_state(guest: Guest, future: object) -> NoReturn:
    raise Unavailable("take-state is not built yet")


def matcher_mask(guest: Guest, queue: object, matcher: object) -> NoReturn:
    raise Unavailable("matcher-mask is not built yet")


def get_masked_dist(guest: Guest, queue: object, emb: object, top_k: object, tokens: object, matcher: object) -> NoReturn:
    raise Unavailable("get-masked-dist is not built yet")


FUNCTIONS = (compile_grammar, take_grammar, drop_grammar, new_matcher, free_matcher, fork_matcher, advance_matcher, rollback_matcher, read_matcher, take_state, matcher_mask, get_masked_dist,)
