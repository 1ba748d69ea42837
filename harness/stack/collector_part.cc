#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/files.h"
#include "base/text.h"
#include "harness/collector/config.h"
#include "harness/collector/embedded.h"
#include "harness/collector/find.h"
#include "harness/scrape.h"
#include "harness/stack/part_disk.h"
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
    restarted_ = true;
    return spawn();
  }
  Status fill_disk() override { return disk_.fill(); }
  Status free_disk() override { return disk_.empty(); }

 private:
  const CollectorBinary& binary() const { return *run_.options.collector; }

  Status start() {
    run_.say("starting the Collector " + binary().version + " (" + binary().path + ")");
    RETURN_IF_ERROR(disk_.make(run_, name_, run_.suite.backend.has_value()));
    environment_ = environment();
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

  /// Files lie where a fault can leave no room for them; spans that the backend gets are the run's.
  std::map<std::string, std::string> environment() const {
    auto environment = collector_environment(run_.places);
    const std::string disk = run_.disk_of(name_);
    environment["QUEUE_DIRECTORY"] = disk + "/queue";
    if (disk_.is_own()) environment["SPANS_FILE"] = disk + "/" + records::run_files::kSpans;
    if (run_.suite.backend) {
      const uint16_t port =
          run_.port_to(std::string(kCollector) + "/" + kBackend, run_.backend_port);
      environment["BACKEND_ENDPOINT"] = "127.0.0.1:" + std::to_string(port);
      environment["SPANS_FILE"] = disk + "/" + records::run_files::kSpans;
    }
    return environment;
  }

  /// What a file system of its own holds goes with it.
  Status keep_spans() {
    if (!disk_.is_own() || run_.suite.backend) return {};
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(run_.disk_of(name_), error)) {
      if (!entry.path().filename().string().starts_with("spans.otlp")) continue;
      std::filesystem::copy_file(entry.path(), run_.folder.file(entry.path().filename()), error);
      if (error) return io_error(entry.path().string() + ": cannot be copied: " + error.message());
    }
    return {};
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

  /// Of what the answers owe, the backend has all that can come to it: what was never given to the
  /// Collector, what it took out by itself and what was rejected behind it cannot.
  bool backend_has_all(const CollectorSpans& spans) const {
    if (!run_.spans_in_backend) return true;
    double due = run_.spans_owed;
    const auto given = run_.hops != nullptr ? run_.hops->count(kCollector) : std::nullopt;
    const auto sent_on = run_.hops != nullptr ? run_.hops->count(kBackend) : std::nullopt;
    if (given) due = std::min(due, static_cast<double>(given->taken));
    if (!restarted_) due -= spans.filtered;
    if (sent_on) due -= static_cast<double>(sent_on->rejected);
    return static_cast<double>(run_.spans_in_backend()) >= due;
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
    const std::string counters = run_.folder.file(run_files::kCollectorMetrics);
    if (restarted_) {
      run_.miss(counters, "the Collector's own counters: it was restarted, and they began anew");
    }
    for (;;) {
      const auto page = scrape_to_file(run_.places.own_metrics_url(),
                                       restarted_ ? run_.log_of("collector-metrics") : counters);
      if (!page && restarted_ && run_.supervision.clock.monotonic_ns() < deadline &&
          !process_->exited()) {
        RETURN_IF_ERROR(pause_for(kDrainPollNs, run_.supervision));
        continue;  // it may not be up again yet
      }
      if (!page) {
        if (!restarted_) {
          run_.miss(counters, "the Collector's own counters: " + page.error().message);
        }
        return {};
      }
      const CollectorSpans spans = collector_spans(*page);
      drained = spans.drained();
      const bool all_came =
          (!attached || spans.accepted >= run_.spans_owed) && backend_has_all(spans);
      if (*drained && all_came) return {};
      if (run_.supervision.clock.monotonic_ns() >= deadline) {
        run_.note(all_came || !attached
                      ? "the Collector still held spans, or has lost some, " +
                            format_duration(within_ns) + " after the subject's end"
                      : "the attached subject sent fewer spans than its answers owe within " +
                            format_duration(within_ns) + " of the load's end");
        return {};
      }
      RETURN_IF_ERROR(pause_for(kDrainPollNs, run_.supervision));
    }
  }

  /// Behind its counters, which do not tell pipelines apart.
  void add_pipelines() {
    const std::string path = run_.folder.file(run_files::kCollectorMetrics);
    const auto counters = read_file(path);
    const auto pipelines = pipelines_page(plan_.config);
    if (!counters || !pipelines) return;  // without counters they say nothing
    const Status written = write_file_atomic(path, *counters + *pipelines);
    if (!written) run_.note("the Collector's pipelines: " + written.error().message);
  }

  Status stop() {
    if (process_->exited()) {
      RETURN_IF_ERROR(keep_spans());
      run_.miss(run_.folder.file(run_files::kCollectorMetrics),
                "the Collector's own counters: it had ended before they were read");
      return {};
    }
    run_.say("stopping the Collector");
    RETURN_IF_ERROR(drain());
    add_pipelines();
    const ChildProcess::Stop stop = process_->stop(plan_.stop_within_ns);
    RETURN_IF_ERROR(keep_spans());
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
  PartDisk disk_;
  bool restarted_ = false;
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
