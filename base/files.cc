#include "base/files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/line_reader.h"

namespace touchstone {
namespace {

constexpr size_t kFlushBytes = 1 << 16;

Error errno_error(const std::string& path, const char* what) {
  const int code = errno;
  std::string hint;
  if (code == ENOSPC) hint = "free some space, or write to another place";
  if (code == EACCES) hint = "check the permissions";
  return {code == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
          path + ": " + what + ": " + std::strerror(code), hint};
}

Status write_all(int descriptor, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno_error(path, "cannot write");
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

}  // namespace

Result<std::string> read_file(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    return errno_error(path, "cannot open");
  }
  std::string content;
  char buffer[1 << 16];
  for (;;) {
    const ssize_t got = ::read(descriptor, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      Error error = errno_error(path, "cannot read");
      ::close(descriptor);
      return error;
    }
    if (got == 0) break;
    content.append(buffer, static_cast<size_t>(got));
  }
  ::close(descriptor);
  return content;
}

namespace {

/// A device or a pipe cannot be replaced, only written to.
Status write_through(const std::string& path, std::string_view content) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (descriptor < 0) return errno_error(path, "cannot open");
  Status written = write_all(descriptor, content, path);
  if (::close(descriptor) != 0 && written) written = errno_error(path, "cannot close");
  return written;
}

}  // namespace

Status write_file_atomic(const std::string& name, std::string_view content) {
  std::error_code error;
  const bool there = std::filesystem::exists(name, error);
  if (there && !std::filesystem::is_regular_file(name, error) &&
      !std::filesystem::is_directory(name, error)) {
    return write_through(name, content);
  }
  // What a symbolic link leads to is replaced, not the link.
  const auto target = std::filesystem::canonical(name, error);
  const std::string path = there && !error ? target.string() : name;
  const std::string temporary = path + ".tmp";
  const int descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor < 0) {
    return errno_error(path, "cannot create");
  }
  Status written = write_all(descriptor, content, path);
  if (::close(descriptor) != 0 && written) {
    written = errno_error(path, "cannot close");
  }
  if (written && ::rename(temporary.c_str(), path.c_str()) != 0) {
    written = errno_error(path, "cannot rename into place");
  }
  if (!written) {
    ::unlink(temporary.c_str());
  }
  return written;
}

Result<std::unique_ptr<LineReader>> LineReader::open(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return errno_error(path, "cannot open");
  return std::unique_ptr<LineReader>(new LineReader(path, std::move(in)));
}

Result<std::optional<std::string_view>> LineReader::next() {
  if (!std::getline(in_, line_)) {
    if (in_.bad()) return errno_error(path_, "cannot read");
    return std::optional<std::string_view>();
  }
  ++number_;
  std::string_view view = line_;
  if (!view.empty() && view.back() == '\r') view.remove_suffix(1);
  return std::optional(view);
}

Status for_each_line(const std::string& path,
                     const std::function<Status(int64_t, std::string_view)>& visit) {
  const auto reader = LineReader::open(path);
  if (!reader) return reader.error();
  for (;;) {
    const auto line = (*reader)->next();
    if (!line) return line.error();
    if (!*line) return {};
    RETURN_IF_ERROR(visit((*reader)->number(), **line));
  }
}

Status make_directories(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) {
    return io_error(path + ": cannot create directory: " + error.message());
  }
  return {};
}

Result<std::unique_ptr<LineWriter>> LineWriter::open(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor < 0) {
    return errno_error(path, "cannot create");
  }
  return std::unique_ptr<LineWriter>(new LineWriter(path, descriptor));
}

LineWriter::LineWriter(std::string path, int descriptor)
    : path_(std::move(path)), descriptor_(descriptor) {}

LineWriter::~LineWriter() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Status LineWriter::write(std::string_view line) {
  buffer_.append(line);
  buffer_.push_back('\n');
  if (buffer_.size() >= kFlushBytes) {
    return flush();
  }
  return {};
}

Status LineWriter::flush() {
  BASE_CHECK(descriptor_ >= 0, path_);
  if (status_) status_ = write_all(descriptor_, buffer_, path_);
  buffer_.clear();
  return status_;
}

Status LineWriter::close() {
  (void)flush();  // its error stays
  const bool closed = ::close(std::exchange(descriptor_, -1)) == 0;
  if (status_ && !closed) status_ = errno_error(path_, "cannot close");
  return status_;
}

Result<TemporaryDirectory> TemporaryDirectory::make(const std::string& prefix) {
  std::error_code error;
  const std::filesystem::path base = std::filesystem::temp_directory_path(error);
  std::string path =
      ((error ? std::filesystem::path("/tmp") : base) / (prefix + "-XXXXXX")).string();
  if (::mkdtemp(path.data()) == nullptr) {
    return errno_error(path, "cannot create temporary directory");
  }
  return TemporaryDirectory(path);
}

TemporaryDirectory::~TemporaryDirectory() {
  if (!path_.empty()) {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
}

TemporaryDirectory::TemporaryDirectory(TemporaryDirectory&& other) noexcept
    : path_(std::exchange(other.path_, {})) {}

TemporaryDirectory& TemporaryDirectory::operator=(TemporaryDirectory&& other) noexcept {
  std::swap(path_, other.path_);
  return *this;
}

std::string TemporaryDirectory::release() { return std::exchange(path_, {}); }

}  // namespace touchstone
