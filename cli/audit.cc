#include "cli/audit.h"

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <system_error>
#include <vector>

#include "base/clock.h"
#include "base/files.h"
#include "base/sha256.h"
#include "base/text.h"
#include "base/timestamp.h"
#include "base/version.h"
#include "cli/backend_flags.h"
#include "cli/output.h"
#include "conformance/profile_set.h"
#include "conformance/ratchet.h"
#include "harness/audit.h"

namespace touchstone::cli {
namespace {

struct Flags {
  std::vector<std::string> files;
  std::vector<std::string> profiles = {"vllm-v1"};
  std::string ledger;
  std::string metrics;
  std::string metrics_before;
  std::string collector_metrics;
  std::string fail_on = "MUST";
  std::string format = "text";
  std::string output;
  int64_t spans_in_memory = static_cast<int64_t>(conformance::kSpansInMemory);
  std::string ratchet;
  bool live = false;
  BackendFlags backends;
  http::TlsOptions tls;
  std::string since;
  std::string until;
  bool seen = false;
};

std::string command_of(const Flags& flags) {
  std::string command = "touchstone audit";
  const auto add = [&](const char* flag, const std::string& value) {
    if (!value.empty()) command += std::string(" ") + flag + " " + shell_word(value);
  };
  for (const std::string& file : flags.files) add("--file", file);
  for (const std::string& backend : flags.backends.backends) add("--backend", backend);
  add("--since", flags.since);
  add("--until", flags.until);
  for (const std::string& profile : flags.profiles) add("--profile", profile);
  add("--ledger", flags.ledger);
  add("--metrics", flags.metrics);
  add("--metrics-before", flags.metrics_before);
  add("--collector-metrics", flags.collector_metrics);
  add("--ratchet", flags.ratchet);
  if (flags.live) command += " --live";
  if (flags.seen) command += " --seen";
  if (flags.fail_on != "MUST") add("--fail-on", flags.fail_on);
  return command;
}

/// Spans of a file that is read twice would be counted twice.
Status check_files(const std::vector<std::string>& files) {
  std::error_code ignored;
  for (size_t i = 0; i < files.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (!std::filesystem::equivalent(files[i], files[j], ignored)) continue;
      return invalid_argument("audit: --file: got " + files[i] + ", which is " + files[j] +
                              ", twice, expected each file once");
    }
  }
  return {};
}

/// By path.
Result<std::map<std::string, std::string>> digests_of(const std::vector<std::string>& paths) {
  std::map<std::string, std::string> digests;
  for (const std::string& path : paths) {
    if (path.empty()) continue;
    auto digest = file_sha256_hex(path);
    if (!digest) return std::move(digest).error();
    digests[path] = *std::move(digest);
  }
  return digests;
}

/// Judges the coverage by the ratchet file and raises it where coverage has grown; makes it when it
/// is not there.
Status apply_ratchet(const std::string& path, int64_t spans, result::Report& report) {
  if (path.empty()) return {};
  const conformance::Ratchet now = conformance::ratchet_of(report.coverage);
  const auto kept = conformance::read_ratchet(path);
  if (!kept && kept.error().code != ErrorCode::kNotFound) return kept.error();
  if (kept) {
    report.checks.push_back(conformance::judge_ratchet(*kept, path, report.coverage));
    if (spans > 0) {
      result::decide(report, report.fail_on);
      report.summary = conformance::summary_of(report, spans);
    }
  }
  const conformance::Ratchet next = kept ? conformance::raised(*kept, now) : now;
  if (spans == 0 || (kept && to_text(next) == to_text(*kept))) return {};
  report.notes.push_back(path + (kept ? " was raised" : " was made") + ": the next audit demands " +
                         format_count(static_cast<int64_t>(next.shares.size())) + " attributes.");
  return write_file_atomic(path, to_text(next));
}

/// "24h": so long ago; or a point in time. ERRORS: kInvalidArgument.
Result<int64_t> point_in_time(const char* flag, const std::string& text, int64_t now_unix_ns) {
  if (const auto point = parse_utc(text)) return *point;
  const auto ago = parse_duration_ns(text);
  if (!ago) {
    return invalid_argument(std::string("audit: ") + flag + ": got " + quote(text) +
                            ", expected a duration (24h) or a time (2026-11-25T17:00:00Z)");
  }
  return now_unix_ns - *ago;
}

/// ERRORS: kInvalidArgument, also for a window that ends before it begins.
Result<std::optional<harness::TimeWindow>> window_of(const Flags& flags, int64_t now_unix_ns) {
  if (flags.since.empty() && flags.until.empty()) return std::optional<harness::TimeWindow>();
  harness::TimeWindow window{0, now_unix_ns};
  if (!flags.since.empty()) {
    const auto start = point_in_time("--since", flags.since, now_unix_ns);
    if (!start) return start.error();
    window.start_unix_ns = *start;
  }
  if (!flags.until.empty()) {
    const auto end = point_in_time("--until", flags.until, now_unix_ns);
    if (!end) return end.error();
    window.end_unix_ns = *end;
  }
  if (window.start_unix_ns >= window.end_unix_ns) {
    return invalid_argument("audit: --since: got " + format_utc(window.start_unix_ns) +
                            ", expected a time before " + format_utc(window.end_unix_ns));
  }
  return std::optional(window);
}

Result<harness::AuditSources> sources_of(const Flags& flags, int64_t now_unix_ns) {
  if (flags.files.empty() && flags.backends.backends.empty()) {
    return invalid_argument("audit: got no spans, expected --file or --backend",
                            "--file spans.otlp.jsonl, or --backend jaeger=http://127.0.0.1:16686");
  }
  RETURN_IF_ERROR(check_files(flags.files));
  auto backends = resolve(flags.backends, flags.tls);
  if (!backends) return std::move(backends).error();
  const auto window = window_of(flags, now_unix_ns);
  if (!window) return window.error();
  return harness::AuditSources{.paths = {.spans = flags.files,
                                         .ledger = flags.ledger,
                                         .metrics = flags.metrics,
                                         .metrics_before = flags.metrics_before,
                                         .collector_metrics = flags.collector_metrics,
                                         .live = flags.live},
                               .backends = *std::move(backends),
                               .window = *window};
}

/// "spans.jsonl jaeger=http://…, 2026-11-24T17:00:00Z to 2026-11-25T17:00:00Z"
std::string title_of(const Flags& flags, const std::optional<harness::TimeWindow>& window) {
  std::vector<std::string> from = flags.files;
  from.insert(from.end(), flags.backends.backends.begin(), flags.backends.backends.end());
  std::string title = "audit " + join(from, " ");
  if (window) {
    title += ", " + format_utc(window->start_unix_ns) + " to " + format_utc(window->end_unix_ns);
  }
  return title;
}

Exit run(const Flags& flags) {
  const int64_t now_unix_ns = RealClock().unix_ns();
  const auto sources = sources_of(flags, now_unix_ns);
  if (!sources) return report_error(sources.error());
  const auto profiles = conformance::load_profiles(flags.profiles);
  if (!profiles) return report_error(profiles.error());
  conformance::JudgeOptions options;
  options.fail_on = level_of(flags.fail_on);
  options.spans_in_memory = static_cast<size_t>(flags.spans_in_memory);
  options.sightings = flags.seen || sources->window.has_value();
  auto judged = harness::audit(*sources, now_unix_ns, *profiles, options);
  if (!judged) return report_error(judged.error());
  result::Report& report = judged->report;
  const Status ratcheted = apply_ratchet(flags.ratchet, judged->spans, report);
  if (!ratcheted) return report_error(ratcheted.error());
  report.title = title_of(flags, sources->window);
  report.provenance.tool_version = kVersion;
  report.provenance.command = command_of(flags);
  auto digests =
      digests_of({flags.ledger, flags.metrics, flags.metrics_before, flags.collector_metrics});
  if (!digests) return report_error(digests.error());
  report.provenance.digests.merge(*digests);
  return finish_report(std::move(report), reports::format_of(flags.format), flags.output);
}

/// What is looked at.
void add_source_flags(CLI::App& app, Flags& flags) {
  app.add_option("--file", flags.files,
                 "Spans: OTLP JSON lines, plain, .gz or .zst; may be repeated")
      ->type_name("FILE");
  add_backend_flags(app, flags.backends);
  app.add_option("--ca-file", flags.tls.ca_file,
                 "Certificates to trust for https, PEM (default: the system's)");
  app.add_flag("--insecure", flags.tls.insecure, "Trust any certificate");
  app.add_option("--since", flags.since,
                 "Judge what began since then: a duration (24h) or a time "
                 "(2026-11-25T17:00:00Z); implies --seen");
  app.add_option("--until", flags.until, "And until then, in the same forms (default: now)");
  app.add_flag("--live", flags.live,
               "The files are still written: an end inside a line is a note, no finding");
  app.add_option("--ledger", flags.ledger, "What the clients sent: requests.jsonl")
      ->type_name("FILE");
  app.add_option("--metrics", flags.metrics, "The subject's /metrics after the load")
      ->type_name("FILE");
  app.add_option("--metrics-before", flags.metrics_before, "The same before the load")
      ->type_name("FILE");
  app.add_option("--collector-metrics", flags.collector_metrics,
                 "The Collector's own metrics at the end")
      ->type_name("FILE");
}

std::function<Exit()> set_up(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  add_source_flags(app, *flags);
  app.add_option("--profile", flags->profiles,
                 "Name (`touchstone profile list`) or path of a profile; may be repeated")
      ->capture_default_str();
  app.add_flag("--seen", flags->seen,
               "Also tell when each required attribute was seen, first and last, which services "
               "lack it, by tenant, model and operation; fail on one never seen");
  app.add_option("--spans-in-memory", flags->spans_in_memory,
                 "Of more spans, what must be remembered goes to temporary files (TMPDIR)")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30))
      ->capture_default_str();
  app.add_option("--ratchet", flags->ratchet,
                 "No attribute may be rarer than this file says; made when it is not there, "
                 "raised when coverage grows")
      ->check(path_to_write())
      ->type_name("FILE");
  add_fail_on_flag(app, flags->fail_on);
  app.add_option("--format", flags->format, "What to print on stdout")
      ->check(CLI::IsMember(reports::format_words()))
      ->capture_default_str();
  app.add_option("--output", flags->output, "Also write the report in every format here")
      ->check(path_to_write())
      ->type_name("DIR");
  return [flags] { return run(*flags); };
}

}  // namespace

Verb audit_verb() {
  return {"audit", "Judge recorded spans against a profile, with a ledger and metrics if given",
          "touchstone audit --file spans.jsonl --profile vllm-v1 --ledger requests.jsonl", set_up};
}

}  // namespace touchstone::cli
