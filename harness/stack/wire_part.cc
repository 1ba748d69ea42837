#include <utility>

#include "harness/stack/parts.h"
#include "harness/wire/error_server.h"

namespace touchstone::harness {
namespace {

constexpr size_t kGrpcLane = 0;
constexpr size_t kHttpLane = 1;

class WirePart final : public Part {
 public:
  WirePart(RunContext& run, WirePlan plan)
      : run_(run), plan_(std::move(plan)), name_(plan_.name()) {}
  ~WirePart() override { run_.wires.erase(name_); }

  const std::string& name() const override { return name_; }
  std::string title() const override { return "the wire from " + plan_.from + " to " + plan_.to; }

  Status enter(Stage stage) override {
    if (stage == Stage::kStart) return start();
    if (stage == Stage::kStop) note_counters();
    return {};
  }

  Status set_wire(const WireFault& fault) override { return wire_->set(fault); }

  Status set_answers(const AnswerFault& fault) override {
    if (gate_ != nullptr) {
      gate_->set(fault);
      return {};
    }
    if (fault == AnswerFault()) return wire_->set({});
    if (fault.http_status == 0) return Part::set_answers(fault);
    auto server =
        ErrorServer::start(fault.http_status, fault.retry_after_ns, run_.supervision.clock);
    if (!server) return std::move(server).error();
    refusing_ = std::move(*server);
    return wire_->set({.divert_port = refusing_->port()});
  }

 private:
  Status start() {
    std::vector<uint16_t> ports;
    for (size_t lane = 0; lane < (plan_.otlp ? 2 : 1); ++lane) {
      const auto port = run_.ports.take();
      if (!port) return port.error();
      ports.push_back(*port);
    }
    run_.say("putting a wire between " + plan_.from + " and " + plan_.to);
    auto wire = Wire::start(ports, run_.supervision.clock);
    if (!wire) return std::move(wire).error();
    wire_ = std::move(*wire);
    if (plan_.gate) {
      auto gate = OtlpGate::start({.hop = name_, .log = run_.hops.get()}, run_.supervision.clock);
      if (!gate) return std::move(gate).error();
      gate_ = std::move(*gate);
    }
    run_.wires[name_] = {std::move(ports), [this] { route(); }};
    return {};
  }

  /// To wherever its end is by now.
  void route() {
    if (!plan_.otlp) {
      const auto subject = run_.subject_ports.find(plan_.to);
      return wire_->route(0, subject == run_.subject_ports.end() ? uint16_t{0} : subject->second);
    }
    const bool backend = plan_.to == kBackend;
    const uint16_t grpc = backend ? run_.backend_port : run_.places.otlp_grpc_port;
    const uint16_t http = backend ? uint16_t{0} : run_.places.otlp_http_port;
    if (gate_ != nullptr) gate_->route(grpc, http);
    wire_->route(kGrpcLane, gate_ != nullptr ? gate_->grpc_port() : grpc);
    wire_->route(kHttpLane, gate_ != nullptr ? gate_->http_port() : http);
  }

  void note_counters() {
    const WireCounters counters = wire_->counters();
    if (counters.cut + counters.corrupted_bytes == 0) return;
    run_.note(title() + " had " + std::to_string(counters.connections) + " connections, cut " +
              std::to_string(counters.cut) + " and damaged " +
              std::to_string(counters.corrupted_bytes) + " bytes");
  }

  RunContext& run_;
  const WirePlan plan_;
  const std::string name_;
  std::unique_ptr<ErrorServer> refusing_;
  std::unique_ptr<OtlpGate> gate_;
  std::unique_ptr<Wire> wire_;  // last: it leads to the others
};

}  // namespace

std::unique_ptr<Part> make_wire_part(RunContext& run, const WirePlan& plan) {
  return std::make_unique<WirePart>(run, plan);
}

}  // namespace touchstone::harness
