// Which memory a kernel may touch, and who touched it last. For each word of a checked buffer it
// keeps the last write and a summary of the reads since; an access conflicts with one of them when
// they are of different threads, one writes, and neither a block barrier nor (in one warp) a warp
// barrier lies between. Blocks of one launch are never ordered. Exact for barriers of whole blocks
// and warps, and independent of the order in which threads happened to run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace touchstone::cuda_emulator {

enum class Access { kRead, kWrite, kAtomic };

/// Where an access stands in time.
struct Moment {
  uint64_t launch = 0;
  uint64_t block = 0;  ///< unique among launches
  uint32_t block_epoch = 0;
  uint32_t warp_epoch = 0;
  int32_t thread = -1;
};

/// Of one word: kShadowGrain bytes.
class ShadowWord {
 public:
  /// "" or what is wrong.
  std::string note(Access access, const Moment& now);
  /// An asynchronous copy to here was started, in that block, and not waited for; 0: none was.
  void set_in_flight(uint64_t block) { in_flight_ = block; }
  uint64_t in_flight() const { return in_flight_; }
  bool written_in(uint64_t block) const { return write_.block == block; }
  bool written() const { return write_.launch != 0; }

 private:
  static bool conflicts(const Moment& before, const Moment& now);
  void note_read(bool read_before, const Moment& now);

  Moment write_;
  bool atomic_ = false;        // the last write was one
  Moment read_;                // the latest of them
  bool many_threads_ = false;  // of the same block and epochs as read_
  bool many_warps_ = false;    // since the last block barrier
  bool many_blocks_ = false;   // in this launch
  uint64_t in_flight_ = 0;
};
inline constexpr size_t kShadowGrain = 2;

/// Makes [data, data + bytes) memory that kernels may touch. REQUIRES: it overlaps no other.
/// `written`: it holds something; if not, a kernel must write what a kernel reads, in launches with
/// Options::find_races.
void add_buffer(const void* data, size_t bytes, const std::string& name, bool written = true);
void remove_buffer(const void* data);

/// Whether a kernel may go on with this access to global memory; if not, it was reported.
bool check_global(const void* data, size_t bytes, Access access);

/// The shared memory of the block that runs: [0, size) in bytes, tracked from its start.
class SharedShadow {
 public:
  void reset(size_t bytes, uint64_t block);
  /// As check_global(). `offset` within shared memory.
  bool check(size_t offset, size_t bytes, Access access);
  void start_copy(size_t offset, size_t bytes);
  void finish_copy(size_t offset, size_t bytes);

 private:
  std::vector<ShadowWord> words_;
  uint64_t block_ = 0;
};

/// The shared memory of the block that runs.
SharedShadow& shared_shadow();

}  // namespace touchstone::cuda_emulator
