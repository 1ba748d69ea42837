#include "harness/process/disk.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/files.h"

namespace touchstone::harness {
namespace {

constexpr int64_t kBlockBytes = 4096;
constexpr int64_t kFillStepBytes = int64_t{64} << 20;

Error failed(const std::string& what) { return io_error(what + ": " + std::strerror(errno)); }

Error no_mounts(const std::string& what) {
  return {ErrorCode::kUnsupported,
          "no file system of its own: " + what + ": " + std::strerror(errno),
          "a full disk needs root, or user namespaces"};
}

Status write_map(const char* path, const std::string& text) {
  const int descriptor = ::open(path, O_WRONLY | O_CLOEXEC);
  const bool written = descriptor >= 0 && ::write(descriptor, text.data(), text.size()) ==
                                              static_cast<ssize_t>(text.size());
  Status status = written ? Status() : Status(no_mounts(path));
  if (descriptor >= 0) ::close(descriptor);
  return status;
}

/// From now on what this thread and its children mount is seen by them alone. Once a process is
/// enough; another time does no harm.
Status own_mounts() {
  const auto user = std::to_string(::getuid());
  const auto group = std::to_string(::getgid());
  if (::unshare(CLONE_NEWNS) != 0) {
    if (errno != EPERM) return no_mounts("unshare");
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return no_mounts("unshare");
    RETURN_IF_ERROR(write_map("/proc/self/setgroups", "deny"));
    RETURN_IF_ERROR(write_map("/proc/self/uid_map", user + " " + user + " 1"));
    RETURN_IF_ERROR(write_map("/proc/self/gid_map", group + " " + group + " 1"));
  }
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return no_mounts("mount");
  return {};
}

}  // namespace

Result<std::unique_ptr<Disk>> Disk::make(const std::string& folder, int64_t bytes) {
  RETURN_IF_ERROR(make_directories(folder));
  RETURN_IF_ERROR(own_mounts());
  const std::string options = "size=" + std::to_string(bytes) + ",mode=0700";
  if (::mount("tmpfs", folder.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) != 0) {
    return no_mounts("mount");
  }
  return std::unique_ptr<Disk>(new Disk(folder));  // NOLINT: private constructor
}

Disk::~Disk() { ::umount2(folder_.c_str(), MNT_DETACH); }

Status Disk::fill() {
  const int descriptor = ::open(filler().c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) return failed(filler());
  off_t used = 0;
  int problem = 0;
  for (int64_t step = kFillStepBytes; step >= kBlockBytes && problem == 0;) {
    const int code = ::posix_fallocate(descriptor, used, step);
    if (code == 0) {
      used += step;
    } else if (code == ENOSPC) {
      step /= 2;
    } else if (code != EINTR) {
      problem = code;
    }
  }
  ::close(descriptor);
  errno = problem;
  return problem == 0 ? Status() : Status(failed(filler()));
}

Status Disk::empty() {
  if (::unlink(filler().c_str()) != 0) return failed(filler());
  return {};
}

}  // namespace touchstone::harness
