// Bytes that are no telemetry, or not all of it.
#include "conformance/mutate/lines.h"
#include "conformance/mutate/operator.h"

namespace touchstone::conformance::mutate {
namespace {

template <typename Damage>
std::vector<Mutant> on_lines(const Damage& damage) {
  return {{"the file", [damage](Evidence& evidence) {
             std::vector<std::string> lines = lines_of(evidence);
             damage(lines);
             read_bytes(evidence, joined(lines));
           }}};
}

/// A line before the others.
std::vector<Mutant> with_line(const std::string& line) {
  return on_lines([line](std::vector<std::string>& lines) { lines.insert(lines.begin(), line); });
}

/// The first occurrence of `from` in the first line that has it.
std::vector<Mutant> replaced(const std::string& from, const std::string& to) {
  return on_lines([from, to](std::vector<std::string>& lines) {
    for (std::string& line : lines) {
      const size_t at = line.find(from);
      if (at == std::string::npos) continue;
      line.replace(at, from.size(), to);
      return;
    }
  });
}

std::vector<Mutant> cut_line(const Good&) {
  return on_lines(
      [](std::vector<std::string>& lines) { lines.front().resize(lines.front().size() / 2); });
}
std::vector<Mutant> cut_end(const Good&) {
  return {{"the file", [](Evidence& evidence) {
             std::string bytes = joined(lines_of(evidence));
             bytes.resize(bytes.size() - 40);
             read_bytes(evidence, bytes);
           }}};
}
std::vector<Mutant> no_json(const Good&) { return with_line("2026-11-25 12:00:00 INFO started"); }
std::vector<Mutant> empty_object(const Good&) { return with_line("{}"); }
std::vector<Mutant> misspelt_key(const Good&) { return replaced("resourceSpans", "resourceSpan"); }
std::vector<Mutant> jaeger(const Good&) {
  return with_line(R"({"data":[{"traceID":"0af7651916cd43dd8448eb211c80319c","spans":[]}]})");
}
std::vector<Mutant> plain_span(const Good&) {
  return with_line(R"({"traceId":"0af7651916cd43dd8448eb211c80319c","name":"llm_request"})");
}
std::vector<Mutant> old_otlp(const Good&) {
  return with_line(
      R"({"resourceSpans":[{"instrumentationLibrarySpans":[{"spans":[{"name":"a"}]}]}]})");
}
std::vector<Mutant> glued(const Good&) {
  return on_lines([](std::vector<std::string>& lines) { lines.front() += lines.back(); });
}
std::vector<Mutant> not_utf8(const Good&) { return replaced("llm", "l\xC3\x28m"); }
std::vector<Mutant> nul_byte(const Good&) {
  return replaced("\"name\"", std::string("\"na\0me\"", 8));
}
std::vector<Mutant> short_trace_id(const Good&) {
  return replaced("\"traceId\":\"", "\"traceId\":\"x");
}
std::vector<Mutant> odd_span_id(const Good&) {
  return replaced("\"spanId\":\"", "\"spanId\":\"zz");
}
std::vector<Mutant> time_in_words(const Good&) {
  return replaced("\"startTimeUnixNano\":\"", "\"startTimeUnixNano\":\"today ");
}
std::vector<Mutant> negative_time(const Good&) {
  return replaced("\"endTimeUnixNano\":\"", "\"endTimeUnixNano\":\"-");
}
std::vector<Mutant> unknown_kind(const Good&) { return replaced("\"kind\":", "\"kind\":9"); }
std::vector<Mutant> list_for_object(const Good&) { return with_line(R"([{"resourceSpans":[]}])"); }

constexpr OperatorRow kRows[] = {
    {"input.cut_line", "a line is cut short", kAlways, cut_line},
    {"input.cut_end", "a finished file ends inside a line", kAlways, cut_end},
    {"input.no_json", "a line that is no JSON", kAlways, no_json},
    {"input.empty_object", "a line with an empty object", kAlways, empty_object},
    {"input.misspelt_key", "a line under a misspelt key", kAlways, misspelt_key},
    {"input.jaeger", "a line of Jaeger's JSON", kAlways, jaeger},
    {"input.plain_span", "a line with a bare span", kAlways, plain_span},
    {"input.old_otlp", "a line of OTLP before 0.9 (instrumentationLibrarySpans)", kAlways,
     old_otlp},
    {"input.list", "a line with a list", kAlways, list_for_object},
    {"input.glued", "two lines glued together", kAlways, glued},
    {"input.not_utf8", "a text that is not UTF-8", kAlways, not_utf8},
    {"input.nul", "a NUL byte in a key", kAlways, nul_byte},
    {"input.trace_id", "a trace id that is none", kAlways, short_trace_id},
    {"input.span_id", "a span id that is none", kAlways, odd_span_id},
    {"input.time", "a time in words", kAlways, time_in_words},
    {"input.negative_time", "a time before 1970", kAlways, negative_time},
    {"input.kind", "a kind that does not exist", kAlways, unknown_kind}};

}  // namespace

OperatorTable input_operators() { return kRows; }

}  // namespace touchstone::conformance::mutate
