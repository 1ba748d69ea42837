#include "harness/tap/sent_body.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace touchstone::harness {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 3> kGenerationPaths = {
    "/v1/completions", "/v1/chat/completions", "/v1/responses"};
/// More choices than any server takes: a number that is no longer meant.
constexpr int64_t kChoicesMax = 1'000'000;

std::string text_of(const json& body, const char* key) {
  const auto found = body.find(key);
  return found != body.end() && found->is_string() ? found->get<std::string>() : std::string();
}

/// A prompt is a text or the ids of one; a list of either holds several.
int64_t prompts_of(const json& body) {
  const auto prompt = body.find("prompt");
  if (prompt == body.end() || !prompt->is_array() || prompt->empty()) return 1;
  return prompt->front().is_number() ? 1 : static_cast<int64_t>(prompt->size());
}

}  // namespace

bool is_generation(std::string_view path) {
  return std::any_of(kGenerationPaths.begin(), kGenerationPaths.end(),
                     [&](std::string_view known) { return path.ends_with(known); });
}

void read_sent_body(std::string_view body, records::LedgerEntry& entry) {
  const json read = json::parse(body, nullptr, false);
  if (!read.is_object()) return;
  entry.model = text_of(read, "model");
  entry.tenant = text_of(read, "user");
  entry.parameters = records::parameters_of_body(read);
  const auto stream = read.find("stream");
  entry.stream = stream != read.end() && stream->is_boolean() && stream->get<bool>();
  const int64_t n = std::clamp<int64_t>(entry.parameters.n.value_or(1), 1, kChoicesMax);
  entry.choices = std::min(prompts_of(read) * n, kChoicesMax);
}

}  // namespace touchstone::harness
