// Threads that go through the same stages together, on the one OpenMP pool of the process (torch's).
#pragma once
#include <algorithm>
#include <atomic>
#include <chrono>
#include <climits>
#include <vector>

#include "matrix_unit.h"
#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#else
#include <sched.h>
#endif

namespace pie {

// A stage ends when all its items are done, not when all threads have come: a thread that sleeps late or was
// sent away for another process holds up nobody, unless it has taken an item with it.
struct alignas(64) Stage {
    std::atomic<int> taken{0};
    std::atomic<int> done{0};
    std::atomic<int> sleepers{0};

    // Spins for some microseconds, then sleeps. (Yielding instead would give a whole time slice to every other
    // process at each of hundreds of stages: five times slower beside ten busy processes.)
    void wait_for(int items);

    void add(int finished, int items);
};

// What a stage does, for the account of where the time goes.
enum Kind { PRODUCT, ATTENTION, REST, KINDS };

// Seconds spent so far, by kind, as one thread saw them (waiting included).
struct Times {
    double seconds[KINDS] = {};
};

constexpr int SPINS = 400;

inline void pause_briefly() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

inline void sleep_while(std::atomic<int>& word, int value) {
#if defined(__linux__)
    syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
#else
    (void)word, (void)value;
    sched_yield();
#endif
}

inline void wake_all(std::atomic<int>& word) {
#if defined(__linux__)
    syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
#else
    (void)word;
#endif
}

inline void Stage::wait_for(int items) {
    for (int spins = 0; spins < SPINS; spins++) {
        if (done.load(std::memory_order_acquire) >= items) return;
        pause_briefly();
    }
    sleepers.fetch_add(1);
    for (int seen; (seen = done.load()) < items;) sleep_while(done, seen);
}

// Whoever finishes the last item wakes those that sleep: either it sees the sleeper, or the sleeper its result.
inline void Stage::add(int finished, int items) {
    if (done.fetch_add(finished) + finished >= items && sleepers.load()) wake_all(done);
}

// One thread's way through the stages. All threads call `share` in the same order with the same counts.
class Member {
public:
    // `times` is null for all members but one.
    Member(Stage* stages, Times* times) : stage_(stages), times_(times), last_(Clock::now()) {}

    // Calls `work(item)` for items 0 to `items` - 1, each once, `chunk` neighbours by the same thread.
    template <class Work>
    void share(Kind kind, int items, int chunk, Work&& work) {
        Stage& stage = *stage_++;
        for (int first; (first = stage.taken.fetch_add(chunk, std::memory_order_relaxed)) < items;) {
            const int last = std::min(first + chunk, items);
            for (int item = first; item < last; item++) work(item);
            stage.add(last - first, items);
        }
        stage.wait_for(items);
        if (times_) note(kind);
    }

private:
    using Clock = std::chrono::steady_clock;

    void note(Kind kind) {
        const Clock::time_point now = Clock::now();
        times_->seconds[kind] += std::chrono::duration<double>(now - last_).count();
        last_ = now;
    }

    Stage* stage_;
    Times* times_;
    Clock::time_point last_;
};

// Runs `work(member)` on `threads` threads; it may go through at most `stages` stages.
template <class Work>
void together(int threads, int stages, Times* times, Work&& work) {
    std::vector<Stage> all(stages);
    if (threads <= 1) {
        const Tiles tiles;
        Member alone(all.data(), times);
        return work(alone);
    }
    std::atomic<int> members{0};
#pragma omp parallel num_threads(threads)
    {
        const Tiles tiles;
        Member member(all.data(), members.fetch_add(1) ? nullptr : times);
        work(member);
    }
}

// So many neighbours that each thread comes back some times: a thread that is held up then costs little.
inline int chunk_of(int items, int threads) { return std::max(1, items / (threads * 6)); }

// The same where items are many, short and alike: then asking for the next ones costs more than waiting for others.
inline int large_chunk_of(int items, int threads) { return std::max(1, items / (threads * 2)); }

// Which item a thread is likely to do after this one: its neighbour, or one of the next chunk that is free.
inline int next_item(int item, int chunk, int threads) {
    return (item + 1) % chunk ? item + 1 : item + 1 + chunk * (threads - 1);
}

}  // namespace pie
