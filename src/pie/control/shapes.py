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
        and len(result.attention) == sum(pages + 1 for pages in watched_pages(work))
        and len(result.sampled) == len(work.sample_slots)
        and 2 * len(result.matcher_answer_starts) - 2 == len(work.matcher_reads)
        and len(result.matcher_answers) == result.matcher_answer_starts[-1]
    )


def watched_pages(work: Pass) -> list[int]:
    """How many pages each watched segment reads."""
    starts = work.read_starts
    return [starts[segment + 1] - starts[segment] for segment in work.watched]
