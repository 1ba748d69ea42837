// ServeGen (github.com/alibaba/ServeGen): a folder with two files a client, chunk-N-trace.csv
// (window start s, rate 1/s, CV, family of the gaps, shape, scale; no header) and
// chunk-N-dataset.json (window start → distributions of input and output tokens). Not a recording
// but distributions: requests are drawn from the seed. A window has its rate on average; family and
// shape say how bursty its gaps are, one of which may reach into the next window.
#include <algorithm>
#include <filesystem>
#include <queue>
#include <utility>

#include "base/clock.h"
#include "base/document.h"
#include "base/files.h"
#include "base/portable_math.h"
#include "base/random.h"
#include "base/text.h"
#include "workload/traces/csv.h"
#include "workload/traces/rows.h"
#include "workload/traces/trace.h"

namespace touchstone::workload {
namespace {

struct Window {
  int64_t start_ns = 0;
  double rate_per_s = 0;
  bool weibull = false;
  double shape = 1;
};

/// Lengths with their cumulated probabilities.
struct Lengths {
  std::vector<std::pair<double, int64_t>> cumulated;

  int64_t draw(RandomStream& random) const {
    const double at = random.uniform() * cumulated.back().first;
    const auto found =
        std::upper_bound(cumulated.begin(), cumulated.end(), std::pair(at, INT64_MAX));
    return found == cumulated.end() ? cumulated.back().second : found->second;
  }
};

struct LengthWindow {
  int64_t start_ns = 0;
  Lengths input;
  Lengths output;
};

/// "{50: 0.04, 51: 0.08}", as Python prints a dict.
Result<Lengths> parse_lengths(const std::string& where, std::string_view text) {
  Lengths lengths;
  text = trim(text);
  if (text.size() < 2 || text.front() != '{' || text.back() != '}') {
    return invalid_argument(where + ": got " + quote(text) + ", expected {length: share, …}");
  }
  text = trim(text.substr(1, text.size() - 2));
  if (text.empty()) return lengths;
  double sum = 0;
  for (const std::string& item : split(text, ',')) {
    const std::vector<std::string> parts = split(item, ':');
    const auto length = parse_int(trim(parts.front()));
    const auto share = parts.size() == 2 ? parse_double(trim(parts.back())) : std::nullopt;
    if (!length || !share || *share < 0 || *length < 0 || *length > kMostTraceTokens) {
      return invalid_argument(where + ": got " + quote(item) + ", expected length: share");
    }
    if (*share == 0 || *length == 0) continue;
    lengths.cumulated.emplace_back(sum += *share, *length);
  }
  return lengths;
}

Result<std::vector<Window>> read_windows(const std::string& path) {
  auto rows = CsvRows::open(path, {});
  if (!rows) return std::move(rows).error();
  std::vector<Window> windows;
  std::vector<std::string_view> fields;
  for (;;) {
    const auto there = rows->next(fields);
    if (!there) return there.error();
    if (!*there) return windows;
    if (fields.size() != 6) {
      return invalid_argument(rows->where() + ": got " + std::to_string(fields.size()) +
                              " fields, expected time, rate, CV, family, shape, scale");
    }
    const auto seconds = parse_double(fields[0]);
    const auto start_ns = seconds ? seconds_to_ns(*seconds) : std::nullopt;
    if (!start_ns || (!windows.empty() && *start_ns <= windows.back().start_ns)) {
      return rows->bad(0, fields[0], "seconds that grow");
    }
    const auto rate = parse_double(fields[1]);
    if (!rate || *rate < 0 || *rate > 1e6) return rows->bad(1, fields[1], "requests/s");
    Window window{.start_ns = *start_ns, .rate_per_s = *rate};
    if (*rate > 0) {
      window.weibull = fields[3] == "Weibull";
      if (!window.weibull && fields[3] != "Gamma") {
        return rows->bad(3, fields[3], "Gamma or Weibull");
      }
      const auto shape = parse_double(fields[4]);
      if (!shape || !(*shape > 1e-3) || *shape > 1e3) return rows->bad(4, fields[4], "a shape");
      window.shape = *shape;
    }
    windows.push_back(window);
  }
}

/// Windows without a distribution are left out: the one before goes on.
Result<std::vector<LengthWindow>> read_lengths(const std::string& path) {
  const auto text = read_file(path);
  if (!text) return text.error();
  auto document = Document::parse_json(path, *text);
  if (!document) return invalid_argument(document.error().message, document.error().hint);
  document->ignore_unknown_keys();
  std::vector<LengthWindow> windows;
  const Fields root = document->root();
  for (const std::string& key : root.keys()) {
    const auto seconds = parse_int(key);
    if (!seconds || *seconds < 0 || *seconds > INT64_MAX / kNsPerSecond) {
      return invalid_argument(path + ": got the key " + quote(key) + ", expected seconds");
    }
    const Fields fields = root.object(key);
    auto input =
        parse_lengths(path + ": " + key + ": input_tokens", fields.required_string("input_tokens"));
    if (!input) return std::move(input).error();
    auto output = parse_lengths(path + ": " + key + ": output_tokens",
                                fields.required_string("output_tokens"));
    if (!output) return std::move(output).error();
    if (input->cumulated.empty() || output->cumulated.empty()) continue;
    windows.push_back({*seconds * kNsPerSecond, std::move(*input), std::move(*output)});
  }
  RETURN_IF_ERROR(document->finish());
  std::sort(windows.begin(), windows.end(),
            [](const auto& a, const auto& b) { return a.start_ns < b.start_ns; });
  return windows;
}

/// One client: its arrivals one after the other.
class Client final {
 public:
  Client(std::string name, uint64_t seed, std::vector<Window> windows,
         std::vector<LengthWindow> lengths)
      : name_(std::move(name)),
        gaps_(seed, "servegen arrivals " + name_),
        draws_(seed, "servegen lengths " + name_),
        windows_(std::move(windows)),
        lengths_(std::move(lengths)) {
    advance();
  }

  const std::string& name() const { return name_; }
  /// Of the next request; nullopt when there is none.
  std::optional<int64_t> arrival_ns() const { return arrival_ns_; }
  std::pair<int64_t, int64_t> draw_lengths() {
    while (length_ + 1 < lengths_.size() && lengths_[length_ + 1].start_ns <= *arrival_ns_) {
      ++length_;
    }
    const int64_t input = lengths_[length_].input.draw(draws_);
    return {input, lengths_[length_].output.draw(draws_)};
  }

  /// To the next arrival: a gap is used up at the rate of each window that it reaches into.
  void advance() {
    double left = -1;  // of the gap, in mean gaps; -1: not drawn
    while (window_ < windows_.size() && !lengths_.empty()) {
      const Window& w = windows_[window_];
      const int64_t end_ns = window_ + 1 < windows_.size() ? windows_[window_ + 1].start_ns
                                                           : w.start_ns + length_of_last_ns();
      const int64_t from_ns = std::max(arrival_ns_.value_or(0), w.start_ns);
      if (w.rate_per_s > 0) {
        if (left < 0) left = draw_gap(w);
        const double there_is = w.rate_per_s * static_cast<double>(end_ns - from_ns) * 1e-9;
        if (left < there_is) {
          arrival_ns_ = from_ns + static_cast<int64_t>(left / w.rate_per_s * 1e9);
          return;
        }
        left -= there_is;
      }
      ++window_;
    }
    arrival_ns_ = std::nullopt;
  }

 private:
  int64_t length_of_last_ns() const {
    const size_t n = windows_.size();
    return n < 2 ? 600 * kNsPerSecond : windows_[n - 1].start_ns - windows_[n - 2].start_ns;
  }

  /// With mean 1.
  double draw_gap(const Window& w) {
    if (!w.weibull) return gaps_.gamma(w.shape, 1 / w.shape);
    const auto power = [&w](double x) { return portable_exp(portable_log(x) / w.shape); };
    return power(std::max(gaps_.exponential(1), 1e-300)) / mean_of_weibull(w.shape);
  }

  /// Γ(1 + 1/shape), by Stirling's series from 8 on and Γ(x) = Γ(x + 1)/x below.
  static double mean_of_weibull(double shape) {
    double x = 1 + 1 / shape;
    double divisor = 1;
    for (; x < 8; x += 1) divisor *= x;
    const double log_gamma =
        (x - 0.5) * portable_log(x) - x + 0.9189385332046727 + 1 / (12 * x) - 1 / (360 * x * x * x);
    return portable_exp(log_gamma) / divisor;
  }

  const std::string name_;
  RandomStream gaps_;
  RandomStream draws_;
  const std::vector<Window> windows_;
  const std::vector<LengthWindow> lengths_;
  size_t window_ = 0;
  size_t length_ = 0;
  std::optional<int64_t> arrival_ns_;
};

class ServeGenReader final : public RequestReader {
 public:
  ServeGenReader(std::string path, std::vector<Client> clients)
      : path_(std::move(path)), clients_(std::move(clients)) {
    for (size_t i = 0; i < clients_.size(); ++i) expect(i);
  }

  Result<bool> next(Request& request) override {
    if (next_.empty()) return false;
    const auto [time_ns, index] = next_.top();
    next_.pop();
    Client& client = clients_[index];
    const auto [input, output] = client.draw_lengths();
    const auto arrival_ns = arrivals_.from_start_ns(time_ns, path_, "time");
    if (!arrival_ns) return arrival_ns.error();
    begin_request(request, made_++, *arrival_ns, input, output);
    request.tenant = client.name();
    client.advance();
    expect(index);
    return true;
  }
  std::string where() const override { return path_ + ": request " + std::to_string(made_); }

 private:
  using Next = std::pair<int64_t, size_t>;  // time, client

  void expect(size_t index) {
    if (clients_[index].arrival_ns()) next_.emplace(*clients_[index].arrival_ns(), index);
  }

  const std::string path_;
  std::vector<Client> clients_;
  std::priority_queue<Next, std::vector<Next>, std::greater<>> next_;
  Arrivals arrivals_;
  int64_t made_ = 0;
};

constexpr std::string_view kTraceSuffix = "-trace.csv";

/// Names like chunk-12 in the folder, by number.
std::vector<std::string> clients_of(const std::string& folder) {
  std::vector<std::pair<int64_t, std::string>> found;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    const std::string file = entry.path().filename().string();
    if (!file.starts_with("chunk-") || !file.ends_with(kTraceSuffix)) continue;
    const std::string name = file.substr(0, file.size() - kTraceSuffix.size());
    found.emplace_back(parse_int(std::string_view(name).substr(6)).value_or(INT64_MAX), name);
  }
  std::sort(found.begin(), found.end());
  std::vector<std::string> names;
  for (auto& [number, name] : found) names.push_back(std::move(name));
  return names;
}

}  // namespace

bool looks_like_servegen(const std::string& path, std::string_view head) {
  return head.empty() && !clients_of(path).empty();
}

Result<std::unique_ptr<RequestReader>> open_servegen(const std::string& path,
                                                     const TraceOptions& options) {
  std::vector<Client> clients;
  for (const std::string& name : clients_of(path)) {
    auto windows = read_windows(path + "/" + name + std::string(kTraceSuffix));
    if (!windows) return std::move(windows).error();
    auto lengths = read_lengths(path + "/" + name + "-dataset.json");
    if (!lengths) return std::move(lengths).error();
    clients.emplace_back(name, options.seed, std::move(*windows), std::move(*lengths));
  }
  if (clients.empty()) {
    return invalid_argument(path + ": got no chunk-N-trace.csv, expected a folder of ServeGen");
  }
  return std::unique_ptr<RequestReader>(std::make_unique<ServeGenReader>(path, std::move(clients)));
}

}  // namespace touchstone::workload
