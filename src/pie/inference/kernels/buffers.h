// Memory that is kept from one use to the next.
#pragma once
#include <cstddef>
#include <vector>

namespace pie {

// At least so many; what was there may be forgotten.
template <class T>
inline void grow(std::vector<T>& buffer, size_t size) {
    if (buffer.size() < size) buffer.resize(size);
}

}  // namespace pie
