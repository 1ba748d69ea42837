#include "tests/cuda_emulator/emulator.h"

#include <algorithm>
#include <array>
#include <boost/context/fiber.hpp>
#include <boost/context/protected_fixedsize_stack.hpp>
#include <cstring>
#include <map>
#include <memory>
#include <numeric>
#include <utility>

#include "base/check.h"
#include "base/random.h"
#include "tests/cuda_emulator/fiber_marks.h"
#include "tests/cuda_emulator/memory_check.h"

namespace touchstone::cuda_emulator {
namespace {

namespace context = boost::context;

constexpr size_t kStackBytes = size_t{96} << 10;
constexpr size_t kMaxSharedBytes = size_t{99} << 10;  // of a block on sm_89: the least
constexpr int kMaxThreads = 1024;
constexpr size_t kCopyBytes = 16;

enum class State { kRunnable, kAtBlockBarrier, kAtWarpOperation, kEnded };

/// Remembers where the stack lies.
struct MarkedStack {
  context::protected_fixedsize_stack stack{kStackBytes};
  FiberMark* mark = nullptr;

  context::stack_context allocate() {
    const context::stack_context made = stack.allocate();
    mark->stack = static_cast<const std::byte*>(made.sp) - made.size;
    mark->stack_bytes = made.size;
    return made;
  }
  void deallocate(context::stack_context& made) { stack.deallocate(made); }
};

/// Thrown on the fibers of a block that can never get on.
struct Abandoned {};

struct Worker {
  context::fiber fiber;
  FiberMark mark;
  Thread thread;
  State state = State::kEnded;
  const char* operation = nullptr;  // at which it waits
};

/// The operation that lanes have come to.
struct Warp {
  const char* operation = nullptr;
  int arrived = 0;
  std::array<void*, kWarp> lanes = {};
};

class Machine {
 public:
  ~Machine();

  Options options;
  std::vector<std::string> errors;
  uint64_t launches = 0;
  Block block;
  std::vector<std::byte> shared = std::vector<std::byte>(kMaxSharedBytes);
  const Launch* launch = nullptr;

  void run(const Launch& what);
  void wait(State state, const char* operation);
  void exchange(const char* name, void* mine, Combine combine);
  size_t static_shared(const void* tag, size_t bytes);

 private:
  void run_block();
  void start_threads();
  void live(Worker& worker);
  void yield(Worker& worker);
  bool release_block_barrier();
  void report_stuck();
  std::vector<int> order(int count);
  void resume(Worker& worker);

  std::vector<std::unique_ptr<Worker>> workers_;
  std::array<Warp, kMaxThreads / kWarp> warps_ = {};
  context::fiber scheduler_;
  FiberMark scheduler_mark_;
  bool abandons_ = false;
  bool ends_ = false;
  Worker* current_ = nullptr;
  std::map<const void*, size_t> static_arrays_;
  size_t static_end_ = 0;
  RandomStream random_{0, "emulator"};
};

Machine& machine() {
  thread_local Machine machine;
  return machine;
}

std::vector<int> Machine::order(int count) {
  std::vector<int> indices(static_cast<size_t>(count));
  std::iota(indices.begin(), indices.end(), 0);
  if (options.order == Order::kBackward) std::reverse(indices.begin(), indices.end());
  if (options.order == Order::kShuffled) {
    for (size_t i = indices.size(); i > 1; --i) {
      std::swap(indices[i - 1], indices[static_cast<size_t>(random_.below(i))]);
    }
  }
  return indices;
}

void Machine::run(const Launch& what) {
  BASE_CHECK(launch == nullptr, "a launch from within ", launch->kernel);
  BASE_CHECK(what.threads > 0 && what.threads <= kMaxThreads && what.threads % kWarp == 0,
             what.kernel, " threads=", what.threads);
  BASE_CHECK(what.grid.x > 0 && what.grid.y > 0 && what.grid.z > 0, what.kernel, " grid ",
             what.grid.x, " ", what.grid.y, " ", what.grid.z);
  BASE_CHECK(what.grid.y <= 65535 && what.grid.z <= 65535, what.kernel, " grid ", what.grid.y, " ",
             what.grid.z);
  BASE_CHECK(what.shared_bytes <= kMaxSharedBytes, what.kernel, " shared=", what.shared_bytes);
  launch = &what;
  launches += 1;
  random_ = RandomStream(options.seed, "emulator");
  static_arrays_.clear();
  static_end_ = (what.shared_bytes + 15) / 16 * 16;
  block.grid = what.grid;
  block.threads = what.threads;
  const int blocks = what.grid.x * what.grid.y * what.grid.z;
  for (const int index : order(blocks)) {
    block.index = {index % what.grid.x, index / what.grid.x % what.grid.y,
                   index / what.grid.x / what.grid.y};
    run_block();
  }
  launch = nullptr;
}

void Machine::start_threads() {
  while (workers_.size() < static_cast<size_t>(block.threads)) {
    workers_.push_back(std::make_unique<Worker>());
  }
  for (int i = 0; i < block.threads; ++i) {
    Worker& worker = *workers_[static_cast<size_t>(i)];
    worker.thread = {.index = i};
    worker.state = State::kRunnable;
    if (worker.fiber) continue;
    worker.fiber = context::fiber(std::allocator_arg, MarkedStack{.mark = &worker.mark},
                                  [this, &worker](context::fiber&& to) {
                                    arrive(worker.mark, scheduler_mark_);
                                    scheduler_ = std::move(to);
                                    live(worker);
                                    leave(worker.mark, scheduler_mark_);
                                    return std::move(scheduler_);
                                  });
  }
}

/// One fiber runs the same thread of block after block.
void Machine::live(Worker& worker) {
  while (!ends_) {
    try {
      launch->body();
    } catch (const Abandoned&) {
    }
    worker.state = State::kEnded;
    yield(worker);
  }
}

/// Back to the scheduler, until it goes on with this fiber.
void Machine::yield(Worker& worker) {
  leave(worker.mark, scheduler_mark_);
  scheduler_ = std::move(scheduler_).resume();
  arrive(worker.mark, scheduler_mark_);
}

Machine::~Machine() {
  ends_ = true;
  for (const auto& worker : workers_) {
    if (worker->fiber) resume(*worker);
  }
}

void Machine::resume(Worker& worker) {
  current_ = &worker;
  block.thread = &worker.thread;
  leave(scheduler_mark_, worker.mark);
  worker.fiber = std::move(worker.fiber).resume();
  arrive(scheduler_mark_, worker.mark);
  current_ = nullptr;
  block.thread = nullptr;
}

void Machine::run_block() {
  block.number += 1;
  block.epoch = 0;
  std::memset(shared.data(), 0xFF, shared.size());
  shared_shadow().reset(shared.size(), block.number);
  start_threads();
  while (true) {
    bool ran = false;
    for (const int i : order(block.threads)) {
      Worker& worker = *workers_[static_cast<size_t>(i)];
      if (worker.state != State::kRunnable) continue;
      ran = true;
      resume(worker);
    }
    if (ran || release_block_barrier()) continue;
    const bool ended = std::all_of(
        workers_.begin(), workers_.begin() + block.threads,
        [](const std::unique_ptr<Worker>& worker) { return worker->state == State::kEnded; });
    if (!ended) report_stuck();
    return;
  }
}

bool Machine::release_block_barrier() {
  const auto first = workers_.begin();
  const auto last = workers_.begin() + block.threads;
  if (!std::all_of(first, last, [](const std::unique_ptr<Worker>& worker) {
        return worker->state == State::kAtBlockBarrier;
      })) {
    return false;
  }
  block.epoch += 1;
  std::for_each(first, last, [](std::unique_ptr<Worker>& worker) {
    worker->state = State::kRunnable;
    worker->thread.warp_epoch = 0;
  });
  return true;
}

/// Nobody can go on: what a device would hang on, or worse.
void Machine::report_stuck() {
  std::map<std::string, int> waiting;
  for (int i = 0; i < block.threads; ++i) {
    const Worker& worker = *workers_[static_cast<size_t>(i)];
    waiting[worker.state == State::kEnded ? "have ended"
                                          : std::string("wait at ") + worker.operation]++;
  }
  std::string message = "divergent barrier:";
  for (const auto& [what, count] : waiting) {
    message += (message.back() == ':' ? " " : ", ") + std::to_string(count) + " threads " + what;
  }
  report(message);
  abandons_ = true;
  for (const auto& worker : workers_) {
    if (worker->state != State::kEnded) resume(*worker);
  }
  abandons_ = false;
  warps_ = {};
}

void Machine::wait(State state, const char* operation) {
  current_->state = state;
  current_->operation = operation;
  yield(*current_);
  if (abandons_) throw Abandoned();
}

void Machine::exchange(const char* name, void* mine, Combine combine) {
  const int index = current_->thread.index;
  Warp& warp = warps_[static_cast<size_t>(index / kWarp)];
  warp.lanes[static_cast<size_t>(index % kWarp)] = mine;
  // Compared by text: equal literals of two files need not be one. Once lanes differ, the warp
  // never gets on.
  if (warp.arrived == 0) warp.operation = name;
  if (warp.operation == name || std::strcmp(warp.operation, name) == 0) warp.arrived += 1;
  if (warp.arrived < kWarp) {
    wait(State::kAtWarpOperation, name);
    return;
  }
  warp.arrived = 0;
  combine(warp.lanes.data());
  for (int lane = 0; lane < kWarp; ++lane) {
    workers_[static_cast<size_t>(index / kWarp * kWarp + lane)]->state = State::kRunnable;
  }
}

size_t Machine::static_shared(const void* tag, size_t bytes) {
  const auto [found, fresh] = static_arrays_.try_emplace(tag, static_end_);
  if (fresh) static_end_ += (bytes + 15) / 16 * 16;
  BASE_CHECK(static_end_ <= kMaxSharedBytes, launch->kernel, " shared=", static_end_);
  return found->second;
}

}  // namespace

void set_options(const Options& options) { machine().options = options; }
const Options& options() { return machine().options; }
void run(const Launch& launch) { machine().run(launch); }
uint64_t num_launches() { return machine().launches; }
std::vector<std::string> take_errors() { return std::exchange(machine().errors, {}); }

/// What errors of one kind have in common.
static std::string without_digits(std::string text) {
  std::erase_if(text, [](char c) { return c >= '0' && c <= '9'; });
  return text;
}

void report(const std::string& message) {
  Machine& m = machine();
  std::string text;
  if (m.launch != nullptr) {
    const Dim3 index = m.block.index;
    text = std::string(m.launch->kernel) + ": block (" + std::to_string(index.x) + ", " +
           std::to_string(index.y) + ", " + std::to_string(index.z) + ")";
    if (m.block.thread != nullptr) text += " thread " + std::to_string(m.block.thread->index);
    text += ": ";
  }
  text += message;
  const auto alike = std::count_if(m.errors.begin(), m.errors.end(),
                                   [kind = without_digits(text)](const std::string& other) {
                                     return without_digits(other) == kind;
                                   });
  if (alike < kMaxAlike && m.errors.size() < kMaxErrors) m.errors.push_back(text);
}

Block& block() { return machine().block; }

void sync_block() { machine().wait(State::kAtBlockBarrier, "the block's barrier"); }

void sync_warp() {
  exchange("the warp's barrier", &block().thread->warp_epoch, [](void* const* lanes) {
    for (int lane = 0; lane < kWarp; ++lane) *static_cast<uint32_t*>(lanes[lane]) += 1;
  });
}

void exchange(const char* name, void* mine, Combine combine) {
  machine().exchange(name, mine, combine);
}

std::byte* shared_memory() { return machine().shared.data(); }
void start_copy(size_t to, const void* from) {
  if (to % kCopyBytes != 0) {
    report("shared memory: an asynchronous copy to byte " + std::to_string(to));
    return;
  }
  shared_shadow().start_copy(to, kCopyBytes);
  block().thread->uncommitted.push_back({to, from});
}

void commit_copies() {
  Thread& thread = *block().thread;
  thread.groups.push_back(std::exchange(thread.uncommitted, {}));
}

void wait_copies(int pending) {
  Thread& thread = *block().thread;
  for (; thread.groups.size() > static_cast<size_t>(pending); thread.groups.pop_front()) {
    for (const Copy& copy : thread.groups.front()) {
      std::byte* to = shared_memory() + copy.to;
      if (copy.from != nullptr) {
        std::memcpy(to, copy.from, kCopyBytes);
      } else {
        std::memset(to, 0, kCopyBytes);
      }
      shared_shadow().finish_copy(copy.to, kCopyBytes);
    }
  }
}

size_t dynamic_shared_bytes() { return machine().launch->shared_bytes; }
size_t static_shared(const void* tag, size_t bytes) { return machine().static_shared(tag, bytes); }

}  // namespace touchstone::cuda_emulator
