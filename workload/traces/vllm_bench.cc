// What `vllm bench serve --save-result --save-detailed` leaves (vLLM 0.19 and later): one JSON
// object with a list for each figure; input_lens, output_lens, start_times (s, monotonic), errors.
#include <nlohmann/json.hpp>
#include <utility>

#include "base/document.h"
#include "base/files.h"
#include "workload/traces/rows.h"
#include "workload/traces/trace.h"

namespace touchstone::workload {
namespace {

using Json = nlohmann::json;

Error bad_item(const std::string& path, const char* list, size_t i, const Json& got,
               const std::string& expected) {
  return invalid_argument(path + ": " + list + "[" + std::to_string(i) + "]: got " + got.dump() +
                          ", expected " + expected);
}

Result<const Json*> list_of(const std::string& path, const Json& tree, const char* key) {
  const auto found = tree.find(key);
  if (found != tree.end() && found->is_array()) return &*found;
  return invalid_argument(path + ": " + key + ": got no list, expected one value a request",
                          "record with --save-result --save-detailed");
}

Result<int64_t> tokens_at(const std::string& path, const char* list, const Json& values, size_t i) {
  const Json& value = values[i];
  if (value.is_number_integer() && value >= 0 && value <= kMostTraceTokens) {
    return value.get<int64_t>();
  }
  return bad_item(path, list, i, value, "tokens, 0 to " + std::to_string(kMostTraceTokens));
}

}  // namespace

bool looks_like_vllm_bench(const std::string&, std::string_view head) {
  return head.starts_with("{") && head.find("\"request_rate\"") != std::string_view::npos &&
         head.find("\"num_prompts\"") != std::string_view::npos;
}

Result<std::unique_ptr<RequestReader>> open_vllm_bench(const std::string& path,
                                                       const TraceOptions&) {
  const auto text = read_file(path);
  if (!text) return text.error();
  auto document = Document::parse_json(path, *text);
  if (!document) return invalid_argument(document.error().message, document.error().hint);
  const Json& tree = document->tree();
  const auto inputs = list_of(path, tree, "input_lens");
  if (!inputs) return inputs.error();
  const auto outputs = list_of(path, tree, "output_lens");
  if (!outputs) return outputs.error();
  const auto starts = list_of(path, tree, "start_times");
  if (!starts) return starts.error();
  const size_t count = (*inputs)->size();
  for (const auto& [key, list] : {std::pair("output_lens", *outputs), {"start_times", *starts}}) {
    if (list->size() == count) continue;
    return invalid_argument(path + ": " + key + ": got " + std::to_string(list->size()) +
                            " values, expected " + std::to_string(count) + " as in input_lens");
  }
  std::vector<Recorded> requests;
  int64_t empty = 0;
  for (size_t i = 0; i < count; ++i) {
    const auto prompt = tokens_at(path, "input_lens", **inputs, i);
    if (!prompt) return prompt.error();
    const auto output = tokens_at(path, "output_lens", **outputs, i);
    if (!output) return output.error();
    const Json& start = (**starts)[i];
    const auto time_ns = start.is_number() ? seconds_to_ns(start.get<double>()) : std::nullopt;
    if (!time_ns) return bad_item(path, "start_times", i, start, "seconds, 0 or later");
    if (*prompt == 0 || *output == 0) {  // it failed
      ++empty;
      continue;
    }
    requests.push_back({*time_ns, *prompt, *output, static_cast<int64_t>(i)});
  }
  return make_recorded_reader(path, std::move(requests), without_tokens(empty));
}

}  // namespace touchstone::workload
