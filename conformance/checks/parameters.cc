// What the client sent and got against what the span says of it: id and sampling parameters.
#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "conformance/checks/check.h"

namespace touchstone::conformance {
namespace {

constexpr char kNoLedger[] = "no ledger to compare with";

/// The ledger's entry when the span belongs to a request that was answered whole; else null.
const records::LedgerEntry* answered(const CheckInput& input, const SpanView& view,
                                     Recorder& recorder) {
  if (!input.observed.matching) recorder.not_applicable(kNoLedger);
  if (view.request == nullptr) return nullptr;
  const records::LedgerEntry& entry = *view.request->entry;
  return entry.outcome == records::ClientOutcome::kCompleted ? &entry : nullptr;
}

/// The response's id, or that and the number of the prompt: "cmpl-7", "cmpl-7-0".
bool is_of_response(std::string_view id, const std::string& response_id) {
  if (!id.starts_with(response_id)) return false;
  const std::string_view rest = id.substr(response_id.size());
  return rest.empty() || (rest.size() > 1 && rest[0] == '-' &&
                          rest.find_first_not_of("0123456789", 1) == std::string_view::npos);
}

void request_id(const CheckInput& input, const SpanView& view, Recorder& recorder) {
  const records::LedgerEntry* entry = answered(input, view, recorder);
  const auto id = entry == nullptr ? std::nullopt : view.text("request_id");
  if (!id || entry->response_id.empty()) return;
  recorder.examined();
  if (is_of_response(*id, entry->response_id)) return;
  recorder.violation(
      view, {.fold = "",
             .message = describe(*entry) + " was answered as " + entry->response_id +
                        ", but its span says " + quote(*id),
             .expected = entry->response_id,
             .actual = std::string(*id),
             .context = {{"request_id", std::string(*id)}},
             .place = {.trace_id = "", .span_id = "", .request = describe(*entry), .input = {}}});
}

/// One parameter of one request.
struct Sent {
  const char* word;  ///< of the profile's names
  double value;
  bool may_be_absent = false;  ///< from the span
  double or_else = value;      ///< what the server may make of it
};

bool equal(double a, double b) { return std::fabs(a - b) <= 1e-9 * std::fabs(b); }

/// vLLM leaves a temperature of 0 out and resets top_p then; it raises one below 0.01 to that.
std::vector<Sent> sent_parameters(const records::SentParameters& sent) {
  constexpr double kLeastTemperature = 0.01;
  std::vector<Sent> parameters;
  if (sent.max_tokens) {
    parameters.push_back({.word = "max_tokens", .value = static_cast<double>(*sent.max_tokens)});
  }
  if (sent.temperature) {
    const double value = *sent.temperature;
    parameters.push_back({.word = "temperature",
                          .value = value,
                          .may_be_absent = value == 0,
                          .or_else = value == 0 ? 0 : std::max(value, kLeastTemperature)});
  }
  if (sent.top_p) {
    const bool may_be_greedy = sent.temperature.value_or(0) == 0;
    parameters.push_back(
        {.word = "top_p", .value = *sent.top_p, .or_else = may_be_greedy ? 1 : *sent.top_p});
  }
  return parameters;
}

void parameters(const CheckInput& input, const SpanView& view, Recorder& recorder) {
  const records::LedgerEntry* entry = answered(input, view, recorder);
  if (entry == nullptr) return;
  for (const Sent& sent : sent_parameters(entry->parameters)) {
    const NumberPlace place = view.type->number_of(sent.word);
    if (!place.slot) continue;  // the profile does not name it
    const auto found = view.number(place);
    recorder.examined();
    if (!found ? sent.may_be_absent : equal(*found, sent.value) || equal(*found, sent.or_else)) {
      continue;
    }
    // A server may cut max_tokens to what its model's length leaves.
    const bool is_cut = found && *found < sent.value && std::string_view(sent.word) == "max_tokens";
    const std::string actual = found ? format_double(*found) : "absent";
    recorder.violation(
        view, {.level = is_cut ? result::Level::kShould : result::Level::kMust,
               .fold = std::string(sent.word) + (found ? "" : " absent"),
               .subject = std::string(sent.word) + " of " + view.type->name(),
               .message = describe(*entry) + " was sent with " + sent.word + " " +
                          format_double(sent.value) + ", its span has " + actual,
               .expected = format_double(sent.value),
               .actual = actual,
               .context = {{"parameter", sent.word}},
               .place = {.trace_id = "", .span_id = "", .request = describe(*entry), .input = {}}});
  }
}

constexpr CheckRow kRows[] = {
    {.id = "request.id",
     .title = "Spans carry the id of their response",
     .group = "identity",
     .source = "Touchstone 0.1: whoever has a response finds its span by the id in it.",
     .nothing = "no span of an answered request whose response had an id",
     .on_span = request_id},
    {.id = "request.parameters",
     .title = "Spans carry the parameters that were sent",
     .group = "schema",
     .source = "Touchstone 0.1: a parameter's attribute is what the request asked for.",
     .nothing = "no span of an answered request with a parameter that the profile names",
     .on_span = parameters}};

}  // namespace

CheckTable parameter_checks() { return kRows; }

}  // namespace touchstone::conformance
