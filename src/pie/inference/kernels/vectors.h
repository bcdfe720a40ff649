// Sixteen floats at a time, on any processor: the compiler splits these where registers are shorter.
#pragma once
#include <cstdint>
#include <cstring>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace pie {

constexpr int LANES = 16;
typedef float Floats __attribute__((vector_size(64)));
typedef int32_t Ints __attribute__((vector_size(64)));
typedef uint8_t Bytes __attribute__((vector_size(64)));
typedef uint16_t Halves __attribute__((vector_size(32)));

template <class V, class T>
inline V load(const T* from) {
    V value;
    std::memcpy(&value, from, sizeof(V));
    return value;
}

inline void store(float* to, Floats value) { std::memcpy(to, &value, sizeof(value)); }

inline Floats floats(const float* from) { return load<Floats>(from); }

// The first `count` of sixteen; zeros behind them.
inline Floats some_floats(const float* from, int count) {
    Floats value = {};
    std::memcpy(&value, from, count * sizeof(float));
    return value;
}

inline Floats all(float value) { return value - Floats{}; }

// a * b + c, rounded once where the processor can, and in the same way wherever it stands.
inline Floats fused(Floats a, Floats b, Floats c) {
#if defined(__AVX512F__)
    return (Floats)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#else
    return a * b + c;
#endif
}

inline Floats max(Floats a, Floats b) { return a > b ? a : b; }

inline Floats absolute(Floats a) { return (Floats)((Ints)a & 0x7fffffff); }

inline float sum(Floats a) {
#if defined(__AVX512F__)
    return _mm512_reduce_add_ps((__m512)a);
#else
    float total = 0;
    for (int i = 0; i < LANES; i++) total += a[i];
    return total;
#endif
}

// The sums of sixteen vectors, in their order: by turning them over on the way, a third of the work of sixteen sums.
inline Floats sums(const Floats* rows) {
#if defined(__AVX512F__)
    __m512 pairs[8], fours[4], eights[2];
    for (int i = 0; i < 8; i++) {
        const __m512 a = (__m512)rows[2 * i], b = (__m512)rows[2 * i + 1];
        pairs[i] = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    }
    for (int i = 0; i < 4; i++) {
        const __m512d a = _mm512_castps_pd(pairs[2 * i]), b = _mm512_castps_pd(pairs[2 * i + 1]);
        fours[i] = _mm512_add_ps(
            _mm512_castpd_ps(_mm512_unpacklo_pd(a, b)), _mm512_castpd_ps(_mm512_unpackhi_pd(a, b))
        );
    }
    for (int i = 0; i < 2; i++) {
        const __m512 a = fours[2 * i], b = fours[2 * i + 1];
        eights[i] = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
    }
    const __m512 a = eights[0], b = eights[1];
    return (Floats)_mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
#else
    Floats totals;
    for (int i = 0; i < LANES; i++) totals[i] = sum(rows[i]);
    return totals;
#endif
}

inline int32_t sum(Ints a) {
#if defined(__AVX512F__)
    return _mm512_reduce_add_epi32((__m512i)a);
#else
    int32_t total = 0;
    for (int i = 0; i < LANES; i++) total += a[i];
    return total;
#endif
}

inline float largest(Floats a) {
#if defined(__AVX512F__)
    return _mm512_reduce_max_ps((__m512)a);
#else
    float best = a[0];
    for (int i = 1; i < LANES; i++) best = a[i] > best ? a[i] : best;
    return best;
#endif
}

// Of sixteen floats without a sign, by their bits: the largest, or one that is not a number.
inline float largest_bits(Ints a) {
#if defined(__AVX512F__)
    const int32_t best = _mm512_reduce_max_epi32((__m512i)a);
#else
    int32_t best = a[0];
    for (int i = 1; i < LANES; i++) best = a[i] > best ? a[i] : best;
#endif
    return load<float>(&best);
}

inline Ints rounded(Floats a) {
#if defined(__AVX512F__)
    return (Ints)_mm512_cvtps_epi32((__m512)a);
#else
    return __builtin_convertvector(a + (a < 0 ? all(-0.5f) : all(0.5f)), Ints);
#endif
}

// Half precision to single.
inline Floats from_half(const uint16_t* from) {
#if defined(__AVX512F__)
    return (Floats)_mm512_cvtph_ps(load<__m256i>(from));
#else
    Ints bits = __builtin_convertvector(load<Halves>(from), Ints);
    Ints magnitude = (bits & 0x7fff) << 13;
    // Multiplying by 2^112 moves the exponent's bias, subnormal numbers included.
    Floats value = (Floats)magnitude * all(0x1p112f);
    return (Floats)((Ints)value | ((bits & 0x8000) << 16));
#endif
}

// e^x to about 2e-7 relative, 0 for what is far below zero (and finite for what is far above).
// Range reduction and polynomial as in Cephes' expf.
inline Floats exponential(Floats x) {
    const Ints counts = x > -87.0f;
    x = counts ? x : all(0.0f);
    x = x > 88.0f ? all(88.0f) : x;
    Ints power = rounded(x * 1.44269504088896341f);
    Floats whole = __builtin_convertvector(power, Floats);
    Floats r = x - whole * 0.693359375f;
    r = r + whole * 2.12194440e-4f;
    Floats p = all(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    return (Floats)((Ints)(p * (Floats)((power + 127) << 23)) & counts);
}

// total[i] += w[4i..4i+3] · x[0..3] for sixteen i: unsigned weights, the same four signed numbers for all.
inline Ints dot(Ints total, Bytes w, int32_t x) {
#if defined(__AVX512VNNI__)
    return (Ints)_mm512_dpbusd_epi32((__m512i)total, (__m512i)w, _mm512_set1_epi32(x));
#elif defined(__AVX512BW__)
    // In halves of four bits: two products of seven and four bits never overflow sixteen.
    const __m512i low = _mm512_set1_epi8(15), ones = _mm512_set1_epi16(1), each = _mm512_set1_epi32(x);
    __m512i high = _mm512_and_si512(_mm512_srli_epi16((__m512i)w, 4), low);
    __m512i small = _mm512_maddubs_epi16(_mm512_and_si512((__m512i)w, low), each);
    __m512i large = _mm512_maddubs_epi16(high, each);
    __m512i sums = _mm512_slli_epi32(_mm512_madd_epi16(large, ones), 4);
    return total + (Ints)_mm512_add_epi32(sums, _mm512_madd_epi16(small, ones));
#elif defined(__AVX2__)
    const __m256i low = _mm256_set1_epi8(15), ones = _mm256_set1_epi16(1), each = _mm256_set1_epi32(x);
    __m256i parts[2], results[2];
    std::memcpy(parts, &w, sizeof(parts));
    for (int i = 0; i < 2; i++) {
        __m256i high = _mm256_and_si256(_mm256_srli_epi16(parts[i], 4), low);
        __m256i small = _mm256_maddubs_epi16(_mm256_and_si256(parts[i], low), each);
        __m256i large = _mm256_maddubs_epi16(high, each);
        __m256i sums = _mm256_slli_epi32(_mm256_madd_epi16(large, ones), 4);
        results[i] = _mm256_add_epi32(sums, _mm256_madd_epi16(small, ones));
    }
    return total + load<Ints>(results);
#else
    const Ints words = (Ints)w;
    for (int i = 0; i < 4; i++) total += ((words >> (8 * i)) & 255) * (int32_t)(int8_t)(x >> (8 * i));
    return total;
#endif
}

}  // namespace pie
