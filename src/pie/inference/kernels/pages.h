// Keys and values where they lie: fp32, or int8 with one scale for each slot and head.
#pragma once
#include "vectors.h"

namespace pie {

struct Heads {
    int32_t count;
    int32_t kv_count;
    int32_t head_dim;

    int group() const { return count / kv_count; }
    int stride() const { return count * head_dim; }
};

enum Numbers : int32_t { FULL, SMALL };

// One layer's keys or values: slot `row` begins `row * slot_bytes` further on. `PageStorage` says why a row
// has the same number in every layer. A small slot: the numbers of all heads, then a scale (fp32) for each.
struct Cells {
    uint8_t* first;
    int32_t slot_bytes;
    int32_t kv_count;
    int32_t head_dim;

    uint8_t* slot(int row) const { return first + (size_t)row * slot_bytes; }
};

struct Pages {
    uint8_t* cells;
    int32_t page_size;
    int32_t kv_count;
    int32_t head_dim;
    int32_t numbers;

    int slot_bytes() const { return kv_count * (numbers == FULL ? 4 * head_dim : head_dim + 4); }
    Cells keys(int layer) const { return part(2 * layer); }
    Cells values(int layer) const { return part(2 * layer + 1); }

private:
    Cells part(int index) const {
        return {cells + (size_t)index * page_size * slot_bytes(), slot_bytes(), kv_count, head_dim};
    }
};

// How a slot's numbers are read: sixteen of a head from `at` on, and what they are to be multiplied by.
struct Full {
    static const uint8_t* head(const uint8_t* slot, const Cells& c, int head) { return slot + 4 * head * c.head_dim; }
    static float scale(const uint8_t*, const Cells&, int) { return 1.0f; }
    static Floats read(const uint8_t* numbers, int at) { return load<Floats>(numbers + 4 * at); }
    static float one(const uint8_t* numbers, int at) { return load<float>(numbers + 4 * at); }
};

struct Small {
    typedef int8_t Sixteen __attribute__((vector_size(16)));

    static const uint8_t* head(const uint8_t* slot, const Cells& c, int head) { return slot + head * c.head_dim; }
    static float scale(const uint8_t* slot, const Cells& c, int head) {
        return load<float>(slot + c.kv_count * c.head_dim + 4 * head);
    }
    static Floats read(const uint8_t* numbers, int at) {
#if defined(__AVX512F__)
        return (Floats)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(load<__m128i>(numbers + at)));
#else
        return __builtin_convertvector(load<Sixteen>(numbers + at), Floats);
#endif
    }
    static float one(const uint8_t* numbers, int at) { return (float)(int8_t)numbers[at]; }
};

// Keeps one head of one slot.
inline void keep(const Pages& pages, const Cells& cells, int row, int head, const float* x) {
    uint8_t* slot = cells.slot(row);
    const int dim = cells.head_dim;
    if (pages.numbers == FULL) {
        std::memcpy(slot + 4 * head * dim, x, 4 * dim);
        return;
    }
    Floats tops = {};
    const int whole = dim / LANES * LANES;
    for (int i = 0; i < whole; i += LANES) tops = max(tops, absolute(floats(x + i)));
    if (whole < dim) tops = max(tops, absolute(some_floats(x + whole, dim - whole)));
    const float top = largest(tops), inverse = top > 0.0f ? 127.0f / top : 0.0f, scale = top * (1.0f / 127.0f);
    typedef int8_t Sixteen __attribute__((vector_size(16)));
    const auto round = [&](Floats part) { return __builtin_convertvector(rounded(part * inverse), Sixteen); };
    for (int i = 0; i < whole; i += LANES) {
        const Sixteen small = round(floats(x + i));
        std::memcpy(slot + head * dim + i, &small, LANES);
    }
    if (whole < dim) {
        const Sixteen small = round(some_floats(x + whole, dim - whole));
        std::memcpy(slot + head * dim + whole, &small, dim - whole);
    }
    std::memcpy(slot + cells.kv_count * dim + 4 * head, &scale, 4);
}

}  // namespace pie
