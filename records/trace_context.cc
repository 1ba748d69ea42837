#include "records/trace_context.h"

#include <algorithm>
#include <vector>

#include "base/text.h"

namespace touchstone::records {
namespace {

constexpr size_t kTraceparentSize = 55;  // of version 00
constexpr size_t kTracestateMembersMax = 32;

bool is_lower_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_lower_alpha(char c) { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_key_char(char c) {
  return is_lower_alpha(c) || is_digit(c) || c == '_' || c == '-' || c == '*' || c == '/' ||
         c == '@';
}

/// Level 2 of the specification (section 3.3.1.3.1): a letter or digit, then up to 255 characters.
/// Level 1's tenant@system is such a key.
bool is_key(std::string_view key) {
  return !key.empty() && key.size() <= 256 && (is_lower_alpha(key[0]) || is_digit(key[0])) &&
         std::all_of(key.begin(), key.end(), is_key_char);
}

/// Printable ASCII without comma and equals sign, not ending in a space (section 3.3.1.3.2).
bool is_value(std::string_view value) {
  return !value.empty() && value.size() <= 256 && value.back() != ' ' &&
         std::all_of(value.begin(), value.end(),
                     [](char c) { return c >= 0x20 && c <= 0x7e && c != ',' && c != '='; });
}

}  // namespace

std::optional<TraceContext> parse_traceparent(std::string_view header) {
  const std::string_view text = trim(header);
  if (text.size() < kTraceparentSize) return std::nullopt;
  if (text[2] != '-' || text[35] != '-' || text[52] != '-') return std::nullopt;
  const std::string_view version = text.substr(0, 2);
  const std::string_view trace_id = text.substr(3, 32);
  const std::string_view span_id = text.substr(36, 16);
  const std::string_view flags = text.substr(53, 2);
  for (const std::string_view field : {version, trace_id, span_id, flags}) {
    if (!is_lower_hex(field)) return std::nullopt;
  }
  if (version == "ff") return std::nullopt;
  if (text.size() > kTraceparentSize && (version == "00" || text[kTraceparentSize] != '-')) {
    return std::nullopt;
  }
  TraceContext context;
  from_hex(trace_id, context.trace_id.bytes.data(), context.trace_id.bytes.size());
  from_hex(span_id, context.parent_span_id.bytes.data(), context.parent_span_id.bytes.size());
  from_hex(flags, &context.flags, 1);
  if (!context.trace_id.is_valid() || !context.parent_span_id.is_valid()) return std::nullopt;
  return context;
}

std::string parse_tracestate(std::string_view header) {
  std::vector<std::string> members;
  std::vector<std::string_view> keys;
  for (size_t start = 0; start <= header.size();) {
    const size_t comma = std::min(header.find(',', start), header.size());
    const std::string_view member = trim(header.substr(start, comma - start));
    start = comma + 1;
    if (member.empty()) continue;
    const size_t equals = member.find('=');
    if (equals == std::string_view::npos) return {};
    const std::string_view key = member.substr(0, equals);
    if (!is_key(key) || !is_value(member.substr(equals + 1))) return {};
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) return {};
    if (members.size() == kTracestateMembersMax) return {};
    keys.push_back(key);
    members.emplace_back(member);
  }
  return join(members, ",");
}

std::optional<TraceContext> parse_trace_context(std::string_view traceparent,
                                                std::string_view tracestate) {
  std::optional<TraceContext> context = parse_traceparent(traceparent);
  if (context) context->trace_state = parse_tracestate(tracestate);
  return context;
}

std::optional<TraceContext> trace_context_of(const Environment& environment) {
  const auto either = [&](const char* lower, const char* upper) {
    const auto value = lookup(environment, lower);
    return value ? *value : lookup(environment, upper).value_or("");
  };
  std::optional<TraceContext> context =
      parse_trace_context(either("traceparent", "TRACEPARENT"), either("tracestate", "TRACESTATE"));
  if (context) context->remote = false;
  return context;
}

std::string format_traceparent(const TraceId& trace_id, const SpanId& span_id, uint8_t flags) {
  return "00-" + trace_id.hex() + "-" + span_id.hex() + "-" + to_hex(&flags, 1);
}

}  // namespace touchstone::records
