"""Has a driver answered what it was asked?"""

from pie.core.passes import Pass, PassResult


def fits(work: Pass, result: PassResult) -> bool:
    """Whether the result has a row for each row of the pass that asks for one."""
    count = len(work.dist_slots)
    return (
        len(result.entropies) == len(result.best_logits) == count
        and len(result.top_starts) == count + 1
        and len(result.top_tokens) == len(result.top_probs) == result.top_starts[-1]
        and len(result.chosen_logprobs) == len(work.dist_tokens)
        and len(result.score_logprobs) == len(work.score_slots)
        and len(result.sampled) == len(work.sample_slots)
    )
