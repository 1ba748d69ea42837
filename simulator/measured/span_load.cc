// Spans and arrivals alone: every request that has a span with its latencies. What its prompt
// shared with others is not in a span, so nothing is shared.
#include <algorithm>
#include <utility>

#include "records/run_folder.h"
#include "simulator/measured/readers.h"

namespace touchstone::simulator {

Result<MeasuredLoad> read_span_load(const std::string& folder,
                                    const std::vector<std::string>& files) {
  MeasuredLoad load{.path = folder};
  RETURN_IF_ERROR(read_server(folder + "/" + records::run_files::kServer, load));
  auto spans = read_span_times(files);
  if (!spans) return std::move(spans).error();
  std::vector<std::pair<std::string, SpanTimes>> requests;
  for (auto& [trace, span] : *spans) {
    if (span.prompt_tokens > 0 && span.output_tokens > 0 && span.times.e2e_s) {
      requests.emplace_back(trace, std::move(span));
    } else {
      ++load.left_out;
    }
  }
  if (requests.empty()) {
    return unavailable(folder +
                       ": got no span with gen_ai.latency.e2e and token counts, expected "
                       "one for each request");
  }
  std::stable_sort(requests.begin(), requests.end(), [](const auto& a, const auto& b) {
    return a.second.start_ns < b.second.start_ns;
  });
  const int64_t first_ns = requests.front().second.start_ns;
  for (auto& [trace, span] : requests) {
    MeasuredRequest measured;
    measured.request.name = trace;
    measured.request.arrival_ns = span.start_ns - first_ns;
    measured.request.prompt_tokens = span.prompt_tokens;
    measured.request.output_tokens = span.output_tokens;
    measured.times = span.times;
    load.requests.push_back(std::move(measured));
  }
  load.notes.emplace_back(
      "requests arrive when their spans start; spans do not say which prompts share a prefix");
  for (const std::string& file : files) RETURN_IF_ERROR(add_digest(file, load));
  RETURN_IF_ERROR(read_counters(folder, load));
  return load;
}

}  // namespace touchstone::simulator
