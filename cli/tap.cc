#include "cli/tap.h"

#include <pthread.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/text.h"
#include "cli/duration_flag.h"
#include "cli/output.h"
#include "harness/tap/tap.h"
#include "http/server.h"

namespace touchstone::cli {
namespace {

struct Flags {
  harness::TapOptions options;
  int64_t drain_ns = 30 * kNsPerSecond;
};

void say(const std::string& text) { std::fprintf(stderr, "tap: %s\n", text.c_str()); }

Exit tell(const harness::TapCounters& counters, const std::string& ledger) {
  say(format_count(counters.exchanges) + " exchanges, " + format_count(counters.written) +
      " ledger lines in " + ledger + ", " + format_count(counters.upstream_failures) +
      " upstream failures");
  if (counters.bodies_unread > 0) {
    say(format_count(counters.bodies_unread) +
        " lines lack model and parameters: --max-body-memory was reached");
  }
  if (counters.lost == 0) return Exit::kGood;
  return report_error(unavailable("tap: " + format_count(counters.lost) +
                                      " ledger lines were lost: completeness cannot be proven",
                                  "see what was said when the loss began"));
}

Exit run(Flags& flags) {
  // Blocked before any thread starts, so that they all come here.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, number);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  // A ledger at the limit of a file's size is a full disk, no reason to end.
  std::signal(SIGXFSZ, SIG_IGN);

  http::raise_descriptor_limit();
  flags.options.notice = say;
  const RealClock clock;
  const auto tap = harness::Tap::start(flags.options, clock);
  if (!tap) return report_error(Error(tap.error()).with_context("tap"));
  say("ready: port " + std::to_string((*tap)->port()) + " to " + flags.options.upstream +
      ", ledger " + flags.options.ledger);
  for (int number = 0; number != SIGINT && number != SIGTERM;) {
    if (sigwait(&signals, &number) != 0) break;
    if (number == SIGHUP) (*tap)->reopen_ledger();
  }
  return tell((*tap)->stop(flags.drain_ns), flags.options.ledger);
}

std::function<Exit()> set_up(CLI::App& app) {
  const auto flags = std::make_shared<Flags>();
  harness::TapOptions& options = flags->options;
  app.add_option("--listen", options.listen, "HOST:PORT for the clients; port 0: any free one")
      ->capture_default_str();
  app.add_option("--upstream", options.upstream, "The server: http[s]://HOST:PORT[/PREFIX]")
      ->required();
  app.add_option("--ledger", options.ledger,
                 "requests.jsonl: a line for each completion and chat request, added to what is "
                 "there; no content. SIGHUP opens it anew, after a rotation")
      ->required()
      ->check(path_to_write());
  app.add_option("--ca-file", options.tls.ca_file, "https upstream: trust these certificates");
  app.add_flag("--insecure", options.tls.insecure, "https upstream: trust any certificate");
  app.add_option("--max-connections", options.connections_max, "More are closed at once")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  app.add_option("--max-body-memory", options.bodies_max_bytes,
                 "Bytes of request bodies held at most until their lines are written")
      ->check(CLI::Range(int64_t{1} << 20, int64_t{1} << 40))
      ->capture_default_str();
  add_duration_flag(app, "--shutdown-timeout", flags->drain_ns,
                    "For exchanges under way at SIGTERM");
  return [flags] { return run(*flags); };
}

}  // namespace

Verb tap_verb() {
  return {"tap", "Pass requests on to a server and write the ledger of its live clients",
          "touchstone tap --upstream http://127.0.0.1:8000 --listen 127.0.0.1:8001 "
          "--ledger requests.jsonl",
          set_up};
}

}  // namespace touchstone::cli
