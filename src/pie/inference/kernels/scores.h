// What is asked of every distribution, in two readings of its logits.
#pragma once
#include <cmath>

#include "vectors.h"

namespace pie {

struct Statistics {
    int32_t token;  // the best one, the first of equals
    float best;  // its logit
    float log_total;  // log Σ exp(logit - best)
    float entropy;  // nats
};

inline Statistics statistics(const float* logits, int vocabulary) {
    Floats best = all(-INFINITY);
    Ints where = {}, at;
    for (int i = 0; i < LANES; i++) at[i] = i;
    const int whole = vocabulary / LANES * LANES;
    for (int i = 0; i < whole; i += LANES, at += LANES) {
        const Floats x = floats(logits + i);
        const Ints better = x > best;
        best = better ? x : best;
        where = better ? at : where;
    }
    float top = -INFINITY;
    int32_t token = 0;
    const auto take = [&](float x, int32_t t) {
        if (x > top || (x == top && t < token)) top = x, token = t;
    };
    for (int i = 0; i < LANES && whole; i++) take(best[i], where[i]);
    for (int i = whole; i < vocabulary; i++) take(logits[i], i);
    Floats totals = {}, products = {};
    for (int i = 0; i < vocabulary; i += LANES) {
        const bool last = i + LANES > vocabulary;
        Floats x = (last ? some_floats(logits + i, vocabulary - i) : floats(logits + i)) - top;
        Floats weight = exponential(x);
        if (last)
            for (int j = vocabulary - i; j < LANES; j++) x[j] = weight[j] = 0.0f;
        totals += weight;
        products += weight * x;
    }
    const float total = sum(totals);
    return {token, top, std::log(total), std::log(total) - sum(products) / total};
}

}  // namespace pie
