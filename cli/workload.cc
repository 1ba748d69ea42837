#include "cli/workload.h"

#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/files.h"
#include "base/text.h"
#include "cli/generated_load.h"
#include "cli/output.h"
#include "cli/workload_report.h"
#include "workload/describe.h"
#include "workload/traces/trace.h"
#include "workload/transform.h"

namespace touchstone::cli {
namespace {

using Reader = std::unique_ptr<workload::RequestReader>;

struct Flags {
  std::vector<std::string> inputs;
  std::string format;  ///< of the inputs
  std::string session_gap = "60s";
  std::string output;
  uint64_t seed = 0;
  // describe
  std::string report_format = "text";
  std::string report_folder;
  // generate
  GeneratedLoad generated;
  // scale, thin, shift, splice
  workload::ScaleOptions scale;
  double share = 1;
  std::string from = "0s";
  std::string length;
  std::string at = "0s";
  bool one_after_another = false;
  std::string gap = "0s";
};

Result<int64_t> duration(const char* flag, const std::string& text) {
  auto ns = parse_duration_ns(text);
  if (!ns) return std::move(ns).error().with_context(std::string("workload: ") + flag);
  return ns;
}

Result<std::vector<Reader>> open_inputs(const Flags& flags) {
  const auto gap_ns = duration("--session-gap", flags.session_gap);
  if (!gap_ns) return gap_ns.error();
  std::vector<Reader> readers;
  for (const std::string& path : flags.inputs) {
    auto reader =
        workload::open_trace(path, flags.format, {.seed = flags.seed, .session_gap_ns = *gap_ns});
    if (!reader) return std::move(reader).error();
    readers.push_back(std::move(*reader));
  }
  return readers;
}

/// One line a request, to the file or to stdout.
Exit write_all(Reader reader, const std::string& output) {
  std::unique_ptr<LineWriter> file;
  if (!output.empty()) {
    auto opened = LineWriter::open(output);
    if (!opened) return report_error(opened.error());
    file = std::move(*opened);
  }
  const auto write = [&file](const std::string& line) {
    return file ? file->write(line) : print(line + "\n");
  };
  Status status = write("{\"workload\":" + std::to_string(workload::kSchemaVersion) + "}");
  workload::Request request;
  int64_t requests = 0;
  while (status) {
    const auto there = reader->next(request);
    if (!there) status = there.error();
    if (!there || !*there) break;
    ++requests;
    status = write(workload::to_json_line(request));
  }
  if (status && requests == 0) {
    status = invalid_argument(reader->where() + ": got no request, expected one or more");
  }
  if (status && file) status = file->close();
  if (!status) {
    if (file) std::remove(output.c_str());  // nothing half-written stays
    return report_error(Error(status.error()).with_context("workload"));
  }
  std::fprintf(stderr, "workload: %s requests written\n", format_count(requests).c_str());
  const std::string left_out = reader->left_out();
  if (!left_out.empty()) std::fprintf(stderr, "note: left out: %s\n", left_out.c_str());
  return Exit::kGood;
}

Exit describe(const Flags& flags) {
  auto readers = open_inputs(flags);
  if (!readers) return report_error(Error(readers.error()).with_context("workload describe"));
  const auto description = workload::describe(*readers->front());
  if (!description) {
    return report_error(Error(description.error()).with_context("workload describe"));
  }
  const Exit exit = finish_report(describe_report(flags.inputs.front(), *description),
                                  reports::format_of(flags.report_format), flags.report_folder);
  return exit == Exit::kUndecided ? Exit::kGood : exit;  // it judges nothing
}

/// What a sub-verb makes of its inputs.
using Change = Result<Reader> (*)(const Flags& flags, std::vector<Reader> inputs);

Result<Reader> convert(const Flags&, std::vector<Reader> inputs) {
  return std::move(inputs.front());
}

Result<Reader> scale(const Flags& flags, std::vector<Reader> inputs) {
  return workload::make_scaled(std::move(inputs.front()), flags.scale);
}

Result<Reader> thin(const Flags& flags, std::vector<Reader> inputs) {
  return workload::make_thinned(std::move(inputs.front()), flags.share, flags.seed);
}

Result<Reader> shift(const Flags& flags, std::vector<Reader> inputs) {
  workload::WindowOptions options;
  const auto from_ns = duration("--from", flags.from);
  if (!from_ns) return from_ns.error();
  const auto at_ns = duration("--at", flags.at);
  if (!at_ns) return at_ns.error();
  options.from_ns = *from_ns;
  options.at_ns = *at_ns;
  if (!flags.length.empty()) {
    const auto length_ns = duration("--for", flags.length);
    if (!length_ns) return length_ns.error();
    options.length_ns = *length_ns;
  }
  return workload::make_window(std::move(inputs.front()), options);
}

Result<Reader> splice(const Flags& flags, std::vector<Reader> inputs) {
  const auto gap_ns = duration("--gap", flags.gap);
  if (!gap_ns) return gap_ns.error();
  return workload::make_spliced(std::move(inputs),
                                {.one_after_another = flags.one_after_another, .gap_ns = *gap_ns});
}

Exit change(const Flags& flags, Change make) {
  auto inputs = open_inputs(flags);
  if (!inputs) return report_error(Error(inputs.error()).with_context("workload"));
  auto made = make(flags, std::move(*inputs));
  if (!made) return report_error(Error(made.error()).with_context("workload"));
  return write_all(std::move(*made), flags.output);
}

Exit generate(const Flags& flags) {
  if (!flags.generated.wanted()) {
    return report_error(
        invalid_argument("workload generate: --requests: got none, expected how "
                         "many"));
  }
  const auto options = resolve(flags.generated, "workload generate", flags.seed);
  if (!options) return report_error(options.error());
  return write_all(std::make_unique<workload::Generator>(*options), flags.output);
}

Exit list_formats() {
  std::string text;
  for (const workload::TraceFormat& format : workload::trace_formats()) {
    char line[200];
    std::snprintf(line, sizeof line, "%-12s %s\n", format.name, format.summary);
    text += line;
  }
  const Status printed = print(text);
  return printed ? Exit::kGood : report_error(printed.error());
}

void add_input(CLI::App& app, Flags& flags, bool several) {
  CLI::Option* input = app.add_option("TRACE", flags.inputs, "Workload or trace, file or folder");
  input->required()->type_name("FILE");
  if (!several) input->expected(1);
  std::vector<std::string> names;
  for (const workload::TraceFormat& format : workload::trace_formats()) {
    names.emplace_back(format.name);
  }
  app.add_option("--trace-format", flags.format, "Of the input (default: told by its content)")
      ->check(CLI::IsMember(names));
  app.add_option("--session-gap", flags.session_gap,
                 "Between the starts of sessions that carry no date (WEKA)")
      ->capture_default_str();
  app.add_option("--seed", flags.seed, "Of what is drawn by chance")->capture_default_str();
}

void add_output(CLI::App& app, Flags& flags) {
  app.add_option("--output", flags.output, "Workload file to write; stdout when absent")
      ->check(path_to_write())
      ->type_name("FILE");
}

/// One sub-verb: its flags, what it does and how it is used.
CLI::App* add(CLI::App& app, const char* name, const char* summary, const std::string& example) {
  CLI::App* sub = app.add_subcommand(name, summary);
  sub->footer("Example:\n  touchstone workload " + example);
  return sub;
}

CLI::App* add_describe(CLI::App& app, Flags& flags) {
  CLI::App* sub = add(app, "describe", "Rates, lengths, burstiness, what prompts share",
                      "describe fixtures/traces/azure/code.csv");
  add_input(*sub, flags, false);
  sub->add_option("--format", flags.report_format, "Of the report on stdout")
      ->check(CLI::IsMember(reports::format_words()))
      ->capture_default_str();
  sub->add_option("--output", flags.report_folder, "Folder for report.html and report.json")
      ->check(path_to_write());
  return sub;
}

CLI::App* add_scale(CLI::App& app, Flags& flags) {
  CLI::App* sub = add(app, "scale", "Faster or slower, longer or shorter",
                      "scale fixtures/traces/azure/code.csv --rate 2 --output twice.jsonl");
  add_input(*sub, flags, false);
  add_output(*sub, flags);
  sub->add_option("--rate", flags.scale.rate, "Times are divided by it")->capture_default_str();
  sub->add_option("--prompt-tokens", flags.scale.prompt_tokens, "Prompts are so much longer")
      ->capture_default_str();
  sub->add_option("--output-tokens", flags.scale.output_tokens, "Answers are so much longer")
      ->capture_default_str();
  return sub;
}

CLI::App* add_thin(CLI::App& app, Flags& flags) {
  CLI::App* sub = add(app, "thin", "Keep a share of the sessions, whole ones",
                      "thin fixtures/traces/azure/code.csv --share 0.25 --output quarter.jsonl");
  add_input(*sub, flags, false);
  add_output(*sub, flags);
  sub->add_option("--share", flags.share, "More than 0, at most 1")->required();
  return sub;
}

CLI::App* add_shift(CLI::App& app, Flags& flags) {
  CLI::App* sub =
      add(app, "shift", "Cut a window out and let it begin at another time",
          "shift fixtures/traces/azure/code.csv --from 5m --for 60s --output part.jsonl");
  add_input(*sub, flags, false);
  add_output(*sub, flags);
  sub->add_option("--from", flags.from, "Where the window begins")->capture_default_str();
  sub->add_option("--for", flags.length, "How long it is (default: to the end)");
  sub->add_option("--at", flags.at, "When it begins in the result")->capture_default_str();
  return sub;
}

CLI::App* add_splice(CLI::App& app, Flags& flags) {
  CLI::App* sub = add(app, "splice", "Several traces as one, together or one after another",
                      "splice day.jsonl batch.jsonl --output both.jsonl");
  add_input(*sub, flags, true);
  add_output(*sub, flags);
  sub->add_flag("--one-after-another", flags.one_after_another, "Instead of together");
  sub->add_option("--gap", flags.gap, "One after another: between two")->capture_default_str();
  return sub;
}

std::function<Exit()> set_up(CLI::App& app) {
  const auto flags = std::make_shared<Flags>();
  app.require_subcommand(1);
  std::vector<std::pair<CLI::App*, std::function<Exit()>>> verbs;
  const auto changes = [&flags](Change make) {
    return [flags, make] { return change(*flags, make); };
  };
  verbs.emplace_back(add_describe(app, *flags), [flags] { return describe(*flags); });
  CLI::App* to_workload = add(app, "convert", "Write a trace in the workload format",
                              "convert fixtures/traces/azure/code.csv --output code.jsonl");
  add_input(*to_workload, *flags, false);
  add_output(*to_workload, *flags);
  verbs.emplace_back(to_workload, changes(&convert));
  verbs.emplace_back(add_scale(app, *flags), changes(&scale));
  verbs.emplace_back(add_thin(app, *flags), changes(&thin));
  verbs.emplace_back(add_shift(app, *flags), changes(&shift));
  verbs.emplace_back(add_splice(app, *flags), changes(&splice));
  CLI::App* made = add(app, "generate", "Write a load made from a seed",
                       "generate --requests 1000 --rate 5 --turns 2-6 --turn-think-time 10s "
                       "--output chats.jsonl");
  add_generated_load(*made, flags->generated);
  made->add_option("--seed", flags->seed, "Of what is drawn by chance")->capture_default_str();
  add_output(*made, *flags);
  verbs.emplace_back(made, [flags] { return generate(*flags); });
  verbs.emplace_back(add(app, "formats", "The formats that are read", "formats"), &list_formats);
  return [verbs] {
    for (const auto& [sub, run] : verbs) {
      if (sub->parsed()) return run();
    }
    return Exit::kUsage;
  };
}

}  // namespace

Verb workload_verb() {
  return {"workload", "Describe, convert, change and generate workloads and traces",
          "touchstone workload describe fixtures/traces/azure/code.csv", set_up};
}

}  // namespace touchstone::cli
