#include <algorithm>
#include <utility>

#include "base/files.h"
#include "base/text.h"
#include "harness/scrape.h"
#include "harness/stack/part_disk.h"
#include "harness/stack/parts.h"
#include "http/client.h"
#include "records/server_description.h"

namespace touchstone::harness {
namespace {

namespace run_files = records::run_files;

constexpr int64_t kProbeTimeoutNs = 2 * kNsPerSecond;
constexpr int64_t kSettleWithinNs = 10 * kNsPerSecond;
constexpr int64_t kSettlePollNs = 50 * kNsPerMs;
/// On the way out after a failure, nobody waits for spans any more.
constexpr int64_t kAbandonGraceNs = 5 * kNsPerSecond;

/// What launched and attached servers have in common: they are looked at over HTTP.
class SubjectPart : public Part {
 public:
  SubjectPart(RunContext& run, const SubjectPlan& plan) : run_(run), plan_(plan) {}

  const std::string& name() const override { return plan_.name; }
  std::string title() const override {
    return run_.suite.subjects.size() == 1 ? "the subject" : "the subject " + plan_.name;
  }

 protected:
  const std::string& url() const { return run_.subject_urls.at(plan_.name); }
  const http::Access& access() const { return run_.access_of(plan_); }
  std::string metrics_url() const { return url() + plan_.metrics_path; }
  /// A file of this subject in the run folder.
  std::string file(const char* name) const {
    return run_.folder.file(records::file_of_subject(name, file_name_of(plan_, run_.suite)));
  }

  Status observe(const std::vector<std::string>& command) {
    records::ServerDescription server;
    server.engine = plan_.engine;
    server.description = run_.suite.title;
    if (const std::string version = ask_version(url(), access()); !version.empty()) {
      server.version = run_.folder.manifest().versions[plan_.name] = version;
    }
    const auto page = scrape_to_file(metrics_url(), file(run_files::kMetricsBefore), access());
    if (page) server.flags = cache_settings(*page);
    if (const auto model = served_model(url(), access()); model && model->max_model_len) {
      server.flags["max_model_len"] = *model->max_model_len;
    }
    if (!page) {
      run_.miss(file(run_files::kMetricsBefore),
                "metrics before the load: " + page.error().message);
    }
    for (auto& [flag, value] : records::flags_of_command(command)) server.flags[flag] = value;
    server.model = records::shape_of_model(plan_.model_folder);
    server.hardware = records::this_hardware();
    return write_file_atomic(file(run_files::kServer), records::server_json(server));
  }

  /// Its metrics once nothing is in flight any more: a request that its client hung up may end a
  /// moment after the client has gone, `restarted`: its counters began anew, so that they
  /// say nothing of the run.
  Status settle(bool restarted) {
    const std::string to = restarted ? run_.log_of(name() + "-metrics") : file(run_files::kMetrics);
    if (restarted) {
      run_.miss(file(run_files::kMetrics), "metrics after the load: " + title() +
                                               " was restarted, and its counters began anew");
    }
    const int64_t deadline = run_.supervision.clock.monotonic_ns() + kSettleWithinNs;
    for (;;) {
      const auto page = scrape_to_file(metrics_url(), to, access());
      if (!page && restarted) return {};
      if (!page) {
        run_.miss(file(run_files::kMetrics), "metrics after the load: " + page.error().message);
        return {};
      }
      const auto in_flight = requests_in_flight(*page);
      if (!in_flight || *in_flight == 0) return {};
      if (run_.supervision.clock.monotonic_ns() >= deadline) {
        run_.note(std::to_string(*in_flight) + " requests were still in flight in " + title() +
                  " " + format_duration(kSettleWithinNs) + " after the load");
        return {};
      }
      RETURN_IF_ERROR(pause_for(kSettlePollNs, run_.supervision));
    }
  }

  RunContext& run_;
  const SubjectPlan& plan_;
};

class AttachedPart final : public SubjectPart {
 public:
  using SubjectPart::SubjectPart;

  Status enter(Stage stage) override {
    switch (stage) {
      case Stage::kStart: {
        const auto answer = http::http_get(url() + "/health", kProbeTimeoutNs, access());
        if (answer) return {};
        return unavailable(name() + ": " + answer.error().message, "is it running?");
      }
      case Stage::kObserve:
        return observe({});
      case Stage::kSettle:
        return settle(false);
      case Stage::kStop:
        return {};  // it was there before us
    }
    return {};
  }
};

class LaunchedPart final : public SubjectPart {
 public:
  LaunchedPart(RunContext& run, const SubjectPlan& plan)
      : SubjectPart(run, plan), launch_(*plan.launch) {}
  ~LaunchedPart() override {
    if (process_) process_->stop(kAbandonGraceNs);
  }

  ChildProcess* process() override { return process_.get(); }

  Status enter(Stage stage) override {
    switch (stage) {
      case Stage::kStart:
        return start();
      case Stage::kObserve:
        return observe(command_);
      case Stage::kSettle:
        // After a restart it may not be up again.
        if (restarted_ && !process_->exited()) RETURN_IF_ERROR(wait_ready());
        return settle(restarted_);
      case Stage::kStop:
        return stop();
    }
    return {};
  }

  Status restart() override {
    process_->kill();
    restarted_ = true;
    return spawn();
  }
  Status fill_disk() override { return disk_.fill(); }
  Status free_disk() override { return disk_.empty(); }

 private:
  Result<std::string> filled(const std::string& text) const {
    const std::string http = otlp_url(1, run_.places.otlp_http_port);
    return fill_places(text, {{"touchstone", run_.options.touchstone},
                              {"subject.port", std::to_string(run_.subject_ports.at(name()))},
                              {"subject.name", name()},
                              {"subject.disk", run_.disk_of(name())},
                              {"collector.otlp_grpc", otlp_url(0, run_.places.otlp_grpc_port)},
                              {"collector.otlp_http", http},
                              {"collector.otlp_http/protobuf", http},
                              {"collector.otlp_http/json", http},
                              {"run", run_.folder.path()},
                              {"suite", run_.suite.folder}});
  }

  /// Of the Collector, or of the wire before it.
  std::string otlp_url(size_t lane, uint16_t direct) const {
    return "http://127.0.0.1:" +
           std::to_string(run_.port_to(name() + "/" + kCollector, direct, lane));
  }

  bool names_its_disk() const {
    return std::any_of(launch_.command.begin(), launch_.command.end(), [](const auto& word) {
      return word.find("${subject.disk}") != std::string::npos;
    });
  }

  Status start() {
    RETURN_IF_ERROR(disk_.make(run_, name(), names_its_disk()));
    bool again = false;
    return run_.with_free_ports([&]() -> Status {
      if (std::exchange(again, true)) {
        const auto another = run_.ports.take();
        if (!another) return another.error();
        run_.subject_ports[name()] = *another;
        run_.subject_urls[name()] = "http://127.0.0.1:" + std::to_string(*another);
        run_.route_wires();
      }
      RETURN_IF_ERROR(fill());
      run_.say("starting " + title() + ": " + join(command_, " "));
      RETURN_IF_ERROR(spawn());
      Status ready = wait_ready();
      if (!ready) process_.reset();
      return ready;
    });
  }

  Status fill() {
    command_.clear();
    for (const std::string& text : launch_.command) {
      auto word = filled(text);
      if (!word) return std::move(word).error();
      command_.push_back(std::move(*word));
    }
    for (const auto& [key, text] : launch_.environment) {
      auto value = filled(text);
      if (!value) return std::move(value).error();
      environment_[key] = std::move(*value);
    }
    return {};
  }

  Status spawn() {
    auto started = ChildProcess::spawn({.name = name(),
                                        .argv = command_,
                                        .environment = environment_,
                                        .working_directory = run_.suite.folder,
                                        .log_path = run_.log_of(name())},
                                       run_.supervision);
    if (!started) return std::move(started).error();
    process_ = std::move(*started);
    return {};
  }

  Status wait_ready() {
    const std::string ready_url = url() + launch_.ready_path;
    return process_->wait_until(
        [&] { return http::http_get_body(ready_url, kProbeTimeoutNs).has_value(); },
        ready_url + " answered 200", launch_.ready_within_ns);
  }

  Status stop() {
    if (process_->exited()) return {};
    run_.say("stopping " + title() + ": it drains and flushes its spans");
    const ChildProcess::Stop stop = process_->stop(launch_.stop_within_ns);
    if (stop.forced) {
      run_.note(title() + " did not stop within " + format_duration(launch_.stop_within_ns) +
                " of SIGTERM and was killed: spans it still held are lost");
    } else if (!stop.status.good()) {
      run_.note(title() + " ended with " + stop.status.text() + " on SIGTERM");
    }
    return run_.check_signals();
  }

  const LaunchSubject& launch_;
  std::vector<std::string> command_;
  std::map<std::string, std::string> environment_;
  bool restarted_ = false;
  PartDisk disk_;
  std::unique_ptr<ChildProcess> process_;
};

}  // namespace

std::unique_ptr<Part> make_subject_part(RunContext& run, const SubjectPlan& plan) {
  if (plan.launch) return std::make_unique<LaunchedPart>(run, plan);
  return std::make_unique<AttachedPart>(run, plan);
}

}  // namespace touchstone::harness
