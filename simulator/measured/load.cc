#include "simulator/measured/load.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "records/run_folder.h"
#include "simulator/measured/readers.h"
#include "simulator/sources.h"

namespace touchstone::simulator {
namespace {

constexpr char kMeta[] = "meta.json";

class LoadSource final : public RequestSource {
 public:
  LoadSource(const MeasuredLoad& load, const scheduler::Config& config)
      : load_(load), config_(config) {}

  Result<bool> next(SimulatedRequest& request) override {
    if (next_ == load_.requests.size()) return false;
    const MeasuredRequest& measured = load_.requests[next_];
    auto made = simulated_requests(measured.request, next_ + 1, config_);
    if (!made) return std::move(made).error();
    request = std::move(made->front());
    request.abort_ns = measured.abort_ns;
    ++next_;
    return true;
  }

 private:
  const MeasuredLoad& load_;
  const scheduler::Config config_;
  size_t next_ = 0;
};

/// As a run of the reference engine: hashes and outcomes of the records.
class NumberedRecords final : public RequestSource {
 public:
  explicit NumberedRecords(const std::vector<records::RequestRecord>& records)
      : source_(make_record_source(records)) {}
  Result<bool> next(SimulatedRequest& request) override {
    auto there = source_->next(request);
    if (there && *there) request.request.id = ++last_;
    return there;
  }

 private:
  const std::unique_ptr<RequestSource> source_;
  uint64_t last_ = 0;
};

}  // namespace

Result<MeasuredLoad> read_measured_load(const std::string& path) {
  namespace files = records::run_files;
  const std::filesystem::path place(path);
  if (std::filesystem::is_regular_file(place)) {
    const std::string folder = place.parent_path().string();
    return read_span_load(folder.empty() ? "." : folder, {path});
  }
  const auto has = [&](const char* name) { return std::filesystem::exists(place / name); };
  if (has(files::kSteps)) return read_engine_load(path);
  if (has(kMeta)) return read_bench_load(path);
  if (has(files::kLedger) || !has(files::kSpans)) return read_ledger_load(path);
  return read_span_load(path, records::RunFolder{path, {}}.span_files());
}

std::unique_ptr<RequestSource> make_load_source(const MeasuredLoad& load,
                                                const scheduler::Config& config) {
  if (!load.records.empty()) return std::make_unique<NumberedRecords>(load.records);
  return std::make_unique<LoadSource>(load, config);
}

}  // namespace touchstone::simulator
