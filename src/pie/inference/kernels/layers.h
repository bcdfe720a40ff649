// All layers of a Llama in one go: the threads meet between stages, and Python is left out.
#pragma once
#include <cmath>
#include <limits>

#include "prefill.h"
#include "products.h"

namespace pie {

struct Layer {
    const float* attention_norm;
    const float* mlp_norm;
    Product qkv;
    Product out;
    Product gate_up;  // 32 rows of the gate, 32 of the other half, and so on
    Product down;
};

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
};

constexpr int TOKENS = 256;  // worked on with the same weights: their activations fit the second-level cache

inline void normalise(const float* x, const float* weight, int size, int padded, float eps, Quantised* to) {
    Floats squares = {};
    for (int i = 0; i < padded; i += LANES) squares += floats(x + i) * floats(x + i);
    const float mean = sum(squares) / (float)size;
    // Infinity would be hidden by the quantisation; NaN is carried to the end and noticed there.
    const float share = std::isfinite(mean) ? 1.0f / std::sqrt(mean + eps) : std::numeric_limits<float>::quiet_NaN();
    for (int i = 0; i < padded; i += GROUP) {
        const Floats low = floats(x + i) * floats(weight + i) * share;
        const Floats high = floats(x + i + LANES) * floats(weight + i + LANES) * share;
        quantise(low, high, *to++);
    }
}

// `gate` to gate * sigmoid(gate) * up, 32 numbers, as one group.
inline void activate(const float* gate, const float* up, Quantised& to) {
    Floats result[2];
    for (int v = 0; v < 2; v++) {
        const Floats g = floats(gate + v * LANES);
        result[v] = g / (exponential(-g) + 1.0f) * floats(up + v * LANES);
    }
    quantise(result[0], result[1], to);
}

// Turns pairs of neighbours by (cos, sin) pairs of `turns`.
inline void turn(const float* from, const float* turns, int head_dim, float scale, float* to) {
    for (int i = 0; i < head_dim; i += 2) {
        const float a = from[i] * scale, b = from[i + 1] * scale;
        to[i] = a * turns[i] - b * turns[i + 1];
        to[i + 1] = a * turns[i + 1] + b * turns[i];
    }
}

// y (+)= product of x, all tokens, shared by the team.
template <bool ADD>
void multiply_shared(Member& member, int threads, const Product& p, const Quantised* x, int tokens, float* y, int stride) {
    const int parts = (tokens + TOKENS - 1) / TOKENS, pairs = p.pairs(), groups = p.groups();
    member.share(PRODUCT, parts * pairs, chunk_of(pairs, threads), [&](int item) {
        const int first = item / pairs * TOKENS, pair = item % pairs;
        const int count = std::min(TOKENS, tokens - first);
        multiply<ADD>(p, pair, x + (size_t)first * groups, count, y + (size_t)first * stride + pair * PAIR, stride);
    });
}

// One pass through the layers. Buffers grow and are kept for the next one.
class Layers {
public:
    Layers(const Model& model, const Pages& pages) : model_(model), pages_(pages) {}

    Times times;

    // `hidden` is [inputs, padded_hidden] and changed in place; `turns` [inputs, head_dim] (cos, sin) pairs.
    void run(const View& view, float* hidden, const float* turns) {
        RowWork rows(view, model_.heads, pages_);
        BlockWork blocks(view, model_.heads, pages_);
        reserve(view);
        together(model_.threads, model_.layers * STAGES, &times, [&](Member& member) {
            for (int layer = 0; layer < model_.layers; layer++) {
                attend(member, layer, view, rows, blocks, hidden, turns);
                transform(member, model_.layer[layer], view.inputs, hidden);
            }
        });
    }

    // [rows, padded_hidden] before the last norm to logits [rows, padded vocabulary].
    void logits(const float* hidden, int rows, float* to) {
        normed_.resize(std::max(normed_.size(), (size_t)rows * model_.padded_hidden / GROUP));
        together(model_.threads, 2, &times, [&](Member& member) {
            norm(member, model_.norm, hidden, rows);
            multiply_shared<false>(member, model_.threads, model_.head, normed_.data(), rows, to, model_.head.rows);
        });
    }

private:
    static constexpr int STAGES = 10;

    void reserve(const View& view) {
        const size_t inputs = view.inputs;
        const auto grow = [](auto& buffer, size_t size) { if (buffer.size() < size) buffer.resize(size); };
        grow(normed_, inputs * model_.padded_hidden / GROUP);
        grow(inner_, inputs * model_.padded_inner / GROUP);
        grow(seen_, inputs * model_.padded_queries / GROUP);
        grow(qkv_, inputs * model_.layer[0].qkv.rows);
        grow(summed_, inputs * model_.padded_queries);
        row_of_.assign(inputs, -1);
        for (int row = 0; row < view.rows; row++) row_of_[view.row_inputs[row]] = row;
    }

    void norm(Member& member, const float* weight, const float* hidden, int tokens) {
        const int padded = model_.padded_hidden;
        member.share(REST, tokens, chunk_of(tokens, model_.threads), [&](int t) {
            Quantised* to = &normed_[(size_t)t * padded / GROUP];
            normalise(hidden + (size_t)t * padded, weight, model_.hidden, padded, model_.norm_eps, to);
        });
    }

    void attend(
        Member& member, int layer, const View& view, RowWork& rows, BlockWork& blocks, float* hidden,
        const float* turns
    ) {
        const Layer& weights = model_.layer[layer];
        const Heads& heads = model_.heads;
        const int stride = weights.qkv.rows, padded = model_.padded_queries, threads = model_.threads;
        const int inputs = view.inputs, groups = padded / GROUP;
        norm(member, weights.attention_norm, hidden, inputs);
        multiply_shared<false>(member, threads, weights.qkv, normed_.data(), inputs, qkv_.data(), stride);
        member.share(REST, inputs, chunk_of(inputs, threads), [&](int t) {
            turn_and_store(layer, view.places[t], &qkv_[(size_t)t * stride], turns + (size_t)t * heads.head_dim);
        });
        member.share(ATTENTION, rows.spans(), chunk_of(rows.spans(), threads), [&](int i) {
            rows.attend(i, layer, qkv_.data(), stride);
        });
        member.share(ATTENTION, blocks.tiles(), 1, [&](int i) {
            blocks.attend(i, layer, qkv_.data(), summed_.data(), stride, padded);
        });
        member.share(REST, inputs, chunk_of(inputs, threads), [&](int t) {
            if (row_of_[t] >= 0) rows.finish(row_of_[t], summed_.data(), padded);
            quantise_row(&summed_[(size_t)t * padded], padded, &seen_[(size_t)t * groups]);
        });
        multiply_shared<true>(member, threads, weights.out, seen_.data(), inputs, hidden, model_.padded_hidden);
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

    void transform(Member& member, const Layer& weights, int tokens, float* hidden) {
        const int threads = model_.threads, groups = model_.padded_hidden / GROUP;
        const int columns = model_.padded_inner / GROUP, parts = (tokens + TOKENS - 1) / TOKENS;
        norm(member, weights.mlp_norm, hidden, tokens);
        member.share(PRODUCT, parts * columns, chunk_of(columns, threads), [&](int item) {
            const int first = item / columns * TOKENS, column = item % columns;
            const int count = std::min(TOKENS, tokens - first);
            float gate[TOKENS * GROUP], up[TOKENS * GROUP];
            const Quantised* x = &normed_[(size_t)first * groups];
            multiply<false>(weights.gate_up, 2 * column, x, count, gate, GROUP);
            multiply<false>(weights.gate_up, 2 * column + 1, x, count, up, GROUP);
            Quantised* to = &inner_[(size_t)first * columns + column];
            for (int t = 0; t < count; t++) activate(gate + t * GROUP, up + t * GROUP, to[(size_t)t * columns]);
        });
        multiply_shared<true>(member, threads, weights.down, inner_.data(), tokens, hidden, model_.padded_hidden);
    }

    const Model model_;
    const Pages pages_;
    std::vector<Quantised> normed_, inner_, seen_;
    std::vector<float> qkv_, summed_;
    std::vector<int> row_of_;
};

}  // namespace pie
