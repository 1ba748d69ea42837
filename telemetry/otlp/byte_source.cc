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
  explicit PlainSource(int descriptor) : descriptor_(descriptor) {}
  ~PlainSource() override { ::close(descriptor_); }
  PlainSource(const PlainSource&) = delete;
  PlainSource& operator=(const PlainSource&) = delete;

  Result<size_t> read(std::span<char> buffer) override {
    for (;;) {
      const ssize_t got = ::read(descriptor_, buffer.data(), buffer.size());
      if (got >= 0) return static_cast<size_t>(got);
      if (errno != EINTR) return io_error(std::string("cannot read: ") + std::strerror(errno));
    }
  }

  /// The first bytes, to tell the format; read() starts after them again from the beginning.
  std::string peek(size_t count) const {
    std::string head(count, '\0');
    const ssize_t got = ::pread(descriptor_, head.data(), count, 0);
    head.resize(got > 0 ? static_cast<size_t>(got) : 0);
    return head;
  }

 private:
  int descriptor_;
};

/// What both decompressors share: a chunk of compressed input.
class Input final {
 public:
  explicit Input(std::unique_ptr<ByteSource> file) : file_(std::move(file)), chunk_(kChunkBytes) {}

  /// The unread part; empty at the end of the file.
  Result<std::string_view> available() {
    if (rest_.empty()) {
      Result<size_t> got = file_->read(chunk_);
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
  std::unique_ptr<ByteSource> file_;
  std::vector<char> chunk_;
  std::string_view rest_;
};

class GzipSource final : public ByteSource {
 public:
  explicit GzipSource(std::unique_ptr<ByteSource> file) : input_(std::move(file)) {
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
  explicit ZstdSource(std::unique_ptr<ByteSource> file)
      : input_(std::move(file)), context_(ZSTD_createDStream(), &ZSTD_freeDStream) {
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

}  // namespace

Result<std::unique_ptr<ByteSource>> open_bytes(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    const int code = errno;
    return Error{code == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
                 path + ": cannot open: " + std::strerror(code), ""};
  }
  auto file = std::make_unique<PlainSource>(descriptor);
  const std::string head = file->peek(4);
  std::unique_ptr<ByteSource> source;
  if (head.starts_with("\x1f\x8b")) {
    source = std::make_unique<GzipSource>(std::move(file));
  } else if (head == "\x28\xb5\x2f\xfd") {
    source = std::make_unique<ZstdSource>(std::move(file));
  } else {
    source = std::move(file);
  }
  return source;
}

}  // namespace touchstone::telemetry
