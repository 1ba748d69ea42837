#include "telemetry/otlp/file.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "telemetry/otlp/byte_source.h"
#include "telemetry/otlp/json.h"

namespace touchstone::telemetry {
namespace {

constexpr size_t kChunkBytes = size_t{1} << 17;

/// Cuts chunks into lines and reads each.
class LineReader final {
 public:
  LineReader(const std::string& path, const OtlpFileOptions& options,
             const std::function<Status(TraceBatch)>& visit)
      : path_(path), options_(options), visit_(visit) {}

  Status add(std::string_view chunk) {
    while (!chunk.empty()) {
      const size_t end = std::min(chunk.find('\n'), chunk.size());
      const std::string_view part = chunk.substr(0, end);
      if (line_.size() + part.size() > options_.line_bytes_max) {
        too_long_ = true;
        line_.clear();
        line_.shrink_to_fit();
      }
      if (!too_long_) line_ += part;
      line_bytes_ += part.size();
      if (end == chunk.size()) return {};
      RETURN_IF_ERROR(finish_line(""));
      chunk.remove_prefix(end + 1);
    }
    return {};
  }

  /// A line that no line end closes may be whole or cut short; only its JSON can tell.
  Status finish() {
    if (line_bytes_ == 0) return {};
    return finish_line(" (the last line has no line end: was the file cut short?)");
  }

  void problem(const std::string& text) {
    ++summary_.problem_count;
    if (summary_.problems.size() < options_.problems_max) {
      summary_.problems.push_back(path_ + ":" + std::to_string(number_) + ": " + text);
    }
  }
  /// The line that was being read when the bytes ended.
  void problem_in_line(const std::string& text) {
    ++number_;
    problem(text);
    line_bytes_ = 0;
  }
  OtlpFileSummary take() { return std::move(summary_); }

 private:
  Status finish_line(const char* remark) {
    ++number_;
    const bool too_long = std::exchange(too_long_, false);
    const size_t bytes = std::exchange(line_bytes_, 0);
    const std::string line = std::exchange(line_, {});
    if (too_long) {
      ++summary_.lines;
      problem("got a line of " + std::to_string(bytes) + " bytes, expected at most " +
              std::to_string(options_.line_bytes_max));
      return {};
    }
    if (trim(line).empty()) return {};
    ++summary_.lines;
    Result<OtlpJsonLine> read = decode_otlp_json_line(line);
    if (!read) {
      problem(read.error().message + remark);
      return {};
    }
    if (read->signal != OtlpSignal::kTraces) {
      ++summary_.other_signal_lines;
      return {};
    }
    for (const ResourceSpans& group : read->batch) {
      for (const ScopeSpans& scope : group.scope_spans) {
        summary_.spans += static_cast<int64_t>(scope.spans.size());
      }
    }
    return visit_(std::move(read->batch));
  }

  const std::string& path_;
  const OtlpFileOptions& options_;
  const std::function<Status(TraceBatch)>& visit_;
  OtlpFileSummary summary_;
  int64_t number_ = 0;  // of the last finished line
  std::string line_;
  size_t line_bytes_ = 0;
  bool too_long_ = false;
};

}  // namespace

Result<OtlpFileSummary> read_otlp_file(const std::string& path,
                                       const std::function<Status(TraceBatch)>& visit,
                                       const OtlpFileOptions& options) {
  Result<std::unique_ptr<ByteSource>> source = open_bytes(path);
  if (!source) return std::move(source).error();
  LineReader lines(path, options, visit);
  std::vector<char> chunk(kChunkBytes);
  for (;;) {
    Result<size_t> got = (*source)->read(chunk);
    if (!got && got.error().code == ErrorCode::kMalformed) {
      lines.problem_in_line(got.error().message);
      return lines.take();
    }
    if (!got) return std::move(got).error().with_context(path);
    if (*got == 0) break;
    RETURN_IF_ERROR(lines.add({chunk.data(), *got}));
  }
  RETURN_IF_ERROR(lines.finish());
  return lines.take();
}

Result<OtlpFile> read_otlp_file(const std::string& path, const OtlpFileOptions& options) {
  OtlpFile file;
  Result<OtlpFileSummary> summary = read_otlp_file(
      path,
      [&](TraceBatch batch) -> Status {
        std::move(batch.begin(), batch.end(), std::back_inserter(file.batch));
        return {};
      },
      options);
  if (!summary) return std::move(summary).error();
  file.summary = *std::move(summary);
  return file;
}

}  // namespace touchstone::telemetry
