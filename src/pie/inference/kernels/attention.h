// Attention that walks the pages where they lie. Grouped-query heads share each load of a key or value.
#pragma once
#include <vector>

#include "team.h"
#include "vectors.h"

namespace pie {

// Where a layer's keys and values lie: row r of key-value head h begins at r * width + h * head_dim.
struct Cells {
    const float* keys;
    const float* values;
    int32_t width;
    int32_t head_dim;
};

// Inputs that see one mask row each of the same slots: prefill.
struct Block {
    int32_t first;
    int32_t last;
    int32_t count;
    int32_t unused;
    const int32_t* slots;
    const uint8_t* mask;  // [last - first, count]
};

// What each input sees. `rows` are inputs with a list of slots of their own: decoding.
struct View {
    int32_t inputs;
    int32_t rows;
    int32_t blocks;
    int32_t unused;
    const int32_t* places;  // storage row each input's own key and value go to
    const int32_t* row_inputs;
    const int32_t* slots;  // storage rows
    const int64_t* starts;  // [rows + 1]
    const Block* block;
};

struct Heads {
    int32_t count;
    int32_t kv_count;
    int32_t head_dim;

    int group() const { return count / kv_count; }
    int stride() const { return count * head_dim; }
};

constexpr int MOST_VECTORS = 16;  // head_dim up to 256
constexpr int AT_ONCE = 4;  // query heads that share a load
constexpr int SHORTEST_SPAN = 64;
constexpr int LONGEST_SPAN = 1024;
constexpr float NOTHING = -1e30f;

// A row of head_dim numbers as V vectors; the last may be partly filled.
template <int V>
struct Row {
    Floats part[V];

    Row() = default;
    Row(const float* from, int head_dim) {
        for (int v = 0; v < V; v++) {
            const int left = head_dim - v * LANES;
            if (left >= LANES) part[v] = floats(from + v * LANES);
            else part[v] = left > 0 ? some_floats(from + v * LANES, left) : Floats{};
        }
    }
};

// One piece of a long row: the inputs' partial sums with their own maximum and total.
struct Partial {
    float best;
    float total;
};

// A span of slots of one row and one key-value head.
struct Span {
    int32_t row;
    int32_t head;
    int64_t first;
    int64_t last;
};

// Query heads `query` to `query + H` (numbers H * head_dim) over `count` slots; unscaled sums go to `out`.
template <int V, int H>
void attend_span(
    const Cells& cells, int head, const float* query, const int32_t* slots, int count, float* scores, float* out,
    Partial* partial
) {
    const int dim = cells.head_dim;
    const size_t offset = (size_t)head * dim;
    Row<V> q[H];
    float best[H];
    for (int h = 0; h < H; h++) q[h] = Row<V>(query + h * dim, dim), best[h] = NOTHING;
    for (int i = 0; i < count; i++) {
        const Row<V> key(cells.keys + (size_t)slots[i] * cells.width + offset, dim);
        for (int h = 0; h < H; h++) {
            Floats product = q[h].part[0] * key.part[0];
            for (int v = 1; v < V; v++) product += q[h].part[v] * key.part[v];
            const float score = sum(product);
            scores[h * LONGEST_SPAN + i] = score;
            best[h] = score > best[h] ? score : best[h];
        }
    }
    for (int h = 0; h < H; h++) {
        float* score = scores + h * LONGEST_SPAN;
        for (int i = count; i < (count + LANES - 1) / LANES * LANES; i++) score[i] = NOTHING;
        Floats total = {};
        for (int i = 0; i < count; i += LANES) {
            const Floats weight = exponential(floats(score + i) - best[h]);
            store(score + i, weight);
            total += weight;
        }
        partial[h] = {best[h], sum(total)};
    }
    Floats sums[H][V] = {};
    for (int i = 0; i < count; i++) {
        const Row<V> value(cells.values + (size_t)slots[i] * cells.width + offset, dim);
        for (int h = 0; h < H; h++) {
            const Floats weight = all(scores[h * LONGEST_SPAN + i]);
            for (int v = 0; v < V; v++) sums[h][v] += weight * value.part[v];
        }
    }
    for (int h = 0; h < H; h++)
        for (int v = 0; v < V; v++) store(out + (h * V + v) * LANES, sums[h][v]);
}

// Decoding: spans of slots first, then each input puts its spans together.
class RowWork {
public:
    RowWork(const View& view, const Heads& heads, int threads) : view_(view), heads_(heads) {
        const int64_t all = view.rows ? view.starts[view.rows] * heads.kv_count : 0;
        int64_t span = all / (4 * threads);
        span = std::min<int64_t>(LONGEST_SPAN, std::max<int64_t>(SHORTEST_SPAN, span));
        vectors_ = (heads.head_dim + LANES - 1) / LANES;
        for (int row = 0; row < view.rows; row++) {
            first_span_.push_back((int)spans_.size());
            for (int64_t at = view.starts[row]; at < view.starts[row + 1]; at += span)
                for (int head = 0; head < heads.kv_count; head++)
                    spans_.push_back({row, head, at, std::min(at + span, view.starts[row + 1])});
        }
        first_span_.push_back((int)spans_.size());
        partials_.resize(spans_.size() * heads.group());
        sums_.resize(partials_.size() * vectors_ * LANES);
    }

    int spans() const { return (int)spans_.size(); }

    // `queries` are [inputs, heads * head_dim] with `stride`, already scaled.
    void attend(int index, const Cells& cells, const float* queries, int stride) {
        const Span& span = spans_[index];
        const float* query = queries + (size_t)view_.row_inputs[span.row] * stride;
        const int group = heads_.group();
        for (int h = 0; h < group; h += AT_ONCE)
            heads(cells, span, query, h, std::min(AT_ONCE, group - h), index);
    }

    // Writes the whole of input `row_inputs[row]`.
    void finish(int row, float* out, int stride) const {
        float* to = out + (size_t)view_.row_inputs[row] * stride;
        const int first = first_span_[row], last = first_span_[row + 1], group = heads_.group();
        for (int head = 0; head < heads_.kv_count; head++)
            for (int h = 0; h < group; h++)
                join(first + head, last, h, to + (size_t)(head * group + h) * heads_.head_dim);
    }

private:
    void heads(const Cells& cells, const Span& span, const float* query, int h, int count, int index) {
        switch (count) {
            case 1: return widths<1>(cells, span, query, h, index);
            case 2: return widths<2>(cells, span, query, h, index);
            case 3: return widths<3>(cells, span, query, h, index);
            default: return widths<4>(cells, span, query, h, index);
        }
    }

    template <int H>
    void widths(const Cells& cells, const Span& span, const float* query, int h, int index) {
        if (vectors_ <= 2) return run<2, H>(cells, span, query, h, index);
        if (vectors_ <= 4) return run<4, H>(cells, span, query, h, index);
        if (vectors_ <= 8) return run<8, H>(cells, span, query, h, index);
        run<MOST_VECTORS, H>(cells, span, query, h, index);
    }

    template <int V, int H>
    void run(const Cells& cells, const Span& span, const float* query, int h, int index) {
        float scores[H * LONGEST_SPAN];
        const size_t at = (size_t)index * heads_.group() + h;
        const float* from = query + (size_t)(span.head * heads_.group() + h) * heads_.head_dim;
        float sums[H * V * LANES];
        attend_span<V, H>(
            cells, span.head, from, view_.slots + span.first, (int)(span.last - span.first), scores, sums,
            &partials_[at]
        );
        for (int i = 0; i < H; i++)
            std::memcpy(&sums_[(at + i) * vectors_ * LANES], sums + i * V * LANES, heads_.head_dim * sizeof(float));
    }

    // Spans of one head lie kv_count apart.
    void join(int first, int last, int h, float* to) const {
        float best = NOTHING, total = 0.0f;
        const int group = heads_.group(), dim = heads_.head_dim;
        for (int s = first; s < last; s += heads_.kv_count) best = std::max(best, partials_[s * group + h].best);
        std::memset(to, 0, dim * sizeof(float));
        for (int s = first; s < last; s += heads_.kv_count) {
            const size_t at = (size_t)s * group + h;
            const float weight = exponential(all(partials_[at].best - best))[0];
            total += weight * partials_[at].total;
            const float* from = &sums_[at * vectors_ * LANES];
            for (int i = 0; i < dim; i++) to[i] += weight * from[i];
        }
        const float share = total > 0.0f ? 1.0f / total : 0.0f;
        for (int i = 0; i < dim; i++) to[i] *= share;
    }

    const View& view_;
    const Heads& heads_;
    int vectors_;
    std::vector<Span> spans_;
    std::vector<int> first_span_;
    std::vector<Partial> partials_;
    std::vector<float> sums_;
};

}  // namespace pie
