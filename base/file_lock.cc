#include "base/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace touchstone {

Result<FileLock> FileLock::open(const std::string& path, int flags) {
  const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC, 0644);
  if (descriptor >= 0) return FileLock(path, descriptor);
  return Error{errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
               path + ": cannot open: " + std::strerror(errno),
               {}};
}

Result<FileLock> FileLock::make(const std::string& path) { return open(path, O_RDWR | O_CREAT); }
Result<FileLock> FileLock::existing(const std::string& path) { return open(path, O_RDONLY); }

FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

bool FileLock::try_exclusive() {
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) return false;
  struct stat mine {};
  struct stat there {};
  return ::fstat(descriptor_, &mine) == 0 && ::stat(path_.c_str(), &there) == 0 &&
         mine.st_ino == there.st_ino && mine.st_dev == there.st_dev;
}

bool FileLock::try_shared() { return ::flock(descriptor_, LOCK_SH | LOCK_NB) == 0; }

}  // namespace touchstone
