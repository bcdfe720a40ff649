// What the inputs of a pass that decodes see: a segment each, without masks. `visibility.py` says what that means.
#pragma once
#include <cstdint>

namespace pie {

// What is known about slots, and the segments.
struct Known {
    int32_t page_size, segments, scratch_slot, unused;
    const int32_t* slot_positions;  // below 0: nothing is there
    const uint8_t* visible;
    const int32_t *positions, *targets;  // of the inputs
    const int32_t *read_pages, *read_starts;
};

struct Slot {
    int32_t number, position;
    bool visible;
};

// Where an input is stored while the pass runs: its target, if that holds nothing yet.
inline int32_t place_of(const Known& known, int input) {
    const int32_t target = known.targets[input];
    return target >= 0 && known.slot_positions[target] < 0 ? target : known.scratch_slot + input;
}

// Whether `input` sees a slot of its pages. What it writes over it does not see.
inline bool sees(const Known& known, int input, const Slot& slot) {
    return slot.visible && slot.position >= 0 && slot.position <= known.positions[input] &&
           slot.number != known.targets[input];
}

// The slots of each input, its own place last: those of input i from `starts[i]` on.
inline void look(const Known& known, int32_t* places, int32_t* slots, int64_t* starts) {
    int64_t found = starts[0] = 0;
    for (int input = 0; input < known.segments; input++) {
        for (int page = known.read_starts[input]; page < known.read_starts[input + 1]; page++) {
            const int32_t first = known.read_pages[page] * known.page_size;
            for (int32_t at = first; at < first + known.page_size; at++) {
                slots[found] = at;
                found += sees(known, input, {at, known.slot_positions[at], (bool)known.visible[at]});
            }
        }
        slots[found++] = places[input] = place_of(known, input);
        starts[input + 1] = found;
    }
}

}  // namespace pie
