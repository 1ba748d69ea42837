#include <algorithm>
#include <utility>

#include "base/text.h"
#include "harness/collector/embedded.h"
#include "harness/collector/find.h"
#include "harness/scrape.h"
#include "harness/stack/parts.h"
#include "http/client.h"

namespace touchstone::harness {
namespace {

namespace run_files = records::run_files;

constexpr int64_t kProbeTimeoutNs = 2 * kNsPerSecond;
constexpr int64_t kDrainWithinNs = 10 * kNsPerSecond;
constexpr int64_t kDrainPollNs = 50 * kNsPerMs;
/// On the way out after a failure, nobody waits for spans any more.
constexpr int64_t kAbandonGraceNs = 5 * kNsPerSecond;

class CollectorPart final : public Part {
 public:
  explicit CollectorPart(RunContext& run) : run_(run), plan_(run.suite.collector) {}
  ~CollectorPart() override {
    if (process_) process_->stop(kAbandonGraceNs);
  }

  const std::string& name() const override { return name_; }
  std::string title() const override { return "the Collector"; }
  ChildProcess* process() override { return process_.get(); }

  Status enter(Stage stage) override {
    if (stage == Stage::kStart) {
      return run_.with_free_ports([&]() -> Status {
        RETURN_IF_ERROR(run_.choose_ports());
        return start();
      });
    }
    return stage == Stage::kStop ? stop() : Status();
  }

  Status restart() override {
    process_->kill();
    return spawn();
  }

 private:
  const CollectorBinary& binary() const { return *run_.options.collector; }

  Status start() {
    run_.say("starting the Collector " + binary().version + " (" + binary().path + ")");
    environment_ = collector_environment(run_.places);
    for (const auto& [name, value] : plan_.environment) environment_[name] = value;
    RETURN_IF_ERROR(
        validate_collector_config(binary(), plan_.config, environment_, run_.supervision));
    RETURN_IF_ERROR(spawn());
    const std::string health = run_.places.health_url();
    Status ready = process_->wait_until(
        [&] { return http::http_get_body(health, kProbeTimeoutNs).has_value(); },
        health + " answered 200", plan_.ready_within_ns);
    if (!ready) process_.reset();
    return ready;
  }

  Status spawn() {
    auto started = ChildProcess::spawn({.name = name_,
                                        .argv = {binary().path, "--config=" + plan_.config},
                                        .environment = environment_,
                                        .log_path = run_.log_of(name_)},
                                       run_.supervision);
    if (!started) return std::move(started).error();
    process_ = std::move(*started);
    return {};
  }

  /// Waits until its own counters say that every accepted span has left it.
  Status drain() {
    int64_t within_ns = 0;
    for (const SubjectPlan& subject : run_.suite.subjects) {
      if (subject.attach) within_ns = std::max(within_ns, subject.attach->flush_within_ns);
    }
    const bool attached = within_ns > 0;
    if (!attached) within_ns = kDrainWithinNs;
    const int64_t deadline = run_.supervision.clock.monotonic_ns() + within_ns;
    std::optional<bool>& drained = run_.folder.manifest().collector_drained;
    for (;;) {
      const auto page = scrape_to_file(run_.places.own_metrics_url(),
                                       run_.folder.file(run_files::kCollectorMetrics));
      if (!page) {
        run_.miss(run_.folder.file(run_files::kCollectorMetrics),
                  "the Collector's own counters: " + page.error().message);
        return {};
      }
      const CollectorSpans spans = collector_spans(*page);
      drained = spans.drained();
      const bool all_came = !attached || spans.accepted >= run_.spans_owed;
      if (*drained && all_came) return {};
      if (run_.supervision.clock.monotonic_ns() >= deadline) {
        run_.note(all_came ? "the Collector still held spans " + format_duration(within_ns) +
                                 " after the subject's end"
                           : "the attached subject sent fewer spans than its answers owe within " +
                                 format_duration(within_ns) + " of the load's end");
        return {};
      }
      RETURN_IF_ERROR(pause_for(kDrainPollNs, run_.supervision));
    }
  }

  Status stop() {
    if (process_->exited()) {
      run_.miss(run_.folder.file(run_files::kCollectorMetrics),
                "the Collector's own counters: it had ended before they were read");
      return {};
    }
    run_.say("stopping the Collector");
    RETURN_IF_ERROR(drain());
    const ChildProcess::Stop stop = process_->stop(plan_.stop_within_ns);
    if (stop.forced || !stop.status.good()) {
      run_.note("the Collector ended with " + stop.status.text() + " on SIGTERM" +
                (stop.forced ? " after it had to be killed" : ""));
    }
    return run_.check_signals();
  }

  RunContext& run_;
  const CollectorPlan& plan_;
  const std::string name_ = kCollector;
  std::map<std::string, std::string> environment_;
  std::unique_ptr<ChildProcess> process_;
};

/// The embedded receiver in the Collector's place.
class ReceiverPart final : public Part {
 public:
  explicit ReceiverPart(RunContext& run) : run_(run) {}

  const std::string& name() const override { return name_; }
  std::string title() const override { return "the embedded receiver"; }

  Status enter(Stage stage) override {
    if (stage == Stage::kStart) {
      run_.say("starting the embedded OTLP receiver in the Collector's place");
      run_.miss(
          run_.folder.file(run_files::kCollectorMetrics),
          "no real Collector took part: the embedded OTLP receiver stood in for it, so filters, "
          "resource attributes and the Collector's own counters were not tested");
      return run_.with_free_ports([&]() -> Status {
        RETURN_IF_ERROR(run_.choose_ports());
        auto started = EmbeddedCollector::start(run_.places.otlp_grpc_port, run_.places.spans_file);
        if (!started) return std::move(started).error();
        receiver_ = std::move(*started);
        return {};
      });
    }
    return stage == Stage::kStop ? receiver_->stop() : Status();
  }

 private:
  RunContext& run_;
  const std::string name_ = kCollector;
  std::unique_ptr<EmbeddedCollector> receiver_;
};

}  // namespace

std::unique_ptr<Part> make_collector_part(RunContext& run) {
  if (run.options.collector) return std::make_unique<CollectorPart>(run);
  return std::make_unique<ReceiverPart>(run);
}

}  // namespace touchstone::harness
