// Runs CUDA kernels that were compiled as plain C++: blocks one after the other, each thread of a
// block on a fiber of its own, so that barriers, shuffles, votes, shared memory, atomics and
// asynchronous copies mean what they mean on a device. It finds: barriers and warp operations that
// not all threads reach, accesses outside of a buffer or of shared memory, memory read
// before it was written, and races (two threads, one address, one of them writing, no barrier
// between; memory_check.h). A launch is synchronous. What it finds it notes; the access is then
// left out, and the launch goes on. State is of the calling OS thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

namespace touchstone::cuda_emulator {

struct Dim3 {
  int x = 1;
  int y = 1;
  int z = 1;
};

/// In which order runnable threads and blocks go. A result that changes with it is a bug.
enum class Order { kForward, kBackward, kShuffled };

struct Options {
  Order order = Order::kForward;
  uint64_t seed = 0;       ///< of kShuffled
  bool find_races = true;  ///< costs about as much as the rest
};

/// For launches from here on.
void set_options(const Options& options);
const Options& options();

struct Launch {
  const char* kernel = "";  ///< for messages
  Dim3 grid;
  int threads = 0;             ///< of a block; a multiple of 32, at most 1024
  size_t shared_bytes = 0;     ///< dynamic
  std::function<void()> body;  ///< what each thread runs
};
void run(const Launch& launch);

/// Launches since the program started.
uint64_t num_launches();

/// What was found since the last call, at most kMaxErrors, of which kMaxAlike differ in numbers
/// alone.
inline constexpr size_t kMaxErrors = 20;
inline constexpr int kMaxAlike = 2;
std::vector<std::string> take_errors();
/// From within a kernel: `message` with kernel, block and thread in front.
void report(const std::string& message);

/// One cp.async: 16 bytes to shared memory. Source null: zeros.
struct Copy {
  size_t to = 0;
  const void* from = nullptr;
};

/// One thread of the block that runs.
struct Thread {
  int index = 0;
  uint32_t warp_epoch = 0;  ///< warp barriers so far
  std::vector<Copy> uncommitted = {};
  std::deque<std::vector<Copy>> groups = {};  ///< committed, the oldest first
};

/// The block that runs, and the thread that does.
struct Block {
  Dim3 index;
  Dim3 grid;
  int threads = 0;
  uint64_t number = 0;  ///< unique among blocks of all launches
  uint32_t epoch = 0;   ///< block barriers so far
  Thread* thread = nullptr;
};
Block& block();

/// All threads of the block, or this is an error.
void sync_block();
/// All threads of the warp; orders their memory accesses.
void sync_warp();

inline constexpr int kWarp = 32;

/// Every lane of the warp hands in something; when all have, `combine` is called once with the 32
/// pointers and may overwrite what lies there. Lanes with different `name`s at once are an error.
/// Orders no memory accesses.
using Combine = void (*)(void* const* lanes);
void exchange(const char* name, void* mine, Combine combine);

/// The block's shared memory: the dynamic part comes first, then the static arrays.
std::byte* shared_memory();
size_t dynamic_shared_bytes();
/// Where the block's array of the declaration that `tag` stands for begins.
size_t static_shared(const void* tag, size_t bytes);

/// Asynchronous copies of the thread that runs: they are made when they are waited for.
void start_copy(size_t to, const void* from);
void commit_copies();
void wait_copies(int pending);

}  // namespace touchstone::cuda_emulator
