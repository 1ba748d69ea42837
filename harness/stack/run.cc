#include "harness/stack/run.h"

#include <signal.h>

#include <algorithm>
#include <utility>

#include "base/files.h"
#include "base/text.h"
#include "harness/collector/config.h"
#include "harness/collector/embedded.h"
#include "harness/load/generator.h"
#include "harness/process/ports.h"
#include "harness/scrape.h"
#include "http/client.h"
#include "records/server_description.h"
#include "workload/workload.h"

namespace touchstone::harness {
namespace {

namespace run_files = records::run_files;

/// Another program may take a port between our choosing it and the child's binding it.
constexpr int kStartAttempts = 3;
constexpr int64_t kProbeTimeoutNs = 2 * kNsPerSecond;
constexpr int64_t kDrainWithinNs = 10 * kNsPerSecond;
constexpr int64_t kDrainPollNs = 50 * kNsPerMs;
/// On the way out after a failure, nobody waits for spans any more.
constexpr int64_t kAbandonGraceNs = 5 * kNsPerSecond;

bool says_port_is_taken(const Error& error) {
  const std::string text = to_lower(error.message);
  return text.find("address already in use") != std::string::npos;
}

class SuiteRun final {
 public:
  SuiteRun(const Suite& suite, const RunOptions& options, records::RunFolderWriter& folder,
           const Supervision& supervision)
      : suite_(suite),
        options_(options),
        folder_(folder),
        manifest_(folder.manifest()),
        supervision_(supervision) {}

  ~SuiteRun() {
    if (subject_) subject_->stop(kAbandonGraceNs);
    if (collector_) collector_->stop(kAbandonGraceNs);
  }

  Status run() {
    RETURN_IF_ERROR(prepare());
    RETURN_IF_ERROR(start_collector());
    RETURN_IF_ERROR(start_subject());
    RETURN_IF_ERROR(before_load());
    RETURN_IF_ERROR(drive_load());
    RETURN_IF_ERROR(after_load());
    RETURN_IF_ERROR(stop_subject());
    return stop_collector();
  }

 private:
  void say(const std::string& text) const {
    if (options_.progress) options_.progress(text);
  }
  std::string in_run(const std::string& name) const { return folder_.file(name); }
  Status check_signals() {
    return supervision_.signals != nullptr ? supervision_.signals->check() : Status();
  }

  Status prepare() {
    RETURN_IF_ERROR(make_directories(in_run(run_files::kLogs)));
    auto workload = workload::read_workload(suite_.load.workload);
    if (!workload) return std::move(workload).error();
    workload_ = std::move(*workload);
    faults_ = suite_.faults;
    faults_.insert(faults_.end(), options_.faults.begin(), options_.faults.end());
    if (suite_.subject.attach) subject_url_ = suite_.subject.attach->url;
    return {};
  }

  /// Runs `attempt` again with new ports when a port was taken by somebody else meanwhile.
  Status with_free_ports(const std::function<Status()>& attempt) {
    for (int i = 1;; ++i) {
      Status started = attempt();
      if (started || i == kStartAttempts || !says_port_is_taken(started.error())) return started;
      say("a port was taken by another program: trying others");
    }
  }

  Result<uint16_t> port(uint16_t wanted) {
    if (wanted != 0) return wanted;
    return ports_.take();
  }

  Status choose_ports() {
    const bool launched = suite_.subject.launch.has_value();
    for (uint16_t* slot : {&places_.health_port, &places_.own_metrics_port,
                           &places_.subject_metrics_port, &subject_port_}) {
      const auto taken = ports_.take();
      if (!taken) return taken.error();
      *slot = *taken;
    }
    const auto grpc = port(launched ? 0 : suite_.collector.otlp_grpc_port);
    if (!grpc) return grpc.error();
    places_.otlp_grpc_port = *grpc;
    const auto http = port(launched ? 0 : suite_.collector.otlp_http_port);
    if (!http) return http.error();
    places_.otlp_http_port = *http;
    places_.spans_file = in_run(run_files::kSpans);
    places_.subject_address = "127.0.0.1:" + std::to_string(subject_port_);
    if (suite_.subject.attach) {
      const auto url = http::parse_url(suite_.subject.attach->url);
      if (!url) return url.error();
      places_.subject_address = url->authority();
    }
    return {};
  }

  Status start_collector() {
    return with_free_ports([&]() -> Status {
      RETURN_IF_ERROR(choose_ports());
      return options_.collector ? start_real_collector() : start_receiver();
    });
  }

  Status start_receiver() {
    say("starting the embedded OTLP receiver in the Collector's place");
    manifest_.notes.push_back(
        "no real Collector took part: the embedded OTLP receiver stood in for it, so filters, "
        "resource attributes and the Collector's own counters were not tested");
    auto started = EmbeddedCollector::start(places_.otlp_grpc_port, places_.spans_file);
    if (!started) return std::move(started).error();
    embedded_ = std::move(*started);
    return {};
  }

  Status start_real_collector() {
    say("starting the Collector " + options_.collector->version + " (" + options_.collector->path +
        ")");
    std::map<std::string, std::string> environment = collector_environment(places_);
    for (const auto& [name, value] : suite_.collector.environment) environment[name] = value;
    RETURN_IF_ERROR(validate_collector_config(*options_.collector, suite_.collector.config,
                                              environment, supervision_));
    auto started = ChildProcess::spawn(
        {.name = "collector",
         .argv = {options_.collector->path, "--config=" + suite_.collector.config},
         .environment = environment,
         .log_path = in_run("logs/collector.log")},
        supervision_);
    if (!started) return std::move(started).error();
    collector_ = std::move(*started);
    const std::string health = places_.health_url();
    Status ready = collector_->wait_until(
        [&] { return http::http_get_body(health, kProbeTimeoutNs).has_value(); },
        health + " answered 200", suite_.collector.ready_within_ns);
    if (!ready) {
      collector_->kill();
      collector_.reset();
    }
    return ready;
  }

  Result<std::vector<std::string>> filled(const std::vector<std::string>& texts) const {
    const std::map<std::string, std::string> values = {
        {"touchstone", options_.touchstone},
        {"subject.port", std::to_string(subject_port_)},
        {"collector.otlp_grpc", places_.otlp_grpc_url()},
        {"collector.otlp_http", places_.otlp_http_url()},
        {"run", folder_.path()},
        {"suite", suite_.folder}};
    std::vector<std::string> done;
    for (const std::string& text : texts) {
      auto word = fill_places(text, values);
      if (!word) return std::move(word).error();
      done.push_back(std::move(*word));
    }
    return done;
  }

  Status start_subject() {
    if (!suite_.subject.launch) {
      const auto answer = http::http_get(subject_url_ + "/health", kProbeTimeoutNs);
      if (!answer) return unavailable("subject: " + answer.error().message, "is it running?");
      return {};
    }
    return with_free_ports([&]() -> Status {
      if (subject_tried_) {
        const auto another = ports_.take();
        if (!another) return another.error();
        subject_port_ = *another;
      }
      subject_tried_ = true;
      return launch_subject(*suite_.subject.launch);
    });
  }

  Status launch_subject(const LaunchSubject& launch) {
    auto command = filled(launch.command);
    if (!command) return std::move(command).error();
    command_ = *command;
    std::map<std::string, std::string> environment;
    for (const auto& [name, text] : launch.environment) {
      auto value = filled({text});
      if (!value) return std::move(value).error();
      environment[name] = value->front();
    }
    say("starting the subject: " + join(command_, " "));
    auto started = ChildProcess::spawn({.name = "subject",
                                        .argv = command_,
                                        .environment = environment,
                                        .working_directory = suite_.folder,
                                        .log_path = in_run("logs/subject.log")},
                                       supervision_);
    if (!started) return std::move(started).error();
    subject_ = std::move(*started);
    subject_url_ = "http://127.0.0.1:" + std::to_string(subject_port_);
    const std::string ready_url = subject_url_ + launch.ready_path;
    Status ready = subject_->wait_until(
        [&] { return http::http_get_body(ready_url, kProbeTimeoutNs).has_value(); },
        ready_url + " answered 200", launch.ready_within_ns);
    if (!ready) {
      subject_->kill();
      subject_.reset();
    }
    return ready;
  }

  std::string metrics_url() const { return subject_url_ + suite_.subject.metrics_path; }

  Status before_load() {
    subject_version_ = ask_version(subject_url_);
    const auto page = scrape_to_file(metrics_url(), in_run(run_files::kMetricsBefore));
    if (!page) manifest_.notes.push_back("metrics before the load: " + page.error().message);
    records::ServerDescription server;
    server.engine = suite_.subject.engine;
    if (!subject_version_.empty()) {
      server.version = subject_version_;
      manifest_.versions["subject"] = subject_version_;
    }
    server.description = suite_.title;
    server.flags = records::flags_of_command(command_);
    server.model = records::shape_of_model(suite_.subject.model_folder);
    server.hardware = records::this_hardware();
    return write_file_atomic(in_run(run_files::kServer), records::server_json(server));
  }

  void note_death(ChildProcess& child, const std::string& who, bool& died) {
    if (died || stopping_) return;
    const auto status = child.exited();
    if (!status) return;
    died = true;
    const int64_t at_ns = supervision_.clock.monotonic_ns() - load_start_ns_;
    const double at = static_cast<double>(at_ns) / static_cast<double>(kNsPerSecond);
    const std::string note = who + " ended with " + status->text() + " " + format_fixed(at, 1) +
                             " s into the load; the run went on without it";
    manifest_.notes.push_back(note);
    manifest_.deaths.push_back({who, status->text(), at_ns});
    say(note);
  }

  LoadOptions load_options() {
    LoadOptions load;
    load.url = subject_url_;
    load.model = suite_.load.model;
    load.seed = options_.seed.value_or(suite_.load.seed);
    load.ledger_path = in_run(run_files::kLedger);
    load.timeout_ns = suite_.load.timeout_ns;
    load.samples = {suite_.load.samples.begin(), suite_.load.samples.end()};
    for (const Fault& fault : faults_) {
      load.actions.push_back({fault.at_ns, [this, text = fault.text] {
                                say("fault: " + text);
                                manifest_.notes.push_back(
                                    collector_ ? "fault injected: " + text
                                               : "fault not injected, no real Collector: " + text);
                                if (collector_) collector_->send_signal(SIGKILL);
                              }});
    }
    if (supervision_.signals != nullptr) {
      load.watches.push_back({supervision_.signals->fd(), [this] { return check_signals(); }});
    }
    if (collector_ && collector_->exit_fd() >= 0) {
      load.watches.push_back({collector_->exit_fd(), [this]() -> Status {
                                note_death(*collector_, "the Collector", collector_died_);
                                return {};
                              }});
    }
    if (subject_ && subject_->exit_fd() >= 0) {
      load.watches.push_back({subject_->exit_fd(), [this]() -> Status {
                                note_death(*subject_, "the subject", subject_died_);
                                return {};
                              }});
    }
    load.on_progress = [this](const LoadProgress& now) {
      say("load: " + std::to_string(now.sent) + " of " + std::to_string(now.total) + " sent, " +
          std::to_string(now.done) + " answered");
    };
    return load;
  }

  void keep_samples(const std::vector<records::LedgerEntry>& entries) {
    for (const records::LedgerEntry& entry : entries) {
      if (entry.text.empty()) continue;
      const workload::Request& request = workload_.requests[static_cast<size_t>(entry.index)];
      const std::string prompt =
          request.messages.empty() ? request.prompt.value_or("") : request.messages.back().content;
      manifest_.samples.push_back({entry.name + " " + entry.endpoint, prompt, entry.text});
    }
  }

  Status drive_load() {
    const int64_t last_ns = workload_.requests.empty() ? 0 : workload_.requests.back().arrival_ns;
    say("driving " + std::to_string(workload_.requests.size()) + " requests over " +
        format_duration(last_ns));
    load_start_ns_ = supervision_.clock.monotonic_ns();
    const LoadOptions load = load_options();
    auto done = run_load(workload_, load, supervision_.clock);
    if (!done) return std::move(done).error();
    for (const records::LedgerEntry& entry : done->entries) {
      if (entry.outcome != records::ClientOutcome::kCompleted || !entry.sampled) continue;
      spans_owed_ += static_cast<double>(entry.choices);
    }
    keep_samples(done->entries);
    if (done->actions_not_reached > 0) {
      manifest_.notes.push_back(std::to_string(done->actions_not_reached) +
                                " fault(s) were timed after the end of the load and not injected");
    }
    return {};
  }

  /// The subject's metrics once nothing is in flight any more: a request that its client hung up
  /// may end a moment after the client has gone.
  Status after_load() {
    if (collector_) note_death(*collector_, "the Collector", collector_died_);
    if (subject_) note_death(*subject_, "the subject", subject_died_);
    const int64_t deadline = supervision_.clock.monotonic_ns() + kDrainWithinNs;
    for (;;) {
      const auto page = scrape_to_file(metrics_url(), in_run(run_files::kMetrics));
      if (!page) {
        manifest_.notes.push_back("metrics after the load: " + page.error().message);
        return {};
      }
      const auto in_flight = requests_in_flight(*page);
      if (!in_flight || *in_flight == 0) return {};
      if (supervision_.clock.monotonic_ns() >= deadline) {
        manifest_.notes.push_back(std::to_string(*in_flight) +
                                  " requests were still in flight in the subject " +
                                  format_duration(kDrainWithinNs) + " after the load");
        return {};
      }
      RETURN_IF_ERROR(pause_for(kDrainPollNs, supervision_));
    }
  }

  Status stop_subject() {
    if (!subject_) return {};
    say("stopping the subject: it drains and flushes its spans");
    stopping_ = true;
    const ChildProcess::Stop stop = subject_->stop(suite_.subject.launch->stop_within_ns);
    if (stop.forced) {
      manifest_.notes.push_back("the subject did not stop within " +
                                format_duration(suite_.subject.launch->stop_within_ns) +
                                " of SIGTERM and was killed: spans it still held are lost");
    } else if (!stop.status.good() && !subject_died_) {
      manifest_.notes.push_back("the subject ended with " + stop.status.text() + " on SIGTERM");
    }
    return check_signals();
  }

  /// Waits until the Collector's own counters say that every accepted span has left it.
  Status drain_collector() {
    const int64_t within_ns =
        suite_.subject.attach ? suite_.subject.attach->flush_within_ns : kDrainWithinNs;
    const int64_t deadline = supervision_.clock.monotonic_ns() + within_ns;
    for (;;) {
      const auto page =
          scrape_to_file(places_.own_metrics_url(), in_run(run_files::kCollectorMetrics));
      if (!page) {
        manifest_.notes.push_back("the Collector's own counters: " + page.error().message);
        return {};
      }
      const CollectorSpans spans = collector_spans(*page);
      manifest_.collector_drained = spans.drained();
      const bool all_came = !suite_.subject.attach || spans.accepted >= spans_owed_;
      if (*manifest_.collector_drained && all_came) return {};
      if (supervision_.clock.monotonic_ns() >= deadline) {
        manifest_.notes.push_back(
            all_came ? "the Collector still held spans " + format_duration(within_ns) +
                           " after the subject's end"
                     : "the attached subject sent fewer spans than its answers owe within " +
                           format_duration(within_ns) + " of the load's end");
        return {};
      }
      RETURN_IF_ERROR(pause_for(kDrainPollNs, supervision_));
    }
  }

  Status stop_collector() {
    if (embedded_) return embedded_->stop();
    if (!collector_ || collector_died_) return {};
    say("stopping the Collector");
    RETURN_IF_ERROR(drain_collector());
    const ChildProcess::Stop stop = collector_->stop(suite_.collector.stop_within_ns);
    if (stop.forced || !stop.status.good()) {
      manifest_.notes.push_back("the Collector ended with " + stop.status.text() + " on SIGTERM" +
                                (stop.forced ? " after it had to be killed" : ""));
    }
    return check_signals();
  }

  const Suite& suite_;
  const RunOptions& options_;
  records::RunFolderWriter& folder_;
  records::RunManifest& manifest_;
  const Supervision& supervision_;
  workload::Workload workload_;
  std::vector<Fault> faults_;
  PortReservation ports_;
  CollectorPlaces places_;
  uint16_t subject_port_ = 0;
  bool subject_tried_ = false;
  bool stopping_ = false;
  bool collector_died_ = false;
  bool subject_died_ = false;
  std::string subject_url_;
  std::string subject_version_;  ///< what /version said; empty when it says nothing
  int64_t load_start_ns_ = 0;
  double spans_owed_ = 0;  ///< by the answered requests
  std::vector<std::string> command_;
  std::unique_ptr<EmbeddedCollector> embedded_;
  std::unique_ptr<ChildProcess> collector_;
  std::unique_ptr<ChildProcess> subject_;
};

}  // namespace

Status run_suite(const Suite& suite, const RunOptions& options, records::RunFolderWriter& folder,
                 const Supervision& supervision) {
  return SuiteRun(suite, options, folder, supervision).run();
}

}  // namespace touchstone::harness
