#include "harness/stack/part.h"

namespace touchstone::harness {

Status Part::send_signal(int signal) {
  ChildProcess* const child = process();
  if (child == nullptr) return unavailable(title() + " is no process of this run");
  if (const auto status = child->exited()) {
    return unavailable(title() + " had already ended with " + status->text());
  }
  child->send_signal(signal);
  return {};
}

Status Part::restart() {
  return Error{ErrorCode::kUnsupported, title() + " cannot be started again", {}};
}

}  // namespace touchstone::harness
