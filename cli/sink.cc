#include "cli/sink.h"

#include <pthread.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/text.h"
#include "cli/output.h"
#include "harness/sink/sink.h"
#include "http/server.h"

namespace touchstone::cli {
namespace {

struct Flags {
  harness::SinkOptions options;
  std::string when_full = "drop-oldest";
};

void say(const std::string& text) { std::fprintf(stderr, "sink: %s\n", text.c_str()); }

void say_ready(const harness::Sink& sink) {
  std::string ports;
  for (const uint16_t port : sink.http_ports()) ports += ", HTTP port " + std::to_string(port);
  say("ready: gRPC port " + std::to_string(sink.grpc_port()) + ports);
}

Exit tell(const harness::SpanStoreCounters& counters, const Status& stopped) {
  say(format_count(counters.received) + " spans received, " + format_count(counters.kept) +
      " kept in " + format_count(counters.traces) + " traces, " + format_count(counters.dropped) +
      " dropped for room, " + format_count(counters.refused) + " refused");
  return stopped ? Exit::kGood : report_error(Error(stopped.error()).with_context("sink"));
}

Exit run(Flags& flags) {
  // Blocked before any thread starts, so that they all come here.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGINT, SIGTERM}) sigaddset(&signals, number);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a file at its limit is a full disk, no reason to end

  http::raise_descriptor_limit();
  flags.options.notice = say;
  if (flags.when_full == "refuse") flags.options.when_full = harness::WhenFull::kRefuse;
  const RealClock clock;
  const auto sink = harness::Sink::start(flags.options, clock);
  if (!sink) return report_error(Error(sink.error()).with_context("sink"));
  say_ready(**sink);
  int number = 0;
  sigwait(&signals, &number);
  const Status stopped = (*sink)->stop();
  return tell((*sink)->counters(), stopped);
}

std::function<Exit()> set_up(CLI::App& app) {
  const auto flags = std::make_shared<Flags>();
  harness::SinkOptions& options = flags->options;
  app.add_option("--grpc", options.grpc, "HOST:PORT for OTLP/gRPC; port 0: any free one")
      ->capture_default_str();
  app.add_option("--http", options.http,
                 "HOST:PORT for OTLP/HTTP and for queries; may be repeated, e.g. with 3301 for "
                 "scripts that ask SigNoz")
      ->allow_extra_args(false)
      ->capture_default_str();
  app.add_option("--memory", options.memory_bytes_max, "Bytes of spans held in memory at most")
      ->check(CLI::Range(int64_t{1} << 16, int64_t{1} << 40))
      ->capture_default_str();
  app.add_option("--when-full", flags->when_full,
                 "drop-oldest: the traces that came first make room; refuse: nothing more is taken "
                 "and the sender is told")
      ->check(CLI::IsMember({"drop-oldest", "refuse"}))
      ->capture_default_str();
  app.add_option("--output", options.output,
                 "Also add every batch, as a line of OTLP JSON, to this file; unbounded")
      ->check(path_to_write())
      ->type_name("FILE");
  return [flags] { return run(*flags); };
}

}  // namespace

Verb sink_verb() {
  return {"sink", "Receive spans (OTLP) and answer queries for them: Jaeger's APIs, /api/v1/spans",
          "touchstone sink --http 127.0.0.1:4318 --http 127.0.0.1:3301 --output spans.otlp.jsonl",
          set_up};
}

}  // namespace touchstone::cli
