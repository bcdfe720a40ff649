// Threads that go through the same stages together, on the one OpenMP pool of the process (torch's).
#pragma once
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <vector>

namespace pie {

// A stage ends when all its items are done, not when all threads have come: a thread that sleeps late or was
// sent away for another process holds up nobody, unless it has taken an item with it.
struct alignas(64) Stage {
    std::atomic<int> taken{0};
    std::atomic<int> done{0};
};

constexpr int SPINS = 2000;

inline void pause_briefly() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// One thread's way through the stages. All threads call `share` in the same order with the same counts.
class Member {
public:
    Member(Stage* stages, int number) : stage_(stages), number_(number) {}

    int number() const { return number_; }

    // Calls `work(item)` for items 0 to `items` - 1, each once, `chunk` neighbours by the same thread.
    template <class Work>
    void share(int items, int chunk, Work&& work) {
        Stage& stage = *stage_++;
        for (int first; (first = stage.taken.fetch_add(chunk, std::memory_order_relaxed)) < items;) {
            const int last = std::min(first + chunk, items);
            for (int item = first; item < last; item++) work(item);
            stage.done.fetch_add(last - first, std::memory_order_release);
        }
        for (int spins = 0; stage.done.load(std::memory_order_acquire) < items; spins++) {
            if (spins < SPINS) pause_briefly();
            else sched_yield();
        }
    }

private:
    Stage* stage_;
    int number_;
};

// Runs `work(member)` on `threads` threads; it may go through at most `stages` stages.
template <class Work>
void together(int threads, int stages, Work&& work) {
    std::vector<Stage> all(stages);
    if (threads <= 1) {
        Member alone(all.data(), 0);
        return work(alone);
    }
    std::atomic<int> members{0};
#pragma omp parallel num_threads(threads)
    {
        Member member(all.data(), members.fetch_add(1));
        work(member);
    }
}

// So many neighbours that each thread comes back some times: a thread that is held up then costs little.
inline int chunk_of(int items, int threads) { return std::max(1, items / (threads * 6)); }

}  // namespace pie
