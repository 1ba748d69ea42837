// What OTLP and its writers allow in bytes.
#include <cctype>

#include "base/check.h"
#include "conformance/mutate/lines.h"
#include "conformance/mutate/variant.h"
#include "telemetry/otlp/protobuf.h"

namespace touchstone::conformance::mutate {
namespace {

/// Each occurrence of `from`.
std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

template <typename Dress>
bool on_lines(Evidence& evidence, const Dress& dress) {
  std::vector<std::string> lines = lines_of(evidence);
  for (std::string& line : lines) line = dress(line);
  read_bytes(evidence, joined(lines));
  return true;
}

bool as_json(const Good&, Evidence& evidence) {
  return on_lines(evidence, [](const std::string& line) { return line; });
}

bool as_protobuf(const Good&, Evidence& evidence) {
  for (telemetry::TraceBatch& batch : evidence.spans) {
    auto decoded = telemetry::decode_otlp_protobuf(telemetry::encode_otlp_protobuf(batch));
    BASE_CHECK(decoded.has_value(), "what was encoded can be decoded");
    batch = *std::move(decoded);
  }
  return true;
}

bool with_bom(const Good&, Evidence& evidence) {
  read_bytes(evidence, "\xEF\xBB\xBF" + joined(lines_of(evidence)));
  return true;
}

bool with_crlf(const Good&, Evidence& evidence) {
  return on_lines(evidence, [](const std::string& line) { return line + "\r"; });
}

bool with_blank_lines(const Good&, Evidence& evidence) {
  return on_lines(evidence, [](const std::string& line) { return line + "\n\n"; });
}

/// Hex digits of ids in capitals.
bool with_capital_ids(const Good&, Evidence& evidence) {
  return on_lines(evidence, [](std::string line) {
    for (const std::string key : {"\"traceId\":\"", "\"spanId\":\"", "\"parentSpanId\":\""}) {
      for (size_t at = line.find(key); at != std::string::npos; at = line.find(key, at + 1)) {
        for (size_t i = at + key.size(); i < line.size() && line[i] != '"'; ++i) {
          line[i] = static_cast<char>(std::toupper(static_cast<unsigned char>(line[i])));
        }
      }
    }
    return line;
  });
}

bool with_enum_names(const Good&, Evidence& evidence) {
  return on_lines(evidence, [](const std::string& line) {
    return replaced(replaced(line, "\"kind\":2", "\"kind\":\"SPAN_KIND_SERVER\""), "\"kind\":1",
                    "\"kind\":\"SPAN_KIND_INTERNAL\"");
  });
}

/// 64-bit integers as JSON numbers.
bool with_bare_numbers(const Good&, Evidence& evidence) {
  return on_lines(evidence, [](std::string line) {
    for (const std::string key :
         {"\"startTimeUnixNano\":\"", "\"endTimeUnixNano\":\"", "\"intValue\":\""}) {
      for (size_t at = line.find(key); at != std::string::npos; at = line.find(key, at + 1)) {
        line.erase(at + key.size() - 1, 1);
        line.erase(line.find('"', at + key.size() - 1), 1);
      }
    }
    return line;
  });
}

bool with_snake_case(const Good&, Evidence& evidence) {
  return on_lines(evidence, [](std::string line) {
    static constexpr const char* kNames[][2] = {{"\"resourceSpans\"", "\"resource_spans\""},
                                                {"\"scopeSpans\"", "\"scope_spans\""},
                                                {"\"traceId\"", "\"trace_id\""},
                                                {"\"spanId\"", "\"span_id\""},
                                                {"\"parentSpanId\"", "\"parent_span_id\""}};
    for (const auto& [from, to] : kNames) line = replaced(line, from, to);
    return line;
  });
}

bool with_unknown_fields(const Good&, Evidence& evidence) {
  return on_lines(evidence, [](const std::string& line) {
    return replaced(line, "{\"traceId\":", "{\"newField\":{\"a\":[1]},\"traceId\":");
  });
}

bool with_defaults(const Good&, Evidence& evidence) {
  return on_lines(evidence, [](const std::string& line) {
    return replaced(line, "{\"traceId\":",
                    "{\"droppedAttributesCount\":0,\"events\":[],\"links\":[],\"traceId\":");
  });
}

bool with_spaces(const Good&, Evidence& evidence) {
  return on_lines(evidence, [](const std::string& line) {
    return "  " + replaced(replaced(line, "\":", "\" : "), "},{", "} , {") + " ";
  });
}

bool with_metrics_between(const Good&, Evidence& evidence) {
  return on_lines(evidence, [](const std::string& line) {
    return line + "\n" + R"({"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"a"}]}]}]})";
  });
}

bool with_logs_between(const Good&, Evidence& evidence) {
  return on_lines(evidence, [](const std::string& line) {
    return line + "\n" + R"({"resourceLogs":[{"scopeLogs":[{"logRecords":[]}]}]})";
  });
}

/// A file that is still written ends inside a line.
bool torn_while_live(const Good&, Evidence& evidence) {
  evidence.torn_tails.emplace_back("spans.otlp.jsonl:9: ends inside a line");
  return true;
}

constexpr VariantRow kRows[] = {
    {"encoding.json", "written as JSON and read", as_json},
    {"encoding.protobuf", "written as protobuf and read", as_protobuf},
    {"encoding.bom", "a byte order mark", with_bom},
    {"encoding.crlf", "line ends of Windows", with_crlf},
    {"encoding.blank_lines", "blank lines", with_blank_lines},
    {"encoding.capital_ids", "ids with capital hex digits", with_capital_ids},
    {"encoding.enum_names", "enums as names", with_enum_names},
    {"encoding.bare_numbers", "integers as JSON numbers", with_bare_numbers},
    {"encoding.snake_case", "keys as protobuf has them", with_snake_case},
    {"encoding.unknown_fields", "fields of a later OTLP", with_unknown_fields},
    {"encoding.defaults", "default values written out", with_defaults},
    {"encoding.spaces", "white space between tokens", with_spaces},
    {"encoding.metrics", "lines of metrics between", with_metrics_between},
    {"encoding.logs", "lines of logs between", with_logs_between},
    {"encoding.live", "a live file that ends inside a line", torn_while_live}};

}  // namespace

VariantTable encoding_variants() { return kRows; }

}  // namespace touchstone::conformance::mutate
