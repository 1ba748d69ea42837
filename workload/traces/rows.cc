#include "workload/traces/rows.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/random.h"
#include "base/text.h"
#include "workload/traces/trace.h"

namespace touchstone::workload {
namespace {

class RecordedReader final : public RequestReader {
 public:
  RecordedReader(std::string path, std::vector<Recorded> requests, std::string left_out)
      : path_(std::move(path)), requests_(std::move(requests)), left_out_(std::move(left_out)) {
    std::stable_sort(requests_.begin(), requests_.end(),
                     [](const Recorded& a, const Recorded& b) { return a.time_ns < b.time_ns; });
  }

  Result<bool> next(Request& request) override {
    if (next_ == requests_.size()) return false;
    const Recorded& r = requests_[next_];
    begin_request(request, static_cast<int64_t>(next_++), r.time_ns - requests_.front().time_ns,
                  r.prompt_tokens, r.output_tokens);
    return true;
  }
  std::string where() const override {
    return next_ == 0 ? path_ : path_ + ":" + std::to_string(requests_[next_ - 1].line);
  }
  std::string left_out() const override { return left_out_; }

 private:
  const std::string path_;
  std::vector<Recorded> requests_;
  const std::string left_out_;
  size_t next_ = 0;
};

}  // namespace

std::unique_ptr<RequestReader> make_recorded_reader(const std::string& path,
                                                    std::vector<Recorded> requests,
                                                    std::string left_out) {
  return std::make_unique<RecordedReader>(path, std::move(requests), std::move(left_out));
}

int64_t required_in(const Fields& fields, const char* key, int64_t low, int64_t high) {
  (void)fields.required_int(key);
  return fields.int_in(key, low, low, high);
}

std::optional<int64_t> seconds_to_ns(double seconds) {
  if (!(seconds >= 0) || !(seconds < 9.2e9)) return std::nullopt;
  return static_cast<int64_t>(std::llround(seconds * 1e9));
}

Result<int64_t> Arrivals::from_start_ns(int64_t time_ns, const std::string& where,
                                        const char* field) {
  if (!first_ns_) first_ns_ = last_ns_ = time_ns;
  if (time_ns < last_ns_) {
    return invalid_argument(where + ": " + field + ": got a time " +
                                format_duration(last_ns_ - time_ns) +
                                " before that of the request before, expected none that goes back",
                            "sort the trace by its time");
  }
  last_ns_ = time_ns;
  return time_ns - *first_ns_;
}

void begin_request(Request& request, int64_t number, int64_t arrival_ns, int64_t prompt_tokens,
                   int64_t output_tokens) {
  request = Request{};
  std::string digits = std::to_string(number);
  request.name = "t" + digits.insert(0, digits.size() < 6 ? 6 - digits.size() : 0, '0');
  request.arrival_ns = arrival_ns;
  request.stream = true;
  request.prompt_tokens = prompt_tokens;
  request.output_tokens = output_tokens;
  request.sampling.ignore_eos = true;
}

std::string without_tokens(int64_t count) {
  if (count == 0) return {};
  return format_count(count) + (count == 1 ? " request" : " requests") +
         " without a prompt or an answer";
}

uint64_t scoped_id(uint64_t scope, uint64_t id) {
  uint64_t state = scope + id * 0x9e3779b97f4a7c15;
  return splitmix64(state) >> 1;
}

uint64_t scope_of(std::string_view name) {
  uint64_t scope = 0xcbf29ce484222325;
  for (const char c : name) scope = (scope ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return splitmix64(scope);
}

}  // namespace touchstone::workload
