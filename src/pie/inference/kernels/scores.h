// What is asked of every distribution, in two readings of its logits.
#pragma once
#include <algorithm>
#include <cmath>
#include <vector>

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

// Leaves what a mask allows (token t: bit t % 8 of byte t // 8); the others become `least`.
inline void allow_only(float* logits, int vocabulary, const uint8_t* mask, float least) {
    int i = 0;
#if defined(__AVX512F__)
    for (; i + LANES <= vocabulary; i += LANES) {
        const uint16_t allowed = load<uint16_t>(mask + i / 8);
        if (allowed != 0xffff) _mm512_mask_storeu_ps(logits + i, (__mmask16)~allowed, _mm512_set1_ps(least));
    }
#endif
    for (; i < vocabulary; i++)
        if (!(mask[i / 8] >> (i % 8) & 1)) logits[i] = least;
}

// The best token so far, the first of equals.
struct Best {
    int32_t token = 0;
    float logit = -INFINITY;
    float total = 0.0f;  // of all logits: finite where they are

    // 32 logits, of the tokens from `first` on.
    void look(const float* logits, int first) {
        const Floats a = floats(logits), b = floats(logits + LANES);
        total += sum(a + b);
        const float top = largest(max(a, b));
        if (!(top > logit)) return;
        int at = 0;
        while (logits[at] != top) at++;
        token = first + at, logit = top;
    }

    void join(const Best& other) {
        total += other.total;
        if (other.logit > logit || (other.logit == logit && other.token < token)) token = other.token, logit = other.logit;
    }
};

struct Candidate {
    float logit;
    int32_t token;

    // Better, and the first of equals.
    bool operator<(const Candidate& other) const {
        return logit > other.logit || (logit == other.logit && token < other.token);
    }
};

// The `count` best tokens, descending. One reading: whoever is no better than the worst of those held is
// passed over, sixteen at a time.
inline void top(const float* logits, int vocabulary, int count, int32_t* tokens) {
    std::vector<Candidate> held;  // a heap, its worst in front
    held.reserve(count + 1);
    float worst = -INFINITY;
    for (int i = 0; i < vocabulary; i += LANES) {
        const int left = std::min(LANES, vocabulary - i);
        if ((int)held.size() == count && left == LANES && largest(floats(logits + i)) <= worst) continue;
        for (int j = 0; j < left; j++) {
            const Candidate one{logits[i + j], i + j};
            if ((int)held.size() == count && !(one < held.front())) continue;
            held.push_back(one);
            std::push_heap(held.begin(), held.end());
            if ((int)held.size() > count) std::pop_heap(held.begin(), held.end()), held.pop_back();
        }
        if ((int)held.size() == count) worst = held.front().logit;
    }
    std::sort_heap(held.begin(), held.end());
    for (int i = 0; i < count; i++) tokens[i] = held[i].token;
}

}  // namespace pie
