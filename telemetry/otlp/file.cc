#include "telemetry/otlp/file.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "telemetry/otlp/json.h"

namespace touchstone::telemetry {
namespace {

constexpr size_t kChunkBytes = size_t{1} << 17;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";  // some editors and shells begin so

/// Cuts chunks into lines and reads each: in the chunk where it lies whole, else put together.
class LineReader final {
 public:
  LineReader(const std::string& name, const OtlpFileOptions& options, const OtlpVisitor& visit)
      : name_(name), options_(options), visit_(visit) {}

  Status add(std::string_view chunk) {
    while (!chunk.empty()) {
      const size_t end = std::min(chunk.find('\n'), chunk.size());
      const std::string_view part = chunk.substr(0, end);
      const bool whole = end < chunk.size();
      if (whole && line_bytes_ == 0 && part.size() <= options_.line_bytes_max) {
        ++number_;
        RETURN_IF_ERROR(read(part, /*closed=*/true));
      } else {
        keep(part);
        if (whole) RETURN_IF_ERROR(finish_line(/*closed=*/true));
      }
      chunk.remove_prefix(whole ? end + 1 : end);
    }
    return {};
  }

  /// A line that no line end closes may be whole or cut short; only its JSON can tell.
  Status finish() {
    if (line_bytes_ == 0) return {};
    return finish_line(/*closed=*/false);
  }

  /// The archive ends inside the line that is being read, or is damaged there.
  void end_early(const Error& error) {
    ++number_;
    if (error.code == ErrorCode::kUnavailable) {
      torn(error.message);
    } else {
      problem(error.message);
    }
  }
  OtlpFileSummary take() { return std::move(summary_); }

 private:
  void keep(std::string_view part) {
    if (line_.size() + part.size() > options_.line_bytes_max) {
      too_long_ = true;
      line_ = {};
    }
    if (!too_long_) {
      line_.reserve(line_.size() + part.size() + OtlpJsonDecoder::kPaddingBytes);
      line_ += part;
    }
    line_bytes_ += part.size();
  }

  Status finish_line(bool closed) {
    ++number_;
    const size_t bytes = std::exchange(line_bytes_, 0);
    if (std::exchange(too_long_, false)) {
      ++summary_.lines;
      problem("got a line of " + std::to_string(bytes) + " bytes, expected at most " +
              std::to_string(options_.line_bytes_max));
      return {};
    }
    Status status = read(line_, closed);
    line_.clear();
    return status;
  }

  Status read(std::string_view line, bool closed) {
    if (number_ == 1 && line.starts_with(kByteOrderMark)) line.remove_prefix(kByteOrderMark.size());
    if (trim(line).empty()) return {};
    ++summary_.lines;
    const Result<OtlpSignal> signal =
        decoder_.decode_padded(line, batch_, [this](const std::string& text) { problem(text); });
    if (!signal) {
      const bool begins = signal.error().code == ErrorCode::kMalformed && line.starts_with('{');
      if (closed || !begins) {
        problem(signal.error().message);
      } else {
        torn("the last line stops after " + std::to_string(line.size()) +
             " bytes, inside its JSON");
      }
      return {};
    }
    if (*signal != OtlpSignal::kTraces) {
      ++summary_.other_signal_lines;
      return {};
    }
    summary_.spans += span_count(batch_);
    return visit_(batch_, number_);
  }

  std::string at() const { return name_ + ":" + std::to_string(number_) + ": "; }
  void problem(const std::string& text) {
    ++summary_.problem_count;
    if (summary_.problems.size() < options_.problems_max) summary_.problems.push_back(at() + text);
  }
  void torn(const std::string& text) {
    summary_.torn_tail = at() + text + "; is the file still being written, or was it cut short?";
  }

  const std::string& name_;
  const OtlpFileOptions& options_;
  const OtlpVisitor& visit_;
  OtlpJsonDecoder decoder_;
  TraceBatch batch_;
  OtlpFileSummary summary_;
  int64_t number_ = 0;  // of the last line that was begun and ended
  std::string line_;    // its beginning, when it began in an earlier chunk
  size_t line_bytes_ = 0;
  bool too_long_ = false;
};

}  // namespace

Result<OtlpFileSummary> read_otlp_lines(ByteSource& source, const std::string& name,
                                        const OtlpVisitor& visit, const OtlpFileOptions& options) {
  LineReader lines(name, options, visit);
  std::vector<char> chunk(kChunkBytes + OtlpJsonDecoder::kPaddingBytes);
  for (;;) {
    Result<size_t> got = source.read(std::span(chunk).first(kChunkBytes));
    if (!got && got.error().code != ErrorCode::kIo) {
      lines.end_early(got.error());
      return lines.take();
    }
    if (!got) return std::move(got).error().with_context(name);
    if (*got == 0) break;
    RETURN_IF_ERROR(lines.add({chunk.data(), *got}));
  }
  RETURN_IF_ERROR(lines.finish());
  return lines.take();
}

Result<OtlpFileSummary> read_otlp_file(const std::string& path, const OtlpVisitor& visit,
                                       const OtlpFileOptions& options) {
  Result<std::unique_ptr<FileBytes>> file = FileBytes::open(path, options.digest);
  if (!file) return std::move(file).error();
  Result<std::unique_ptr<ByteSource>> source = decompressed(**file);
  if (!source) return std::move(source).error().with_context(path);
  Result<OtlpFileSummary> summary = read_otlp_lines(**source, path, visit, options);
  if (!summary || options.digest == FileBytes::Digest::kNone) return summary;
  Result<std::string> sha256 = (*file)->sha256_hex();
  if (!sha256) return std::move(sha256).error().with_context(path);
  summary->sha256 = *std::move(sha256);
  return summary;
}

Result<OtlpFile> read_otlp_file(const std::string& path, const OtlpFileOptions& options) {
  OtlpFile file;
  Result<OtlpFileSummary> summary = read_otlp_file(
      path,
      [&](TraceBatch& batch, int64_t) -> Status {
        std::move(batch.begin(), batch.end(), std::back_inserter(file.batch));
        batch.clear();
        return {};
      },
      options);
  if (!summary) return std::move(summary).error();
  file.summary = *std::move(summary);
  return file;
}

}  // namespace touchstone::telemetry
