#include "harness/append_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace touchstone::harness {

AppendFile::~AppendFile() { close(); }

void AppendFile::close() {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
}

Status AppendFile::problem(const char* what) const {
  const int number = errno;
  const std::string message = path_ + ": cannot " + what + ": " + std::strerror(number);
  if (number == ENOENT) return not_found(message);
  return io_error(message);
}

Status AppendFile::open() {
  close();
  descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor_ < 0) return problem("open");
  std::array<char, 65536> piece;
  int64_t at = 0;
  size_ = lines_before_ = 0;
  struct stat kind {};
  if (::fstat(descriptor_, &kind) != 0) return problem("examine");
  if (!S_ISREG(kind.st_mode)) return {};  // a device has no lines of before
  for (;;) {
    const ssize_t got = ::pread(descriptor_, piece.data(), piece.size(), at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return problem("read");
    if (got == 0) break;
    const auto end = piece.begin() + got;
    lines_before_ += std::count(piece.begin(), end, '\n');
    const auto last = std::find(std::make_reverse_iterator(end), piece.rend(), '\n');
    if (last != piece.rend()) size_ = at + (last.base() - piece.begin());
    at += got;
  }
  if (at > size_ && ::ftruncate(descriptor_, size_) != 0) return problem("cut a torn line off");
  return {};
}

Status AppendFile::append(std::string_view lines) {
  if (descriptor_ < 0) RETURN_IF_ERROR(open());
  int64_t at = size_;
  while (!lines.empty()) {
    const ssize_t wrote = ::pwrite(descriptor_, lines.data(), lines.size(), at);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) {
      Status status = problem("write");
      // A torn line would make the whole file unreadable.
      if (::ftruncate(descriptor_, size_) != 0) close();
      return status;
    }
    at += wrote;
    lines.remove_prefix(static_cast<size_t>(wrote));
  }
  size_ = at;
  return {};
}

}  // namespace touchstone::harness
