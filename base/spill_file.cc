#include "base/spill_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/check.h"

namespace touchstone {
namespace {

constexpr size_t kBufferBytes = size_t{1} << 18;
constexpr char kHint[] = "set TMPDIR to a folder that can be written to and has room";

}  // namespace

SpillFile::SpillFile(std::string folder, int descriptor)
    : folder_(std::move(folder)), descriptor_(descriptor) {}

SpillFile::~SpillFile() { ::close(descriptor_); }

Result<std::unique_ptr<SpillFile>> SpillFile::make() {
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::temp_directory_path(error);
  if (error) return io_error("TMPDIR: " + error.message(), kHint);
  std::string path = (folder / "touchstone-XXXXXX").string();
  const int descriptor = ::mkostemp(path.data(), O_CLOEXEC);
  if (descriptor < 0) {
    return io_error(folder.string() + ": cannot create a temporary file: " + std::strerror(errno),
                    kHint);
  }
  ::unlink(path.c_str());
  return std::unique_ptr<SpillFile>(new SpillFile(folder.string(), descriptor));
}

Error SpillFile::failed(const char* what) const {
  return io_error(folder_ + ": cannot " + what + " a temporary file: " + std::strerror(errno),
                  kHint);
}

Status SpillFile::append(std::string_view bytes) {
  if (buffer_.size() + bytes.size() > kBufferBytes) RETURN_IF_ERROR(flush());
  buffer_ += bytes;
  return {};
}

Status SpillFile::flush() {
  std::string_view rest = buffer_;
  while (!rest.empty()) {
    const ssize_t count =
        ::pwrite(descriptor_, rest.data(), rest.size(), static_cast<off_t>(written_));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed("write");
    written_ += static_cast<uint64_t>(count);
    rest.remove_prefix(static_cast<size_t>(count));
  }
  buffer_.clear();
  return {};
}

Status SpillFile::read(uint64_t offset, std::span<char> out) {
  BASE_CHECK(offset + out.size() <= size(), offset, " + ", out.size(), " of ", size());
  if (offset + out.size() > written_) RETURN_IF_ERROR(flush());
  while (!out.empty()) {
    const ssize_t count = ::pread(descriptor_, out.data(), out.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed("read");
    if (count == 0) {
      return io_error(folder_ + ": a temporary file ends early: somebody has cut it");
    }
    offset += static_cast<uint64_t>(count);
    out = out.subspan(static_cast<size_t>(count));
  }
  return {};
}

void SpillFile::discard(uint64_t begin, uint64_t end) {
  const auto result = ::fallocate(descriptor_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                  static_cast<off_t>(begin), static_cast<off_t>(end - begin));
  (void)result;  // the space is then given back with the file
}

}  // namespace touchstone
