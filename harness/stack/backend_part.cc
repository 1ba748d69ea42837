#include <filesystem>
#include <set>
#include <utility>

#include "harness/stack/parts.h"
#include "telemetry/otlp/file.h"

namespace touchstone::harness {
namespace {

/// On the way out after a failure, nobody waits for spans any more.
constexpr int64_t kAbandonGraceNs = 5 * kNsPerSecond;

/// Where the Collector's exporter sends to: this program as a receiver that writes a file. A new
/// process writes a new one, for the former may have ended inside a line.
class BackendPart final : public Part {
 public:
  explicit BackendPart(RunContext& run) : run_(run), plan_(*run.suite.backend) {}
  ~BackendPart() override {
    run_.spans_in_backend = nullptr;
    if (process_) process_->stop(kAbandonGraceNs);
  }

  const std::string& name() const override { return name_; }
  std::string title() const override { return "the backend"; }
  ChildProcess* process() override { return process_.get(); }

  Status enter(Stage stage) override {
    if (stage == Stage::kStart) return start();
    return stage == Stage::kStop ? stop() : Status();
  }

  Status restart() override {
    process_->kill();
    return spawn();
  }

 private:
  Status start() {
    const auto port = run_.ports.take();
    if (!port) return port.error();
    run_.backend_port = *port;
    run_.say("starting the backend on port " + std::to_string(*port));
    RETURN_IF_ERROR(spawn());
    RETURN_IF_ERROR(process_->wait_until([&] { return port_is_busy(*port); },
                                         "it listens on port " + std::to_string(*port),
                                         plan_.ready_within_ns));
    run_.spans_in_backend = [this] { return distinct_spans(); };
    run_.route_wires();
    return {};
  }

  /// "spans.otlp.jsonl", "spans.otlp-2.jsonl", …
  std::string file(size_t number) const {
    const std::string first = run_.folder.file(records::run_files::kSpans);
    if (number == 1) return first;
    constexpr std::string_view kEnding = ".jsonl";
    return first.substr(0, first.size() - kEnding.size()) + "-" + std::to_string(number) +
           std::string(kEnding);
  }

  Status spawn() {
    auto started =
        ChildProcess::spawn({.name = name_,
                             .argv = {run_.options.touchstone, "collector", "receive",
                                      "--listen=127.0.0.1:" + std::to_string(run_.backend_port),
                                      "--spans=" + file(++starts_)},
                             .environment = {},
                             .log_path = run_.log_of(name_)},
                            run_.supervision);
    if (!started) return std::move(started).error();
    process_ = std::move(*started);
    return {};
  }

  int64_t distinct_spans() const {
    std::set<std::pair<TraceId, SpanId>> ids;
    for (size_t i = 1; i <= starts_; ++i) {
      // A file that is not there yet, or ends inside a line, has fewer.
      (void)telemetry::read_otlp_file(file(i), [&](const telemetry::TraceBatch& batch, int64_t) {
        for (const auto& group : batch) {
          for (const auto& scope : group.scope_spans) {
            for (const auto& span : scope.spans) ids.insert({span.trace_id, span.span_id});
          }
        }
        return Status();
      });
    }
    return std::ssize(ids);
  }

  Status stop() {
    if (process_->exited()) return {};
    const ChildProcess::Stop stop = process_->stop(plan_.stop_within_ns);
    if (stop.forced || !stop.status.good()) {
      run_.note("the backend ended with " + stop.status.text() + " on SIGTERM");
    }
    return run_.check_signals();
  }

  RunContext& run_;
  const BackendPlan& plan_;
  const std::string name_ = kBackend;
  size_t starts_ = 0;
  std::unique_ptr<ChildProcess> process_;
};

}  // namespace

std::unique_ptr<Part> make_backend_part(RunContext& run) {
  return std::make_unique<BackendPart>(run);
}

}  // namespace touchstone::harness
