// The folder in which a part keeps its files, a file system of its own where a fault wants to fill
// it. Thread-compatible.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/files.h"
#include "harness/process/disk.h"
#include "harness/stack/context.h"

namespace touchstone::harness {

class PartDisk final {
 public:
  /// The folder where it is `used` or a fault wants it. Where it cannot be a file system of its
  /// own, a plain folder stands in, and fill() says why. Does nothing another time. ERRORS: kIo.
  Status make(const RunContext& run, const std::string& part, bool used) {
    if (made_) return {};
    made_ = true;
    const std::string folder = run.disk_of(part);
    const bool filled = run.has_fault(FaultKind::Target::kDisk, part);
    if (used || filled) RETURN_IF_ERROR(make_directories(folder));
    if (!filled) return {};
    auto disk = Disk::make(folder, kBytes);
    if (disk) {
      disk_ = std::move(*disk);
    } else {
      problem_ = disk.error();
    }
    return {};
  }

  bool is_own() const { return disk_ != nullptr; }
  Status fill() { return disk_ != nullptr ? disk_->fill() : Status(problem_); }
  Status empty() { return disk_ != nullptr ? disk_->empty() : Status(problem_); }

 private:
  static constexpr int64_t kBytes = int64_t{64} << 20;
  bool made_ = false;
  std::unique_ptr<Disk> disk_;
  Error problem_{ErrorCode::kUnsupported, "it has no file system of its own", {}};
};

}  // namespace touchstone::harness
