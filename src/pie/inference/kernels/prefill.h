// Attention of many inputs over the same slots: keys are turned over once for a tile of inputs, then everything
// is small matrix products with an online softmax (Milakov and Gimelshein 2018; FlashAttention, Dao et al. 2022).
#pragma once
#include "attention.h"
#include "tiles.h"

namespace pie {

constexpr int ROWS = 6;  // query rows worked on together

struct Tile {
    int32_t block;
    int32_t head;
    int32_t first;  // input within the block
    int32_t last;
};

// Which (input, slot) pairs of a tile are seen, [inputs, TILE_SLOTS], and how many.
inline int read_mask(const Block& block, const Tile& tile, int first, int count, uint8_t* mask) {
    int seen = 0;
    for (int i = tile.first; i < tile.last; i++) {
        const uint8_t* row = block.mask + (size_t)i * block.count + first;
        uint8_t* to = mask + (i - tile.first) * TILE_SLOTS;
        std::memcpy(to, row, count);
        std::memset(to + count, 0, TILE_SLOTS - count);
        for (int s = 0; s < TILE_SLOTS; s++) seen += to[s];
    }
    return seen;
}

class BlockWork {
public:
    BlockWork(const View& view, const Heads& heads, const Pages& pages)
        : view_(view), heads_(heads), pages_(pages) {
        padded_ = (heads.head_dim + LANES - 1) / LANES * LANES;
        for (int block = 0; block < view.blocks; block++) {
            const int inputs = view.block[block].last - view.block[block].first;
            // The last tiles of a causal block see most: they go first, so that threads end together.
            for (int first = (inputs - 1) / TILE_INPUTS * TILE_INPUTS; first >= 0; first -= TILE_INPUTS)
                for (int head = 0; head < heads.kv_count; head++)
                    tiles_.push_back({block, head, first, std::min(first + TILE_INPUTS, inputs)});
        }
    }

    int tiles() const { return (int)tiles_.size(); }

    void attend(
        int index, int layer, const float* queries, float* out, int stride, int out_stride, WholeTile& whole
    ) {
        const Tile& tile = tiles_[index];
        const Block& block = view_.block[tile.block];
        if (has_whole_spans(heads_, pages_.numbers))
            return attend_whole(tile, block, layer, queries, out, stride, out_stride, whole);
        Scratch s(*this, tile);
        s.read_queries(block, tile, queries, stride);
        for (int first = 0; first < block.count; first += TILE_SLOTS) {
            const int count = std::min(TILE_SLOTS, block.count - first);
            const int seen = read_mask(block, tile, first, count, s.mask);
            if (!seen) continue;
            if (pages_.numbers == FULL) s.read_cells<Full>(pages_, layer, tile.head, block.slots + first, count);
            else s.read_cells<Small>(pages_, layer, tile.head, block.slots + first, count);
            s.add(seen < (tile.last - tile.first) * count || count < TILE_SLOTS);
        }
        s.write(block, tile, out, out_stride);
    }

private:
    void attend_whole(
        const Tile& tile, const Block& block, int layer, const float* queries, float* out, int stride, int out_stride,
        WholeTile& whole
    ) {
        const int dim = heads_.head_dim, group = heads_.group(), inputs = tile.last - tile.first;
        // Row r is head r % group of input r / group.
        const auto place = [&](int r, int stride) {
            return (size_t)(block.first + tile.first + r / group) * stride + (size_t)(tile.head * group + r % group) * dim;
        };
        uint8_t mask[TILE_INPUTS * TILE_SLOTS];
        whole.begin(inputs * group, dim, [&](int r) { return queries + place(r, stride); });
        for (int first = 0; first < block.count; first += TILE_SLOTS) {
            const int count = std::min(TILE_SLOTS, block.count - first), seen = read_mask(block, tile, first, count, mask);
            if (!seen) continue;
            whole.read_cells(pages_.keys(layer), pages_.values(layer), tile.head, block.slots + first, count);
            const bool all = seen == inputs * TILE_SLOTS;
            whole.add([&](int r) { return all ? nullptr : mask + r / group * TILE_SLOTS; });
        }
        for (int r = 0; r < inputs * group; r++) whole.write(r, out + place(r, out_stride));
    }

    // A tile's numbers, of which a thread needs one set at a time. Query row r is head r % group of input r / group.
    struct Scratch {
        Scratch(const BlockWork& work, const Tile& tile)
            : heads(work.heads_), dim(heads.head_dim), padded(work.padded_), group(heads.group()),
              rows((tile.last - tile.first) * group), room((rows + ROWS - 1) / ROWS * ROWS),
              query((size_t)room * padded), keys((size_t)padded * TILE_SLOTS), values((size_t)TILE_SLOTS * padded),
              scores((size_t)room * TILE_SLOTS), sums((size_t)room * padded), best(room, NOTHING), total(room, 0.0f) {}

        void read_queries(const Block& block, const Tile& tile, const float* queries, int stride) {
            for (int r = 0; r < rows; r++) {
                const size_t input = block.first + tile.first + r / group;
                const float* from = queries + input * stride + (size_t)(tile.head * group + r % group) * dim;
                std::memcpy(&query[(size_t)r * padded], from, dim * sizeof(float));
            }
        }

        template <class N>
        void read_cells(const Pages& pages, int layer, int head, const int32_t* slots, int count) {
            const Cells from_keys = pages.keys(layer), from_values = pages.values(layer);
            for (int s = 0; s < TILE_SLOTS; s++) {
                // Past the end the last slot stands in: masked, and finite.
                const int row = slots[std::min(s, count - 1)];
                const uint8_t *key = from_keys.slot(row), *value = from_values.slot(row);
                read<N>(key, from_keys, head, &keys[s], TILE_SLOTS);
                read<N>(value, from_values, head, &values[(size_t)s * padded], 1);
            }
        }

        template <class N>
        void read(const uint8_t* slot, const Cells& cells, int head, float* to, int stride) const {
            const uint8_t* numbers = N::head(slot, cells, head);
            const float scale = N::scale(slot, cells, head);
            int d = 0;
            for (; d + LANES <= dim; d += LANES) {
                const Floats x = N::read(numbers, d) * scale;
                if (stride == 1) store(to + d, x);
                else
                    for (int i = 0; i < LANES; i++) to[(size_t)(d + i) * stride] = x[i];
            }
            for (; d < dim; d++) to[(size_t)d * stride] = N::one(numbers, d) * scale;
        }

        void add(bool masked) {
            for (int r = 0; r < room; r += ROWS) score(r);
            for (int r = 0; r < rows; r++) soften(r, masked);
            for (int r = 0; r < room; r += ROWS)
                for (int d = 0; d < padded; d += SLOT_VECTORS * LANES) weigh(r, d);
        }

        void score(int first) {
            Floats s[ROWS][SLOT_VECTORS] = {};
            const float* q = &query[(size_t)first * padded];
            for (int d = 0; d < dim; d++) {
                const float* key = &keys[(size_t)d * TILE_SLOTS];
                Floats k[SLOT_VECTORS];
                for (int v = 0; v < SLOT_VECTORS; v++) k[v] = floats(key + v * LANES);
#pragma GCC unroll 6
                for (int r = 0; r < ROWS; r++)
                    for (int v = 0; v < SLOT_VECTORS; v++) s[r][v] += k[v] * q[(size_t)r * padded + d];
            }
            for (int r = 0; r < ROWS; r++)
                for (int v = 0; v < SLOT_VECTORS; v++)
                    store(&scores[(size_t)(first + r) * TILE_SLOTS + v * LANES], s[r][v]);
        }

        void soften(int r, bool masked) {
            float* score = &scores[(size_t)r * TILE_SLOTS];
            if (masked) {
                const uint8_t* shown = mask + r / group * TILE_SLOTS;
                for (int s = 0; s < TILE_SLOTS; s++) score[s] = shown[s] ? score[s] : NOTHING;
            }
            Floats top = floats(score);
            for (int v = 1; v < SLOT_VECTORS; v++) top = max(top, floats(score + v * LANES));
            const float before = best[r], now = std::max(before, largest(top));
            if (now == NOTHING) {
                std::memset(score, 0, TILE_SLOTS * sizeof(float));
                return;
            }
            Floats added = {};
            for (int v = 0; v < SLOT_VECTORS; v++) {
                const Floats weight = exponential(floats(score + v * LANES) - now);
                store(score + v * LANES, weight);
                added += weight;
            }
            const float kept = exponential(all(before - now))[0];
            total[r] = total[r] * kept + sum(added);
            best[r] = now;
            if (kept != 1.0f)
                for (int d = 0; d < padded; d += LANES) {
                    float* to = &sums[(size_t)r * padded + d];
                    store(to, floats(to) * kept);
                }
        }

        // Columns d to d + 64 of six rows.
        void weigh(int first, int d) {
            const int vectors = std::min(SLOT_VECTORS, (padded - d) / LANES);
            switch (vectors) {
                case 1: return weigh_columns<1>(first, d);
                case 2: return weigh_columns<2>(first, d);
                case 3: return weigh_columns<3>(first, d);
                default: return weigh_columns<4>(first, d);
            }
        }

        template <int V>
        void weigh_columns(int first, int d) {
            Floats s[ROWS][V];
            for (int r = 0; r < ROWS; r++)
                for (int v = 0; v < V; v++) s[r][v] = floats(&sums[(size_t)(first + r) * padded + d + v * LANES]);
            for (int slot = 0; slot < TILE_SLOTS; slot++) {
                const float* value = &values[(size_t)slot * padded + d];
                Floats x[V];
                for (int v = 0; v < V; v++) x[v] = floats(value + v * LANES);
#pragma GCC unroll 6
                for (int r = 0; r < ROWS; r++)
                    for (int v = 0; v < V; v++)
                        s[r][v] += x[v] * scores[(size_t)(first + r) * TILE_SLOTS + slot];
            }
            for (int r = 0; r < ROWS; r++)
                for (int v = 0; v < V; v++) store(&sums[(size_t)(first + r) * padded + d + v * LANES], s[r][v]);
        }

        void write(const Block& block, const Tile& tile, float* out, int stride) const {
            for (int r = 0; r < rows; r++) {
                const size_t input = block.first + tile.first + r / group;
                float* to = out + input * stride + (size_t)(tile.head * group + r % group) * dim;
                const float share = total[r] > 0.0f ? 1.0f / total[r] : 0.0f;
                for (int i = 0; i < dim; i++) to[i] = sums[(size_t)r * padded + i] * share;
            }
        }

        const Heads& heads;
        int dim, padded, group, rows, room;
        std::vector<float> query, keys, values, scores, sums, best, total;
        uint8_t mask[TILE_INPUTS * TILE_SLOTS];
    };

    const View& view_;
    const Heads& heads_;
    const Pages& pages_;
    int padded_;
    std::vector<Tile> tiles_;
};

// What a thread needs one of, for either kind of attention.
struct Whole {
    WholeSpan span;
    WholeTile tile;
};

}  // namespace pie
