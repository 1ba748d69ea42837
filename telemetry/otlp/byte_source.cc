#include "telemetry/otlp/byte_source.h"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

namespace touchstone::telemetry {
namespace {

constexpr size_t kChunkBytes = size_t{1} << 17;

class PlainSource final : public ByteSource {
 public:
  explicit PlainSource(FileBytes& file) : file_(file) {}
  Result<size_t> read(std::span<char> buffer) override { return file_.read(buffer); }

 private:
  FileBytes& file_;
};

/// What both decompressors share: a chunk of compressed input.
class Input final {
 public:
  explicit Input(ByteSource& bytes) : bytes_(bytes), chunk_(kChunkBytes) {}

  /// The unread part; empty at the end of the file.
  Result<std::string_view> available() {
    if (rest_.empty()) {
      Result<size_t> got = bytes_.read(chunk_);
      if (!got) return std::move(got).error();
      rest_ = {chunk_.data(), *got};
    }
    return rest_;
  }
  void consume(size_t count) { rest_.remove_prefix(count); }
  /// Between archives: goes to the next byte that is not zero. As available() then.
  Result<std::string_view> skip_zeros() {
    for (;;) {
      Result<std::string_view> input = available();
      if (!input || input->empty()) return input;
      const size_t zeros = std::min(input->find_first_not_of('\0'), input->size());
      consume(zeros);
      if (!rest_.empty()) return rest_;
    }
  }

 private:
  ByteSource& bytes_;
  std::vector<char> chunk_;
  std::string_view rest_;
};

class GzipSource final : public ByteSource {
 public:
  explicit GzipSource(ByteSource& bytes) : input_(bytes) {
    constexpr int kGzipWithLargestWindow = 15 + 16;
    BASE_CHECK(inflateInit2(&stream_, kGzipWithLargestWindow) == Z_OK);
  }
  ~GzipSource() override { inflateEnd(&stream_); }
  GzipSource(const GzipSource&) = delete;
  GzipSource& operator=(const GzipSource&) = delete;

  Result<size_t> read(std::span<char> buffer) override {
    for (;;) {
      Result<std::string_view> input = between_members_ ? input_.skip_zeros() : input_.available();
      if (!input) return std::move(input).error();
      if (input->empty()) {
        if (between_members_) return size_t{0};
        return unavailable("the gzip data ends before its end");
      }
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input->data()));
      stream_.avail_in = static_cast<uInt>(input->size());
      stream_.next_out = reinterpret_cast<Bytef*>(buffer.data());
      stream_.avail_out = static_cast<uInt>(buffer.size());
      const int code = inflate(&stream_, Z_NO_FLUSH);
      input_.consume(input->size() - stream_.avail_in);
      if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) {
        return malformed("damaged gzip data" +
                         (stream_.msg != nullptr ? std::string(": ") + stream_.msg : ""));
      }
      between_members_ = code == Z_STREAM_END;
      if (between_members_) inflateReset(&stream_);
      const size_t written = buffer.size() - stream_.avail_out;
      if (written > 0) return written;
    }
  }

 private:
  Input input_;
  z_stream stream_{};
  bool between_members_ = false;
};

class ZstdSource final : public ByteSource {
 public:
  explicit ZstdSource(FileBytes& file)
      : input_(file), context_(ZSTD_createDStream(), &ZSTD_freeDStream) {
    BASE_CHECK(context_ != nullptr);
  }

  Result<size_t> read(std::span<char> buffer) override {
    for (;;) {
      Result<std::string_view> input = between_frames_ ? input_.skip_zeros() : input_.available();
      if (!input) return std::move(input).error();
      if (input->empty() && between_frames_) return size_t{0};
      ZSTD_inBuffer in{input->data(), input->size(), 0};
      ZSTD_outBuffer out{buffer.data(), buffer.size(), 0};
      const size_t code = ZSTD_decompressStream(context_.get(), &out, &in);
      input_.consume(in.pos);
      if (ZSTD_isError(code) != 0) {
        return malformed(std::string("damaged zstd data: ") + ZSTD_getErrorName(code));
      }
      between_frames_ = code == 0;
      if (out.pos > 0) return out.pos;
      if (input->empty()) {
        return unavailable("the zstd data ends before its end");
      }
    }
  }

 private:
  Input input_;
  std::unique_ptr<ZSTD_DStream, decltype(&ZSTD_freeDStream)> context_;
  bool between_frames_ = false;
};

/// Bytes in memory, borrowed.
class MemoryBytes final : public ByteSource {
 public:
  explicit MemoryBytes(std::string_view bytes) : rest_(bytes) {}
  Result<size_t> read(std::span<char> buffer) override {
    const size_t size = rest_.copy(buffer.data(), buffer.size());
    rest_.remove_prefix(size);
    return size;
  }

 private:
  std::string_view rest_;
};

/// What is in a file, and the file.
class OwningSource final : public ByteSource {
 public:
  OwningSource(std::unique_ptr<FileBytes> file, std::unique_ptr<ByteSource> content)
      : file_(std::move(file)), content_(std::move(content)) {}
  Result<size_t> read(std::span<char> buffer) override { return content_->read(buffer); }

 private:
  std::unique_ptr<FileBytes> file_;
  std::unique_ptr<ByteSource> content_;  // borrows the file
};

}  // namespace

FileBytes::FileBytes(int descriptor, Digest digest) : descriptor_(descriptor) {
  if (digest == Digest::kSha256) sha256_ = std::make_unique<BackgroundSha256>();
}

FileBytes::~FileBytes() { ::close(descriptor_); }

Result<std::unique_ptr<FileBytes>> FileBytes::open(const std::string& path, Digest digest) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    const int code = errno;
    return Error{code == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
                 path + ": cannot open: " + std::strerror(code), ""};
  }
  return std::unique_ptr<FileBytes>(new FileBytes(descriptor, digest));
}

Result<size_t> FileBytes::read_on(std::span<char> buffer) {
  for (;;) {
    const ssize_t got = ::read(descriptor_, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return io_error(std::string("cannot read: ") + std::strerror(errno));
    const auto size = static_cast<size_t>(got);
    if (sha256_ != nullptr) sha256_->update({buffer.data(), size});
    return size;
  }
}

Result<size_t> FileBytes::read(std::span<char> buffer) {
  if (head_.empty()) return read_on(buffer);
  const size_t size = head_.copy(buffer.data(), buffer.size());
  head_.erase(0, size);
  return size;
}

Result<std::string> FileBytes::peek() {
  constexpr size_t kBytes = 4;
  while (head_.size() < kBytes) {
    char more[kBytes];
    const Result<size_t> got = read_on(std::span(more).first(kBytes - head_.size()));
    if (!got) return got.error();
    if (*got == 0) break;
    head_.append(more, *got);
  }
  return head_;
}

Result<std::string> FileBytes::sha256_hex() {
  BASE_CHECK(sha256_ != nullptr, "no digest was asked for");
  std::vector<char> rest(kChunkBytes);
  for (;;) {
    const Result<size_t> got = read_on(rest);
    if (!got) return got.error();
    if (*got == 0) return sha256_->finish_hex();
  }
}

Result<std::unique_ptr<ByteSource>> decompressed(FileBytes& file) {
  const Result<std::string> head = file.peek();
  if (!head) return head.error();
  std::unique_ptr<ByteSource> source;
  if (head->starts_with("\x1f\x8b")) {
    source = std::make_unique<GzipSource>(file);
  } else if (*head == "\x28\xb5\x2f\xfd") {
    source = std::make_unique<ZstdSource>(file);
  } else {
    source = std::make_unique<PlainSource>(file);
  }
  return source;
}

Result<std::unique_ptr<ByteSource>> open_bytes(const std::string& path) {
  auto file = FileBytes::open(path, FileBytes::Digest::kNone);
  if (!file) return std::move(file).error();
  auto content = decompressed(**file);
  if (!content) return std::move(content).error().with_context(path);
  return std::unique_ptr<ByteSource>(
      std::make_unique<OwningSource>(*std::move(file), *std::move(content)));
}

Result<std::string> gunzip(std::string_view bytes, size_t bytes_max) {
  MemoryBytes memory(bytes);
  GzipSource source(memory);
  std::string out;
  for (;;) {
    const size_t old_size = out.size();
    out.resize(old_size + kChunkBytes);
    const Result<size_t> got = source.read(std::span(out).subspan(old_size));
    if (!got) return got.error();
    out.resize(old_size + *got);
    if (*got == 0) return out;
    if (out.size() > bytes_max) {
      return malformed("got more than " + std::to_string(bytes_max) +
                       " bytes of gzip content, expected at most these");
    }
  }
}

}  // namespace touchstone::telemetry
