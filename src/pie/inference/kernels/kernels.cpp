// What Python calls, through ctypes: plain C, raw addresses. `library.py` declares the same structs.
#include "layers.h"
#include "sight.h"

using namespace pie;

#pragma GCC visibility push(default)
extern "C" {

// Counts up with every change of the structs or functions here.
int pie_version() { return 6; }

// What the products of small numbers run on; "plain" where there is nothing better than C++.
const char* pie_instructions() {
    if (may_use_tiles()) return "AMX and AVX-512 VNNI";
#if defined(__AVX512VNNI__)
    return "AVX-512 VNNI";
#elif defined(__AVX512BW__)
    return "AVX-512";
#elif defined(__AVX2__)
    return "AVX2";
#else
    return "plain";
#endif
}

// So many threads work where `threads` are asked for: says whether the pool is really shared.
int pie_count_threads(int threads) {
    std::atomic<int> seen{0};
#pragma omp parallel num_threads(threads)
    seen++;
    return seen;
}

Layers* pie_open(const Model* model, const Pages* pages) { return new Layers(*model, *pages); }

void pie_close(Layers* layers) { delete layers; }

// Seconds in products, attention and the rest since `layers` was opened.
void pie_times(const Layers* layers, double* to) { std::copy_n(layers->times.seconds, KINDS, to); }

// `windowed` may be `view` itself.
void pie_run(Layers* layers, const View* view, const View* windowed, float* hidden, const float* turns) {
    layers->run(*view, *windowed, hidden, turns);
}

// `slots` has room for every slot of the pages read and one more for each input.
void pie_look(const Known* known, int32_t* places, int32_t* slots, int64_t* starts) {
    look(*known, places, slots, starts);
}

void pie_logits(Layers* layers, const float* hidden, int rows, float* logits) {
    layers->logits(hidden, rows, logits);
}

void pie_best(Layers* layers, const float* hidden, int rows, int vocabulary, Best* to) {
    std::fill_n(to, rows, Best{});
    layers->best(hidden, rows, vocabulary, to);
}

// One layer's attention for whoever computes the rest: `queries` are [inputs, heads * head_dim], scaled.
void pie_attend(
    const Heads* heads, const Pages* pages, const View* view, int layer, int threads, const float* queries, float* out
) {
    RowWork rows(*view, *heads, *pages);
    BlockWork blocks(*view, *heads, *pages);
    const int stride = heads->stride();
    together(threads, 3, nullptr, [&](Member& member) {
        Whole whole;
        member.share(ATTENTION, rows.spans(), rows.chunk(threads), [&](int i) {
            rows.attend(i, layer, queries, stride, whole.span);
        });
        member.share(ATTENTION, blocks.tiles(), 1, [&](int i) {
            blocks.attend(i, layer, queries, out, stride, stride, whole.tile);
        });
        member.share(REST, view->rows, chunk_of(view->rows, threads), [&](int row) { rows.finish(row, out, stride); });
    });
}

// `y` [tokens, rows of p] = p · `x` [tokens, columns of p], which is changed.
void pie_multiply(const Product* p, int threads, float* x, int tokens, float* y) {
    Inputs inputs;
    inputs.reserve(tokens, *p);
    together(threads, 2, nullptr, [&](Member& member) {
        member.share(REST, tokens, chunk_of(tokens, threads), [&](int t) { inputs.put(t, x + (size_t)t * p->columns); });
        multiply_shared<false>(member, threads, *p, inputs, tokens, y, p->rows);
    });
}

// Row `which[i]` of the logits by row i of `masks`.
void pie_allow_only(
    float* logits, int vocabulary, int stride, int threads, const int64_t* which, int count, const uint8_t* masks,
    int mask_bytes, float least
) {
    together(std::min(threads, count), 1, nullptr, [&](Member& member) {
        member.share(REST, count, 1, [&](int i) {
            allow_only(logits + (size_t)which[i] * stride, vocabulary, masks + (size_t)i * mask_bytes, least);
        });
    });
}

// `tokens` [rows, count]; 0 < count <= vocabulary.
void pie_top(
    const float* logits, int rows, int vocabulary, int stride, int threads, int count, int32_t* tokens
) {
    together(std::min(threads, rows), 1, nullptr, [&](Member& member) {
        member.share(REST, rows, 1, [&](int row) {
            top(logits + (size_t)row * stride, vocabulary, count, tokens + (size_t)row * count);
        });
    });
}

void pie_statistics(const float* logits, int rows, int vocabulary, int stride, int threads, Statistics* to) {
    together(std::min(threads, rows), 1, nullptr, [&](Member& member) {
        member.share(REST, rows, 1, [&](int row) { to[row] = statistics(logits + (size_t)row * stride, vocabulary); });
    });
}

}  // extern "C"
#pragma GCC visibility pop
