// A small file system of the run's own, so that a disk can be full without filling anybody's. It
// is a tmpfs in a mount namespace of this process and its children: no other process sees it, and
// it is gone with them whatever ends them. Needs CAP_SYS_ADMIN, or user namespaces and no thread
// started yet. Source: mount_namespaces(7), user_namespaces(7). Thread-compatible; Linux.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"

namespace touchstone::harness {

class Disk final {
 public:
  /// An empty one of `bytes` at `folder`, which is made. ERRORS: kUnsupported when this process may
  /// not mount; kIo.
  static Result<std::unique_ptr<Disk>> make(const std::string& folder, int64_t bytes);
  /// Its files are gone.
  ~Disk();
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  const std::string& folder() const { return folder_; }
  /// Leaves no whole block free. ERRORS: kIo.
  Status fill();
  /// Undoes fill(). ERRORS: kIo.
  Status empty();

 private:
  explicit Disk(std::string folder) : folder_(std::move(folder)) {}
  std::string filler() const { return folder_ + "/.filler"; }
  const std::string folder_;
};

}  // namespace touchstone::harness
