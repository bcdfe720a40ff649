// All layers of a Llama or one of its relatives in one go: the threads meet between stages, and Python is left out.
#pragma once
#include <cmath>
#include <limits>
#include <mutex>
#include <optional>

#include "inputs.h"
#include "prefill.h"
#include "scores.h"

namespace pie {

struct Products {
    Product qkv;
    Product out;
    Product gate_up;  // 32 rows of the gate, 32 of the other half, and so on
    Product down;
};

struct Layer {
    const float* attention_norm;
    const float* mlp_norm;
    Products few;  // the same weights twice, for passes of few and of many inputs
    Products many;
    // What not every family has; null where there is none.
    const float* qkv_bias;  // [rows of qkv that mean something]
    const float* q_norm;  // [head_dim], like k_norm
    const float* k_norm;
    const float* attention_post_norm;
    const float* mlp_post_norm;
    int32_t windowed;  // sees what the second view shows
    int32_t turns;  // which of the pass's turns are its own
};

enum Activation : int32_t { SILU, GELU_TANH };

// Sizes with `padded` are multiples of 32; what is added is zero everywhere.
struct Model {
    int32_t layers;
    int32_t hidden;
    int32_t padded_hidden;
    int32_t padded_inner;
    int32_t padded_queries;
    int32_t threads;
    Heads heads;
    float norm_eps;
    const Layer* layer;
    const float* norm;
    Product head;
    int32_t activation;
    int32_t many;  // inputs from which on a pass has many
};

constexpr int TOKENS = 240;  // worked on with the same weights: their activations fit the second-level cache

// One over the root mean square. Infinity would be hidden by the quantisation; NaN is carried to the end and
// noticed there.
inline float share_of(const float* x, int size, int padded, float eps) {
    Floats squares = {};
    for (int i = 0; i < padded; i += LANES) squares += floats(x + i) * floats(x + i);
    const float mean = sum(squares) / (float)size;
    return std::isfinite(mean) ? 1.0f / std::sqrt(mean + eps) : std::numeric_limits<float>::quiet_NaN();
}

inline void normalise(const float* x, const float* weight, int size, int padded, float eps, float* to) {
    const float share = share_of(x, size, padded, eps);
    for (int i = 0; i < padded; i += LANES) store(to + i, floats(x + i) * floats(weight + i) * share);
}

// `x`, normalised, is added to `to`.
inline void add_normalised(const float* x, const float* weight, int size, int padded, float eps, float* to) {
    const float share = share_of(x, size, padded, eps);
    for (int i = 0; i < padded; i += LANES) store(to + i, floats(to + i) + floats(x + i) * floats(weight + i) * share);
}

// One head, in place; of any length.
inline void normalise_head(float* x, const float* weight, int head_dim, float eps) {
    float squares = 0.0f;
    for (int i = 0; i < head_dim; i++) squares += x[i] * x[i];
    const float share = 1.0f / std::sqrt(squares / (float)head_dim + eps);
    for (int i = 0; i < head_dim; i++) x[i] *= weight[i] * share;
}

// x * sigmoid(x).
inline Floats silu(Floats x) { return x / (exponential(-x) + 1.0f); }

// GELU with tanh, which is x * sigmoid(2 z).
inline Floats gelu(Floats x) {
    const Floats z = (x + x * x * x * 0.044715f) * 0.7978845608f;
    return x / (exponential(-2.0f * z) + 1.0f);
}

// The activation of `gate`, times `up`.
inline Floats activate(Activation kind, const float* gate, const float* up) {
    const Floats g = floats(gate);
    return (kind == SILU ? silu(g) : gelu(g)) * floats(up);
}

// Turns pairs of neighbours by (cos, sin) pairs of `turns`.
inline void turn(const float* from, const float* turns, int head_dim, float scale, float* to) {
    constexpr Ints EVEN = {0, 0, 2, 2, 4, 4, 6, 6, 8, 8, 10, 10, 12, 12, 14, 14}, ODD = EVEN + 1;
    constexpr Ints PARTNER = {1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14};
    constexpr Floats SIGN = {-1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1};
    const int whole = head_dim / LANES * LANES;
    for (int i = 0; i < whole; i += LANES) {
        const Floats x = floats(from + i) * scale, pairs = floats(turns + i);
        const Floats across = __builtin_shuffle(x, PARTNER) * (__builtin_shuffle(pairs, ODD) * SIGN);
        store(to + i, fused(x, __builtin_shuffle(pairs, EVEN), across));
    }
    for (int i = whole; i < head_dim; i += 2) {
        const float a = from[i] * scale, b = from[i + 1] * scale;
        to[i] = a * turns[i] - b * turns[i + 1];
        to[i + 1] = a * turns[i + 1] + b * turns[i];
    }
}

// y (+)= product of x, all tokens, shared by the team.
template <bool ADD>
void multiply_shared(Member& member, int threads, const Product& p, const Inputs& x, int tokens, float* y, int stride) {
    const int parts = (tokens + TOKENS - 1) / TOKENS, pairs = p.pairs(), chunk = chunk_of(pairs, threads);
    member.share(PRODUCT, parts * pairs, chunk, [&](int item) {
        const int first = item / pairs * TOKENS, pair = item % pairs;
        const int count = std::min(TOKENS, tokens - first), soon = next_item(item, chunk, threads) % pairs;
        x.multiply<ADD>(p, pair, soon, first, count, y + (size_t)first * stride + pair * PAIR, stride);
    });
}

// One pass through the layers. Buffers grow and are kept for the next one.
class Layers {
public:
    Layers(const Model& model, const Pages& pages) : model_(model), pages_(pages) {}

    Times times;

    // `hidden` is [inputs, padded_hidden] and changed in place; `turns` [kinds, inputs, head_dim] (cos, sin)
    // pairs. `windowed`: what layers with a window see, perhaps `view` itself.
    void run(const View& view, const View& windowed, float* hidden, const float* turns) {
        const bool apart = &view != &windowed;
        RowWork rows(view, model_.heads, pages_);
        BlockWork blocks(view, model_.heads, pages_);
        std::optional<RowWork> window_rows;
        std::optional<BlockWork> window_blocks;
        if (apart) window_rows.emplace(windowed, model_.heads, pages_);
        if (apart) window_blocks.emplace(windowed, model_.heads, pages_);
        reserve(view);
        const size_t kind = (size_t)view.inputs * model_.heads.head_dim;
        together(model_.threads, model_.layers * STAGES, &times, [&](Member& member) {
            Whole whole;
            for (int index = 0; index < model_.layers; index++) {
                const Layer& layer = model_.layer[index];
                const bool narrow = apart && layer.windowed;
                attend(
                    member, index, view, narrow ? *window_rows : rows, narrow ? *window_blocks : blocks, whole,
                    hidden, turns + layer.turns * kind
                );
                transform(member, layer, products(layer, view), view.inputs, hidden);
            }
        });
    }

    // [rows, padded_hidden] before the last norm to logits [rows, padded vocabulary].
    void logits(const float* hidden, int rows, float* to) {
        normed_.reserve(rows, model_.head);
        grow(work_, (size_t)rows * model_.padded_hidden);
        together(model_.threads, 2, &times, [&](Member& member) {
            norm(member, model_.norm, hidden, rows);
            multiply_shared<false>(member, model_.threads, model_.head, normed_, rows, to, model_.head.rows);
        });
    }

    // The best of the first `vocabulary` tokens for each row: logits are looked at where they are made, and not kept.
    void best(const float* hidden, int rows, int vocabulary, Best* to) {
        normed_.reserve(rows, model_.head);
        grow(work_, (size_t)rows * model_.padded_hidden);
        const int parts = (rows + TOKENS - 1) / TOKENS, pairs = (vocabulary + PAIR - 1) / PAIR;
        const int threads = model_.threads, chunk = chunk_of(pairs, threads);
        std::mutex joining;
        together(threads, 2, &times, [&](Member& member) {
            norm(member, model_.norm, hidden, rows);
            std::vector<Best> found(rows);
            member.share(PRODUCT, parts * pairs, chunk, [&](int item) {
                float logits[TOKENS * PAIR];
                const int first = item / pairs * TOKENS, pair = item % pairs, count = std::min(TOKENS, rows - first);
                normed_.multiply<false>(
                    model_.head, pair, next_item(item, chunk, threads) % pairs, first, count, logits, PAIR
                );
                for (int t = 0; t < count; t++) {
                    for (int i = vocabulary - pair * PAIR; i < PAIR; i++) logits[t * PAIR + i] = NOTHING;
                    found[first + t].look(logits + t * PAIR, pair * PAIR);
                }
            });
            const std::lock_guard<std::mutex> one(joining);
            for (int row = 0; row < rows; row++) to[row].join(found[row]);
        });
    }

private:
    static constexpr int STAGES = 13;

    const Products& products(const Layer& layer, const View& view) const {
        return view.inputs >= model_.many ? layer.many : layer.few;
    }

    void reserve(const View& view) {
        const size_t inputs = view.inputs;
        const Products& products = this->products(model_.layer[0], view);
        normed_.reserve(inputs, products.qkv);
        inner_.reserve(inputs, products.down);
        seen_.reserve(inputs, products.out);
        grow(work_, inputs * std::max(model_.padded_hidden, model_.padded_inner));
        grow(qkv_, inputs * products.qkv.rows);
        grow(summed_, inputs * model_.padded_queries);
        if (model_.layer[0].attention_post_norm) grow(added_, inputs * model_.padded_hidden);
        row_of_.assign(inputs, -1);
        for (int row = 0; row < view.rows; row++) row_of_[view.row_inputs[row]] = row;
    }

    void norm(Member& member, const float* weight, const float* hidden, int tokens) {
        const int padded = model_.padded_hidden;
        member.share(REST, tokens, large_chunk_of(tokens, model_.threads), [&](int t) {
            float* to = &work_[(size_t)t * padded];
            normalise(hidden + (size_t)t * padded, weight, model_.hidden, padded, model_.norm_eps, to);
            normed_.put(t, to);
        });
    }

    void attend(
        Member& member, int layer, const View& view, RowWork& rows, BlockWork& blocks, Whole& whole,
        float* hidden, const float* turns
    ) {
        const Layer& weights = model_.layer[layer];
        const Heads& heads = model_.heads;
        const Products& products = this->products(weights, view);
        const int stride = products.qkv.rows, padded = model_.padded_queries, threads = model_.threads;
        const int inputs = view.inputs;
        norm(member, weights.attention_norm, hidden, inputs);
        multiply_shared<false>(member, threads, products.qkv, normed_, inputs, qkv_.data(), stride);
        member.share(REST, inputs, large_chunk_of(inputs, threads), [&](int t) {
            float* qkv = &qkv_[(size_t)t * stride];
            ready(weights, qkv);
            turn_and_store(layer, view.places[t], qkv, turns + (size_t)t * heads.head_dim);
        });
        member.share(ATTENTION, rows.spans(), rows.chunk(threads), [&](int i) {
            rows.attend(i, layer, qkv_.data(), stride, whole.span);
        });
        member.share(ATTENTION, blocks.tiles(), 1, [&](int i) {
            blocks.attend(i, layer, qkv_.data(), summed_.data(), stride, padded, whole.tile);
        });
        member.share(REST, inputs, large_chunk_of(inputs, threads), [&](int t) {
            if (row_of_[t] >= 0) rows.finish(row_of_[t], summed_.data(), padded);
            seen_.put(t, &summed_[(size_t)t * padded]);
        });
        add(member, products.out, weights.attention_post_norm, seen_, inputs, hidden);
    }

    // Product of `x` to `hidden`, normalised in between where there is a norm.
    void add(Member& member, const Product& product, const float* norm, const Inputs& x, int tokens, float* hidden) {
        const int padded = model_.padded_hidden, threads = model_.threads;
        if (!norm) return multiply_shared<true>(member, threads, product, x, tokens, hidden, padded);
        multiply_shared<false>(member, threads, product, x, tokens, added_.data(), padded);
        member.share(REST, tokens, large_chunk_of(tokens, threads), [&](int t) {
            const size_t at = (size_t)t * padded;
            add_normalised(&added_[at], norm, model_.hidden, padded, model_.norm_eps, hidden + at);
        });
    }

    // Bias and norms of single heads.
    void ready(const Layer& layer, float* qkv) const {
        const Heads& heads = model_.heads;
        const int dim = heads.head_dim, rows = heads.stride() + 2 * heads.kv_count * dim;
        if (layer.qkv_bias)
            for (int i = 0; i < rows; i++) qkv[i] += layer.qkv_bias[i];
        if (!layer.q_norm) return;
        for (int h = 0; h < heads.count + heads.kv_count; h++)
            normalise_head(qkv + h * dim, h < heads.count ? layer.q_norm : layer.k_norm, dim, model_.norm_eps);
    }

    void turn_and_store(int layer, int place, float* qkv, const float* turns) {
        const Heads& heads = model_.heads;
        const int dim = heads.head_dim;
        const float scale = 1.0f / std::sqrt((float)dim);
        for (int h = 0; h < heads.count; h++) turn(qkv + h * dim, turns, dim, scale, qkv + h * dim);
        float *key = qkv + heads.stride(), *value = key + heads.kv_count * dim;
        const Cells keys = pages_.keys(layer), values = pages_.values(layer);
        for (int h = 0; h < heads.kv_count; h++, key += dim, value += dim) {
            turn(key, turns, dim, 1.0f, key);
            keep(pages_, keys, place, h, key);
            keep(pages_, values, place, h, value);
        }
    }

    void transform(Member& member, const Layer& weights, const Products& products, int tokens, float* hidden) {
        const int threads = model_.threads, padded = model_.padded_inner;
        const int columns = padded / GROUP, parts = (tokens + TOKENS - 1) / TOKENS;
        norm(member, weights.mlp_norm, hidden, tokens);
        const int chunk = chunk_of(columns, threads);
        member.share(PRODUCT, parts * columns, chunk, [&](int item) {
            const int first = item / columns * TOKENS, soon = next_item(item, chunk, threads) % columns;
            transform_columns(products.gate_up, item % columns, soon, first, std::min(TOKENS, tokens - first));
        });
        if (inner_.whole())
            member.share(REST, tokens, large_chunk_of(tokens, threads), [&](int t) { inner_.put(t, &work_[(size_t)t * padded]); });
        add(member, products.down, weights.mlp_post_norm, inner_, tokens, hidden);
    }

    // 32 columns of the inner activations.
    void transform_columns(const Product& gate_up, int column, int soon, int first, int count) {
        float gate[TOKENS * GROUP], up[TOKENS * GROUP];
        normed_.multiply<false>(gate_up, 2 * column, 2 * column + 1, first, count, gate, GROUP);
        normed_.multiply<false>(gate_up, 2 * column + 1, 2 * soon, first, count, up, GROUP);
        const Activation kind = (Activation)model_.activation;
        for (int t = 0; t < count; t++) {
            const float *g = gate + t * GROUP, *u = up + t * GROUP;
            const Floats low = activate(kind, g, u), high = activate(kind, g + LANES, u + LANES);
            if (!inner_.whole()) {
                inner_.put_group(first + t, column, low, high);
                continue;
            }
            float* to = &work_[(size_t)(first + t) * model_.padded_inner + column * GROUP];
            store(to, low);
            store(to + LANES, high);
        }
    }

    const Model model_;
    const Pages pages_;
    Inputs normed_, inner_, seen_;
    std::vector<float> work_;  // what is to be rounded
    std::vector<float> qkv_, summed_, added_;
    std::vector<int> row_of_;
};

}  // namespace pie
