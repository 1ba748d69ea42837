#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include "base/files.h"
#include "telemetry/otlp/file.h"
#include "telemetry/otlp/json.h"

namespace touchstone::telemetry {
namespace {

std::string gzip(const std::string& text) {
  z_stream stream{};
  BASE_CHECK(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  BASE_CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string zstd(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  const size_t size = ZSTD_compress2(context, out.data(), out.size(), text.data(), text.size());
  BASE_CHECK(ZSTD_isError(size) == 0);
  ZSTD_freeCCtx(context);
  out.resize(size);
  return out;
}

std::string line(const std::string& span_name) {
  Span span;
  span.name = span_name;
  return encode_otlp_json({{{}, "", {{{}, "", {span}}}}}) + "\n";
}

class OtlpFileTest : public ::testing::Test {
 protected:
  OtlpFile read(const std::string& content, const OtlpFileOptions& options = {}) {
    BASE_CHECK(write_file_atomic(path_, content).has_value());
    Result<OtlpFile> file = read_otlp_file(path_, options);
    BASE_CHECK(file.has_value(), file.error().message);
    return *std::move(file);
  }
  /// The problem's text after "<path>:".
  std::string only_problem(const OtlpFile& file) {
    EXPECT_EQ(file.summary.problem_count, 1);
    if (file.summary.problems.size() != 1) return "";
    EXPECT_EQ(file.summary.problems[0].substr(0, path_.size() + 1), path_ + ":");
    return file.summary.problems[0].substr(path_.size() + 1);
  }

  Result<TemporaryDirectory> directory_ = TemporaryDirectory::make("otlp-file-test");
  std::string path_ = directory_->path() + "/spans.jsonl";
};

TEST_F(OtlpFileTest, PlainGzipAndZstdHoldTheSameSpans) {
  std::string text;
  for (int i = 0; i < 5000; ++i) text += line("span " + std::to_string(i));
  const std::string half = text.substr(0, text.size() / 2);
  const std::string rest = text.substr(text.size() / 2);
  const OtlpFile plain = read(text);
  EXPECT_EQ(plain.summary.spans, 5000);
  EXPECT_EQ(plain.batch.size(), 5000u);
  for (const std::string& archive :
       {gzip(text), zstd(text), gzip(half) + gzip(rest), zstd(half) + zstd(rest)}) {
    const OtlpFile file = read(archive);
    EXPECT_EQ(file.batch, plain.batch);
    EXPECT_EQ(file.summary.problem_count, 0);
  }
}

TEST_F(OtlpFileTest, BlankLinesAndOtherSignalsAreNoProblem) {
  const OtlpFile file = read("\n" + line("a") + " \r\n{\"resourceMetrics\":[]}\n");
  EXPECT_EQ(file.summary.lines, 2);
  EXPECT_EQ(file.summary.spans, 1);
  EXPECT_EQ(file.summary.other_signal_lines, 1);
  EXPECT_EQ(file.summary.problem_count, 0);
}

TEST_F(OtlpFileTest, AnEmptyFileHasNothing) {
  EXPECT_EQ(read("").summary.lines, 0);
  EXPECT_EQ(read(gzip("")).summary.lines, 0);
  EXPECT_EQ(read(zstd("")).summary.lines, 0);
}

TEST_F(OtlpFileTest, ALastLineWithoutALineEndIsReadWhenWhole) {
  std::string text = line("a") + line("b");
  text.pop_back();
  EXPECT_EQ(read(text).summary.spans, 2);
}

TEST_F(OtlpFileTest, ATruncatedLastLineIsReportedAndTheOthersKept) {
  const std::string text = line("a") + line("b") + line("c");
  const size_t last = text.size() - line("c").size();
  for (size_t size = last + 1; size + 1 < text.size(); ++size) {
    const OtlpFile file = read(text.substr(0, size));
    EXPECT_EQ(file.summary.spans, 2) << size;
    EXPECT_EQ(file.summary.problem_count, 0) << size;
    EXPECT_EQ(file.summary.torn_tail,
              path_ + ":3: the last line stops after " + std::to_string(size - last) +
                  " bytes, inside its JSON; is the file still being written, or was it cut short?");
  }
  for (const char* garbage : {"hello", "{}", "{\"resourceSpan\":[]}"}) {
    const OtlpFile file = read(line("a") + garbage);
    EXPECT_EQ(file.summary.problem_count, 1) << garbage;
    EXPECT_EQ(file.summary.torn_tail, "") << garbage;
  }
}

TEST_F(OtlpFileTest, AByteOrderMarkAndZerosAfterAnArchiveAreNoProblem) {
  const std::string zeros(300000, '\0');
  for (const std::string& content :
       {"\xEF\xBB\xBF" + line("a") + line("b"), gzip(line("a") + line("b")) + zeros,
        zstd(line("a") + line("b")) + zeros, gzip(line("a")) + zeros + gzip(line("b"))}) {
    const OtlpFile file = read(content);
    EXPECT_EQ(file.summary.spans, 2);
    EXPECT_EQ(file.summary.problem_count, 0);
    EXPECT_EQ(file.summary.torn_tail, "");
  }
}

TEST_F(OtlpFileTest, ALineThatIsNoOtlpIsAProblem) {
  const OtlpFile file = read(line("a") + "{}\n{\"resourceSpan\":[]}\n" + line("b"));
  EXPECT_EQ(file.summary.spans, 2);
  ASSERT_EQ(file.summary.problems.size(), 2u);
  EXPECT_EQ(file.summary.problems[1].substr(path_.size(), 3), ":3:");
}

/// A file of any size that lies nowhere: one line over and over.
class Repeated final : public ByteSource {
 public:
  Repeated(std::string text, size_t times) : text_(std::move(text)), times_(times) {}
  Result<size_t> read(std::span<char> buffer) override {
    size_t size = 0;
    while (size < buffer.size() && times_ > 0) {
      const size_t part = std::min(buffer.size() - size, text_.size() - at_);
      std::copy_n(text_.data() + at_, part, buffer.data() + size);
      size += part;
      at_ += part;
      if (at_ == text_.size()) {
        at_ = 0;
        --times_;
      }
    }
    return size;
  }

 private:
  const std::string text_;
  size_t times_;
  size_t at_ = 0;
};

TEST_F(OtlpFileTest, TheNextLineIsReadIntoTheMemoryOfTheOneBefore) {
  Repeated source(line("a name too long to lie inside of a string"), 5000);
  const Span* first = nullptr;
  const char* name = nullptr;
  int64_t lines = 0;
  const auto summary = read_otlp_lines(source, "x", [&](TraceBatch& batch, int64_t number) {
    const Span& span = batch.at(0).scope_spans.at(0).spans.at(0);
    if (lines++ == 0) {
      first = &span;
      name = span.name.data();
    }
    EXPECT_EQ(number, lines);
    EXPECT_EQ(&span, first);
    EXPECT_EQ(span.name.data(), name);
    return Status();
  });
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->spans, 5000);
}

TEST_F(OtlpFileTest, ACutOrDamagedArchiveIsReportedAfterItsGoodLines) {
  std::string text;
  for (int i = 0; i < 20000; ++i) text += line("span number " + std::to_string(i * 7919));
  for (const std::string& archive : {gzip(text), zstd(text)}) {
    const OtlpFile cut = read(archive.substr(0, archive.size() / 2));
    EXPECT_GT(cut.summary.spans, 100);
    EXPECT_LT(cut.summary.spans, 20000);
    EXPECT_EQ(cut.summary.problem_count, 0);
    EXPECT_NE(cut.summary.torn_tail.find("data ends before its end;"), std::string::npos);
    std::string damaged = archive;
    for (size_t i = archive.size() / 2; i < archive.size() / 2 + 64; ++i) damaged[i] = '\x55';
    EXPECT_GE(read(damaged).summary.problem_count, 1);
  }
  EXPECT_NE(read(gzip(line("a")).substr(0, 5)).summary.torn_tail, "");
  EXPECT_NE(read(zstd(line("a")).substr(0, 6)).summary.torn_tail, "");
}

TEST_F(OtlpFileTest, BadLinesAreReportedOneByOne) {
  const OtlpFile file = read("{\"resourceSpans\":[{\"schemaUrl\":\"\xff\xfe\"}]}\n" + line("a") +
                             "not json\n" + line("b") + "{\"resourceSpans\":7}\n");
  EXPECT_EQ(file.summary.lines, 5);
  EXPECT_EQ(file.summary.spans, 2);
  ASSERT_EQ(file.summary.problems.size(), 3u);
  EXPECT_EQ(file.summary.problems[0].substr(path_.size(), 3), ":1:");
  EXPECT_NE(file.summary.problems[0].find("UTF-8"), std::string::npos) << file.summary.problems[0];
  EXPECT_EQ(file.summary.problems[1].substr(path_.size(), 3), ":3:");
  EXPECT_EQ(file.summary.problems[2], path_ + ":5: resourceSpans: got 7, expected a list");
}

TEST_F(OtlpFileTest, ALineOverTheLimitIsReportedAndSkipped) {
  OtlpFileOptions options;
  options.line_bytes_max = 300000;
  const std::string huge = line(std::string(1000000, 'x'));
  const OtlpFile file = read(line("a") + huge + line("b"), options);
  EXPECT_EQ(file.summary.spans, 2);
  EXPECT_EQ(only_problem(file), "2: got a line of " + std::to_string(huge.size() - 1) +
                                    " bytes, expected at most 300000");
}

TEST_F(OtlpFileTest, ProblemsBeyondTheLimitAreCounted) {
  OtlpFileOptions options;
  options.problems_max = 3;
  std::string text;
  for (int i = 0; i < 10; ++i) text += "x\n";
  const OtlpFile file = read(text, options);
  EXPECT_EQ(file.summary.problem_count, 10);
  EXPECT_EQ(file.summary.problems.size(), 3u);
}

TEST_F(OtlpFileTest, AMissingFileIsNotFoundAndAVisitorsErrorStops) {
  EXPECT_EQ(read_otlp_file(path_ + ".missing").error().code, ErrorCode::kNotFound);
  ASSERT_TRUE(write_file_atomic(path_, line("a") + line("b")));
  int visited = 0;
  const auto stopped = read_otlp_file(path_, [&](TraceBatch&, int64_t) -> Status {
    ++visited;
    return io_error("disk full");
  });
  ASSERT_FALSE(stopped);
  EXPECT_EQ(visited, 1);
}

}  // namespace
}  // namespace touchstone::telemetry
