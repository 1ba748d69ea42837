#include "tests/cuda_emulator/memory_check.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/check.h"
#include "tests/cuda_emulator/emulator.h"

namespace touchstone::cuda_emulator {
namespace {

struct Buffer {
  const std::byte* data = nullptr;
  size_t bytes = 0;
  std::string name;
  bool written = true;
  std::vector<ShadowWord> words = {};  // made when it is first touched
};

/// By address of the last byte, so that lower_bound() finds the buffer that may hold an address.
std::map<const std::byte*, Buffer>& buffers() {
  thread_local std::map<const std::byte*, Buffer> buffers;
  return buffers;
}

int32_t warp_of(const Moment& moment) { return moment.thread / kWarp; }

Moment now() {
  const Block& running = block();
  return {.launch = num_launches(),
          .block = running.number,
          .block_epoch = running.epoch,
          .warp_epoch = running.thread->warp_epoch,
          .thread = running.thread->index};
}

const char* verb(Access access) {
  if (access == Access::kRead) return "reads";
  return access == Access::kWrite ? "writes" : "changes atomically";
}

}  // namespace

/// Not ordered, though `before` came first. REQUIRES: of one launch.
bool ShadowWord::conflicts(const Moment& before, const Moment& now) {
  if (before.block != now.block) return true;
  if (before.block_epoch != now.block_epoch || before.thread == now.thread) return false;
  return warp_of(before) != warp_of(now) || before.warp_epoch == now.warp_epoch;
}

std::string ShadowWord::note(Access access, const Moment& now) {
  std::string problem;
  const bool both_atomic = atomic_ && access == Access::kAtomic;
  if (write_.launch == now.launch && !both_atomic && conflicts(write_, now)) {
    problem = "thread " + std::to_string(write_.thread) + " wrote it";
  }
  const bool read_before = read_.launch == now.launch;
  if (access == Access::kRead) {
    note_read(read_before, now);
    return problem;
  }
  if (read_before && problem.empty()) {
    const bool same_epoch = read_.block == now.block && read_.block_epoch == now.block_epoch;
    const bool same_warp_epoch =
        warp_of(read_) == warp_of(now) && read_.warp_epoch == now.warp_epoch;
    if (many_blocks_ || (same_epoch && (many_warps_ || (same_warp_epoch && many_threads_))) ||
        conflicts(read_, now)) {
      problem = "thread " + std::to_string(read_.thread) + " read it";
    }
  }
  write_ = now;
  atomic_ = access == Access::kAtomic;
  return problem;
}

void ShadowWord::note_read(bool read_before, const Moment& now) {
  if (!read_before) {
    many_threads_ = many_warps_ = many_blocks_ = false;
  } else if (read_.block != now.block) {
    many_blocks_ = true;
  } else if (read_.block_epoch != now.block_epoch) {
    many_threads_ = many_warps_ = false;
  } else if (warp_of(read_) != warp_of(now)) {
    many_warps_ = true;
  } else if (read_.warp_epoch != now.warp_epoch) {
    many_threads_ = false;
  } else if (read_.thread != now.thread) {
    many_threads_ = true;
  }
  read_ = now;
}

void add_buffer(const void* data, size_t bytes, const std::string& name, bool written) {
  BASE_CHECK(data != nullptr && bytes > 0, name, " ", bytes);
  const auto* first = static_cast<const std::byte*>(data);
  const auto next = buffers().lower_bound(first);
  BASE_CHECK(next == buffers().end() || next->second.data >= first + bytes, name, " overlaps ",
             next->second.name);
  buffers().emplace(first + bytes - 1, Buffer{first, bytes, name, written});
}

void remove_buffer(const void* data) {
  const auto found = buffers().lower_bound(static_cast<const std::byte*>(data));
  BASE_CHECK(found != buffers().end() && found->second.data == data, "not a buffer");
  buffers().erase(found);
}

bool check_global(const void* data, size_t bytes, Access access) {
  const auto* first = static_cast<const std::byte*>(data);
  if (reinterpret_cast<uintptr_t>(first) % bytes != 0) {
    report("global memory: " + std::to_string(bytes) +
           " bytes at an address that is not a multiple");
    return false;
  }
  const auto found = buffers().lower_bound(first);
  if (found == buffers().end() || found->second.data > first ||
      first + bytes > found->second.data + found->second.bytes) {
    std::string near = "no buffer is near";
    if (!buffers().empty()) {
      const Buffer& last = found == buffers().end() ? std::prev(found)->second : found->second;
      near = last.name + " has " + std::to_string(last.bytes) + " bytes, and it is at " +
             std::to_string(first - last.data);
    }
    report(std::string("global memory: ") + verb(access) + " " + std::to_string(bytes) +
           " bytes outside of any buffer; " + near);
    return false;
  }
  if (!options().find_races) return true;
  Buffer& buffer = found->second;
  if (buffer.words.empty()) buffer.words.resize((buffer.bytes + kShadowGrain - 1) / kShadowGrain);
  const size_t offset = static_cast<size_t>(first - buffer.data);
  const Moment moment = now();
  std::string problem;
  bool unwritten = false;
  for (size_t word = offset / kShadowGrain; word * kShadowGrain < offset + bytes; ++word) {
    ShadowWord& shadow = buffer.words[word];
    unwritten = unwritten || (access != Access::kWrite && !buffer.written && !shadow.written());
    std::string found_here = shadow.note(access, moment);
    if (problem.empty()) problem = std::move(found_here);
  }
  const std::string where =
      std::string(verb(access)) + " " + buffer.name + " at byte " + std::to_string(offset);
  if (unwritten) report("global memory: " + where + ", which nobody wrote");
  if (!problem.empty()) report("race: " + where + ", and " + problem + " with no barrier between");
  return true;
}

SharedShadow& shared_shadow() {
  thread_local SharedShadow shadow;
  return shadow;
}

void SharedShadow::reset(size_t bytes, uint64_t block) {
  words_.resize(bytes / kShadowGrain);  // what is of other blocks is told by their numbers
  block_ = block;
}

bool SharedShadow::check(size_t offset, size_t bytes, Access access) {
  if (!options().find_races) return true;
  Moment moment = now();
  moment.launch = block_;  // each block has its own
  std::string problem;
  bool unwritten = false;
  bool in_flight = false;
  for (size_t word = offset / kShadowGrain; word * kShadowGrain < offset + bytes; ++word) {
    ShadowWord& shadow = words_[word];
    unwritten = unwritten || (access != Access::kWrite && !shadow.written_in(block_));
    in_flight = in_flight || shadow.in_flight() == block_;
    std::string found_here = shadow.note(access, moment);
    if (problem.empty()) problem = std::move(found_here);
  }
  const std::string where =
      std::string(verb(access)) + " shared memory at byte " + std::to_string(offset);
  if (in_flight) {
    report(where + ", where an asynchronous copy was not waited for");
  } else if (unwritten) {
    report(where + ", which nobody wrote");
  }
  if (!problem.empty()) report("race: " + where + ", and " + problem + " with no barrier between");
  return true;
}

void SharedShadow::start_copy(size_t offset, size_t bytes) {
  if (!options().find_races) return;
  check(offset, bytes, Access::kWrite);
  for (size_t i = 0; i < bytes; i += kShadowGrain) {
    words_[(offset + i) / kShadowGrain].set_in_flight(block_);
  }
}

void SharedShadow::finish_copy(size_t offset, size_t bytes) {
  if (!options().find_races) return;
  for (size_t i = 0; i < bytes; i += kShadowGrain) {
    words_[(offset + i) / kShadowGrain].set_in_flight(0);
  }
  check(offset, bytes, Access::kWrite);
}

}  // namespace touchstone::cuda_emulator
