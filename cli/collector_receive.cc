#include "cli/collector_receive.h"

#include <pthread.h>

#include <csignal>
#include <cstdio>

#include "base/text.h"
#include "cli/output.h"
#include "harness/collector/embedded.h"

namespace touchstone::cli {

Exit receive_spans(const ReceiveFlags& flags) {
  const size_t colon = flags.listen.rfind(':');
  const auto port = parse_int(flags.listen.substr(colon == std::string::npos ? 0 : colon + 1));
  const bool local = colon == std::string::npos || flags.listen.substr(0, colon) == "127.0.0.1";
  if (!port || *port < 1 || *port > 65535 || !local) {
    return report_error(invalid_argument("collector receive: --listen: got " + quote(flags.listen) +
                                         ", expected 127.0.0.1:PORT"));
  }
  // Blocked before any thread starts, so that they come here.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGINT, SIGTERM}) sigaddset(&signals, number);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  auto receiver = harness::EmbeddedCollector::start(static_cast<uint16_t>(*port), flags.spans);
  if (!receiver) return report_error(Error(receiver.error()).with_context("collector receive"));
  std::fprintf(stderr, "collector receive: ready: OTLP/gRPC on 127.0.0.1:%lld, spans to %s\n",
               static_cast<long long>(*port), flags.spans.c_str());
  int number = 0;
  sigwait(&signals, &number);
  const Status stopped = (*receiver)->stop();
  if (!stopped) return report_error(Error(stopped.error()).with_context("collector receive"));
  return Exit::kGood;
}

}  // namespace touchstone::cli
