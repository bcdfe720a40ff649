// Memory that is kept from one use to the next.
#pragma once
#include <cstddef>
#include <new>
#include <vector>

namespace pie {

// Memory that begins with a cache line: what is read 64 bytes at a time then touches no two.
template <class T>
struct ByLine {
    using value_type = T;
    ByLine() = default;
    template <class Other>
    ByLine(const ByLine<Other>&) {}
    T* allocate(size_t count) { return (T*)::operator new(count * sizeof(T), std::align_val_t(64)); }
    void deallocate(T* at, size_t) { ::operator delete(at, std::align_val_t(64)); }
    bool operator==(const ByLine&) const { return true; }
    bool operator!=(const ByLine&) const { return false; }
};

template <class T>
using Lines = std::vector<T, ByLine<T>>;

// At least so many; what was there may be forgotten.
template <class Buffer>
inline void grow(Buffer& buffer, size_t size) {
    if (buffer.size() < size) buffer.resize(size);
}

}  // namespace pie
