// The softmax of one head over a span of slots, to be joined with those of other spans.
#pragma once
#include <algorithm>

#include "vectors.h"

namespace pie {

constexpr float NOTHING = -1e30f;

// One head's share in one span of slots: weights are e^(score - best).
struct Partial {
    float best;
    float total;
};

// Scores to weights. There is room for a multiple of sixteen; what is too much becomes 0.
inline Partial soften(float* scores, int count) {
    const int whole = (count + LANES - 1) / LANES * LANES;
    for (int i = count; i < whole; i++) scores[i] = NOTHING;
    Floats best = all(NOTHING), total = {};
    for (int i = 0; i < whole; i += LANES) best = max(best, floats(scores + i));
    const float top = largest(best);
    for (int i = 0; i < whole; i += LANES) {
        const Floats weight = exponential(floats(scores + i) - top);
        store(scores + i, weight);
        total += weight;
    }
    return {top, sum(total)};
}

}  // namespace pie
