// Attention of inputs that decode: walks the pages where they lie. Query heads that share a key-value head
// share each load of a key or value.
#pragma once
#include <memory>
#include <vector>

#include "pages.h"
#include "softmax.h"
#include "spans.h"
#include "team.h"

namespace pie {

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

constexpr int MOST_HEAD_DIM = 256;
constexpr int AT_ONCE = 4;  // query heads that share a load
constexpr int SPANS = 8;  // into which a long row is split
constexpr int SHORTEST_SPAN = 128;
constexpr int LONGEST_SPAN = 512;
constexpr int NEAR = 32;  // slots whose heads are gone through before the next ones

// head_dim numbers as V vectors. EXACT: there are V * 16 of them.
template <int V, bool EXACT>
struct Row {
    Floats part[V];

    Row() = default;
    Row(const float* from, int head_dim) { fill<Full>((const uint8_t*)from, head_dim); }

    template <class N>
    void fill(const uint8_t* from, int head_dim) {
        for (int v = 0; v < V; v++) {
            if (EXACT || (v + 1) * LANES <= head_dim) part[v] = N::read(from, v * LANES);
            else {
                part[v] = Floats{};
                for (int i = v * LANES; i < head_dim; i++) part[v][i - v * LANES] = N::one(from, i);
            }
        }
    }
};

struct Span {
    int32_t row;
    int32_t unused;
    int64_t first;
    int64_t last;
};

// All heads of one input over one span of slots.
template <class N, int V, bool EXACT>
class SpanWork {
public:
    SpanWork(const Heads& heads, const float* query, const int32_t* slots, int count)
        : heads_(heads), query_(query), slots_(slots), count_(count), wide_((count + LANES - 1) / LANES * LANES),
          scores_(new float[(size_t)heads.count * wide_]) {}

    // Sums of all heads go to `sums` ([heads, V * 16], zero before).
    void run(const Cells& keys, const Cells& values, float* sums, Partial* partials) {
        const int group = heads_.group();
        for (int first = 0; first < count_; first += NEAR)
            for (int kv = 0; kv < heads_.kv_count; kv++)
                for (int h = 0; h < group; h += AT_ONCE) score(keys, kv, h, std::min(AT_ONCE, group - h), first);
        for (int h = 0; h < heads_.count; h++) partials[h] = soften(&scores_[(size_t)h * wide_], count_);
        for (int first = 0; first < count_; first += NEAR)
            for (int kv = 0; kv < heads_.kv_count; kv++)
                for (int h = 0; h < group; h += AT_ONCE)
                    weigh(values, kv, h, std::min(AT_ONCE, group - h), first, sums);
    }

private:
    void score(const Cells& keys, int kv, int h, int count, int first) {
        switch (count) {
            case 1: return score_heads<1>(keys, kv, h, first);
            case 2: return score_heads<2>(keys, kv, h, first);
            case 3: return score_heads<3>(keys, kv, h, first);
            default: return score_heads<AT_ONCE>(keys, kv, h, first);
        }
    }

    template <int H>
    void score_heads(const Cells& keys, int kv, int h, int first) {
        const int dim = heads_.head_dim, head = kv * heads_.group() + h, last = std::min(first + NEAR, count_);
        Row<V, EXACT> q[H], key;
        for (int i = 0; i < H; i++) q[i] = Row<V, EXACT>(query_ + (size_t)(head + i) * dim, dim);
        for (int s = first; s < last; s += LANES) {
            Floats products[H][LANES], scales = {};
            for (int j = 0; j < LANES; j++) {
                const int at = std::min(s + j, last - 1);  // past the end the last slot stands in
                const uint8_t* slot = keys.slot(slots_[at]);
                prefetch(keys, at);
                key.template fill<N>(N::head(slot, keys, kv), dim);
                scales[j] = N::scale(slot, keys, kv);
                for (int i = 0; i < H; i++) {
                    products[i][j] = q[i].part[0] * key.part[0];
                    for (int v = 1; v < V; v++) products[i][j] += q[i].part[v] * key.part[v];
                }
            }
            for (int i = 0; i < H; i++)
                store(&scores_[(size_t)(head + i) * wide_ + s], pie::sums(products[i]) * scales);
        }
    }

    void weigh(const Cells& values, int kv, int h, int count, int first, float* sums) {
        switch (count) {
            case 1: return weigh_heads<1>(values, kv, h, first, sums);
            case 2: return weigh_heads<2>(values, kv, h, first, sums);
            case 3: return weigh_heads<3>(values, kv, h, first, sums);
            default: return weigh_heads<AT_ONCE>(values, kv, h, first, sums);
        }
    }

    template <int H>
    void weigh_heads(const Cells& values, int kv, int h, int first, float* sums) {
        const int dim = heads_.head_dim, head = kv * heads_.group() + h, last = std::min(first + NEAR, count_);
        float* to = sums + (size_t)head * V * LANES;
        Floats total[H][V];
        for (int i = 0; i < H; i++)
            for (int v = 0; v < V; v++) total[i][v] = floats(to + (i * V + v) * LANES);
        Row<V, EXACT> value;
        for (int s = first; s < last; s++) {
            const uint8_t* slot = values.slot(slots_[s]);
            prefetch(values, s);
            value.template fill<N>(N::head(slot, values, kv), dim);
            const float scale = N::scale(slot, values, kv);
            for (int i = 0; i < H; i++) {
                const float weight = scores_[(size_t)(head + i) * wide_ + s] * scale;
                for (int v = 0; v < V; v++) total[i][v] += value.part[v] * weight;
            }
        }
        for (int i = 0; i < H; i++)
            for (int v = 0; v < V; v++) store(to + (i * V + v) * LANES, total[i][v]);
    }

    // Pages lie scattered: the processor does not guess where the next slots are.
    void prefetch(const Cells& cells, int s) const {
        if (s + NEAR >= count_) return;
        const uint8_t* slot = cells.slot(slots_[s + NEAR]);
        for (int at = 0; at < cells.slot_bytes; at += 64) __builtin_prefetch(slot + at);
    }

    const Heads& heads_;
    const float* query_;
    const int32_t* slots_;
    const int count_;
    const int wide_;
    const std::unique_ptr<float[]> scores_;
};

// Decoding: spans of slots first, then each input puts its spans together.
class RowWork {
public:
    RowWork(const View& view, const Heads& heads, const Pages& pages) : view_(view), heads_(heads), pages_(pages) {
        for (int row = 0; row < view.rows; row++) {
            first_span_.push_back((int)spans_.size());
            const int64_t span = span_of(view.starts[row + 1] - view.starts[row]);
            for (int64_t at = view.starts[row]; at < view.starts[row + 1]; at += span)
                spans_.push_back({row, 0, at, std::min(at + span, view.starts[row + 1])});
        }
        first_span_.push_back((int)spans_.size());
        const bool whole = exact() || has_whole_spans(heads, pages.numbers);
        vectors_ = (whole ? heads.head_dim : MOST_HEAD_DIM) / LANES;
        partials_.resize(spans_.size() * heads.count);
        sums_.resize(partials_.size() * vectors_ * LANES);
    }

    int spans() const { return (int)spans_.size(); }

    // Neighbours that one thread takes: few, because they are not equally long.
    int chunk(int threads) const { return std::max(1, spans() / (threads * 16)); }

    // `queries` are [inputs, heads * head_dim] with `stride`, already scaled.
    void attend(int index, int layer, const float* queries, int stride, WholeSpan& whole) {
        if (has_whole_spans(heads_, pages_.numbers)) {
            const Span& span = spans_[index];
            const size_t at = (size_t)index * heads_.count;
            return whole.run(
                heads_, pages_.keys(layer), pages_.values(layer), queries + (size_t)view_.row_inputs[span.row] * stride,
                view_.slots + span.first, (int)(span.last - span.first), (int)(view_.starts[view_.rows] - span.last), &sums_[at * vectors_ * LANES], &partials_[at]
            );
        }
        if (pages_.numbers == FULL) return widths<Full>(index, layer, queries, stride);
        widths<Small>(index, layer, queries, stride);
    }

    // Writes the whole of input `row_inputs[row]`.
    void finish(int row, float* out, int stride) const {
        float* to = out + (size_t)view_.row_inputs[row] * stride;
        for (int h = 0; h < heads_.count; h++) join(row, h, to + (size_t)h * heads_.head_dim);
    }

private:
    // Depends on nothing but the row's own length, so that nobody's sums are changed by strangers in the batch.
    static int64_t span_of(int64_t slots) {
        const int64_t fewest = (slots + LONGEST_SPAN - 1) / LONGEST_SPAN, most = (slots + SHORTEST_SPAN - 1) / SHORTEST_SPAN;
        const int64_t spans = std::max<int64_t>(1, std::max(fewest, std::min<int64_t>(SPANS, most)));
        return std::max<int64_t>(LANES, ((slots + spans - 1) / spans + LANES - 1) / LANES * LANES);
    }

    bool exact() const { return heads_.head_dim == 64 || heads_.head_dim == 128 || heads_.head_dim == 256; }

    template <class N>
    void widths(int index, int layer, const float* queries, int stride) {
        if (!exact()) return run<N, MOST_HEAD_DIM / LANES, false>(index, layer, queries, stride);
        if (heads_.head_dim == 64) return run<N, 4, true>(index, layer, queries, stride);
        if (heads_.head_dim == 128) return run<N, 8, true>(index, layer, queries, stride);
        run<N, 16, true>(index, layer, queries, stride);
    }

    template <class N, int V, bool EXACT>
    void run(int index, int layer, const float* queries, int stride) {
        const Span& span = spans_[index];
        const float* query = queries + (size_t)view_.row_inputs[span.row] * stride;
        float* sums = &sums_[(size_t)index * heads_.count * V * LANES];
        std::fill_n(sums, (size_t)heads_.count * V * LANES, 0.0f);
        SpanWork<N, V, EXACT> work(heads_, query, view_.slots + span.first, (int)(span.last - span.first));
        work.run(pages_.keys(layer), pages_.values(layer), sums, &partials_[(size_t)index * heads_.count]);
    }

    void join(int row, int h, float* to) const {
        const int first = first_span_[row], last = first_span_[row + 1], dim = heads_.head_dim;
        const auto partial = [&](int span) { return partials_[(size_t)span * heads_.count + h]; };
        float best = NOTHING, total = 0.0f;
        for (int span = first; span < last; span++) best = std::max(best, partial(span).best);
        std::memset(to, 0, dim * sizeof(float));
        for (int span = first; span < last; span++) {
            const float weight = last - first == 1 ? 1.0f : exponential(all(partial(span).best - best))[0];
            total += weight * partial(span).total;
            const float* from = &sums_[((size_t)span * heads_.count + h) * vectors_ * LANES];
            for (int i = 0; i < dim; i++) to[i] += weight * from[i];
        }
        const float share = total > 0.0f ? 1.0f / total : 0.0f;
        for (int i = 0; i < dim; i++) to[i] *= share;
    }

    const View& view_;
    const Heads& heads_;
    const Pages& pages_;
    int vectors_;
    std::vector<Span> spans_;
    std::vector<int> first_span_;
    std::vector<Partial> partials_;
    std::vector<float> sums_;
};

}  // namespace pie
