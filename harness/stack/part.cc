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

namespace {

Status cannot(const Part& part, const std::string& what) {
  return Error{ErrorCode::kUnsupported, part.title() + " " + what, {}};
}

}  // namespace

Status Part::restart() { return cannot(*this, "cannot be started again"); }
Status Part::set_wire(const WireFault&) { return cannot(*this, "is no wire"); }
Status Part::set_answers(const AnswerFault&) { return cannot(*this, "answers nobody"); }
Status Part::fill_disk() { return cannot(*this, "has no disk of its own"); }
Status Part::free_disk() { return cannot(*this, "has no disk of its own"); }

}  // namespace touchstone::harness
