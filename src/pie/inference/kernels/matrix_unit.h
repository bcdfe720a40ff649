// The processor's matrix unit (Intel AMX), where there is one and the system lets us use it.
#pragma once
#include <cstdint>
#if defined(__AMX_INT8__) && defined(__linux__)
#define PIE_TILES
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace pie {

constexpr int TILE_ROWS = 16;
constexpr int TILE_BYTES = 64;  // of a row

#if defined(PIE_TILES)

// Asks the system, which keeps room for the tiles of each thread only where a process wants them.
inline bool may_use_tiles() {
    constexpr int REQUEST_PERMISSION = 0x1023, TILE_DATA = 18;
    static const bool allowed = syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
    return allowed;
}

// How the processor wants to be told.
struct alignas(64) TileShapes {
    uint8_t palette = 1, start_row = 0, unused[14] = {};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// This thread's eight tiles can be used as long as this lives; all are of one shape.
class Tiles {
public:
    Tiles() {
        static const TileShapes shapes;
        if (may_use_tiles()) _tile_loadconfig(&shapes);
    }
    ~Tiles() {
        if (may_use_tiles()) _tile_release();
    }
    Tiles(const Tiles&) = delete;
};

#else

inline bool may_use_tiles() { return false; }

struct Tiles {
    Tiles() {}
    ~Tiles() {}
};

#endif

}  // namespace pie
