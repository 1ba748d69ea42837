#include "harness/load/generator.h"

#include <fcntl.h>

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <numeric>
#include <optional>

#include "base/files.h"
#include "harness/load/connection.h"
#include "harness/load/exchange.h"
#include "harness/load/planned.h"
#include "http/asio_names.h"
#include "http/url.h"
#include "records/trace_context.h"

namespace touchstone::harness {
namespace {

class Generator final {
 public:
  Generator(const std::vector<LoadTarget>& targets, const LoadOptions& options, const Clock& clock,
            LineWriter& ledger)
      : targets_(targets), options_(options), clock_(clock), ledger_(ledger), slot_free_(loop_) {}

  Result<LoadOutcome> run() {
    RETURN_IF_ERROR(prepare());
    start_ns_ = clock_.monotonic_ns();
    outcome_.start_unix_ns = clock_.unix_ns();
    if (total() == 0) loop_.stop();
    asio::co_spawn(loop_, dispatch(), asio::detached);
    for (const auto& server : servers_) {
      for (int64_t i = 0; i < server->target->clients.value_or(0); ++i) {
        asio::co_spawn(loop_, be_client(*server), asio::detached);
      }
    }
    asio::co_spawn(loop_, act(), asio::detached);
    asio::co_spawn(loop_, report_progress(), asio::detached);
    for (const Watch& watch : options_.watches) asio::co_spawn(loop_, look(watch), asio::detached);
    loop_.run();
    give_up_the_rest();
    outcome_.duration_ns = elapsed_ns();
    put_in_order();
    if (options_.on_progress) options_.on_progress({sent_, done_, total(), elapsed_ns()});
    outcome_.actions_not_reached = static_cast<int64_t>(options_.actions.size()) - actions_done_;
    RETURN_IF_ERROR(ledger_.close());
    if (stopped_) return std::move(*stopped_);
    return std::move(outcome_);
  }

 private:
  int64_t elapsed_ns() const { return clock_.monotonic_ns() - start_ns_; }
  int64_t total() const { return static_cast<int64_t>(requests_.size()); }
  std::chrono::nanoseconds until(int64_t offset_ns) const {
    return std::chrono::nanoseconds(std::max<int64_t>(0, offset_ns - elapsed_ns()));
  }

  /// A server with its connections.
  struct Server {
    const LoadTarget* target = nullptr;
    http::Url url;
    http::Endpoint endpoint;
    std::vector<std::unique_ptr<Connection>> idle = {};
    size_t next = 0;  ///< in a closed loop: of all requests, the first that nobody has taken
  };
  struct Planned {
    const workload::Request* request = nullptr;
    Server* server = nullptr;
    records::LedgerEntry entry;
    ClientManner manner;
  };

  Status prepare() {
    std::vector<Planned> planned;
    for (const LoadTarget& target : targets_) {
      auto server = make_server(target);
      if (!server) return std::move(server).error();
      plan(**server, planned);
      servers_.push_back(std::move(*server));
    }
    std::stable_sort(planned.begin(), planned.end(), [](const Planned& a, const Planned& b) {
      return a.entry.intended_ns < b.entry.intended_ns;
    });
    for (Planned& one : planned) {
      one.entry.index = static_cast<int64_t>(requests_.size());
      requests_.push_back(one.request);
      server_of_.push_back(one.server);
      manners_.push_back(one.manner);
      outcome_.sent.push_back({one.server->target, one.request});
      outcome_.entries.push_back(std::move(one.entry));
    }
    ended_.assign(requests_.size(), false);
    return {};
  }

  Result<std::unique_ptr<Server>> make_server(const LoadTarget& target) {
    auto url = http::parse_url(target.url);
    if (!url) return std::move(url).error();
    auto server = std::make_unique<Server>();
    server->target = &target;
    server->url = std::move(*url);
    auto endpoint = http::resolve_endpoint(server->url, target.access.tls);
    if (!endpoint) return std::move(endpoint).error();
    server->endpoint = std::move(*endpoint);
    return server;
  }

  void plan(Server& server, std::vector<Planned>& planned) {
    auto entries = planned_entries(*server.target, servers_.size());
    const auto manners = planned_manners(*server.target, servers_.size());
    for (size_t i = 0; i < entries.size(); ++i) {
      planned.push_back(
          {&server.target->workload->requests[i], &server, std::move(entries[i]), manners[i]});
    }
  }

  /// Ends the load early: what is in flight is given up when the loop stops.
  void stop(Error error) {
    if (!stopped_) stopped_ = std::move(error);
    loop_.stop();
  }

  void finish_if_all_done() {
    if (done_ == total()) loop_.stop();
  }

  void record(size_t index) {
    ended_[index] = true;
    ++done_;
    Status written = ledger_.write(records::to_json_line(outcome_.entries[index]));
    if (written) written = ledger_.flush();
    if (!written) stop(std::move(written).error());
    finish_if_all_done();
  }

  void give_up_the_rest() {
    for (size_t i = 0; i < ended_.size(); ++i) {
      records::LedgerEntry& entry = outcome_.entries[i];
      if (ended_[i] || entry.sent_unix_ns == 0) continue;
      entry.outcome = records::ClientOutcome::kFailed;
      entry.error = "given up: the load was stopped";
      (void)ledger_.write(records::to_json_line(entry));
    }
  }

  /// A closed loop's requests were intended when they were sent.
  void put_in_order() {
    std::vector<size_t> order(outcome_.entries.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [this](size_t a, size_t b) {
      return outcome_.entries[a].intended_ns < outcome_.entries[b].intended_ns;
    });
    LoadOutcome sorted;
    for (const size_t i : order) {
      outcome_.entries[i].index = std::ssize(sorted.entries);
      sorted.entries.push_back(std::move(outcome_.entries[i]));
      sorted.sent.push_back(outcome_.sent[i]);
    }
    outcome_.entries = std::move(sorted.entries);
    outcome_.sent = std::move(sorted.sent);
  }

  /// One client of a closed loop.
  asio::awaitable<void> be_client(Server& server) {
    for (;;) {
      while (server.next < requests_.size() && server_of_[server.next] != &server) ++server.next;
      if (server.next == requests_.size()) co_return;
      const size_t mine = server.next++;
      outcome_.entries[mine].intended_ns = elapsed_ns();
      ++active_;
      ++sent_;
      co_await send(mine);
    }
  }

  asio::awaitable<void> dispatch() {
    asio::steady_timer timer(loop_);
    for (size_t i = 0; i < requests_.size(); ++i) {
      if (server_of_[i]->target->clients) continue;
      timer.expires_after(until(requests_[i]->arrival_ns));
      co_await timer.async_wait(kAwait);
      while (active_ >= options_.connections_max) {
        slot_free_.expires_at(asio::steady_timer::time_point::max());
        co_await slot_free_.async_wait(kAwait);
      }
      ++active_;
      ++sent_;
      asio::co_spawn(loop_, send(i), asio::detached);
    }
  }

  asio::awaitable<void> act() {
    asio::steady_timer timer(loop_);
    for (const TimedAction& action : options_.actions) {
      timer.expires_after(until(action.at_ns));
      co_await timer.async_wait(kAwait);
      action.run();
      ++actions_done_;
    }
  }

  asio::awaitable<void> report_progress() {
    asio::steady_timer timer(loop_);
    while (options_.on_progress) {
      options_.on_progress({sent_, done_, total(), elapsed_ns()});
      timer.expires_after(std::chrono::seconds(1));
      co_await timer.async_wait(kAwait);
    }
  }

  asio::awaitable<void> look(const Watch& watch) {
    // A copy, because Asio closes its own.
    const int copy = ::fcntl(watch.descriptor, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) co_return;
    asio::posix::stream_descriptor descriptor(loop_, copy);
    co_await descriptor.async_wait(asio::posix::stream_descriptor::wait_read, kAwait);
    Status status = watch.readable();
    if (!status) stop(std::move(status).error());
  }

  /// An idle connection that is still open, or a new one.
  std::unique_ptr<Connection> connection_to(Server& server) {
    while (!server.idle.empty()) {
      auto connection = std::move(server.idle.back());
      server.idle.pop_back();
      if (connection->stream().is_fresh(clock_.monotonic_ns())) return connection;
    }
    return std::make_unique<Connection>(loop_, server.endpoint);
  }

  Connection::Message message_for(size_t index) {
    const workload::Request& request = *requests_[index];
    const Server& server = *server_of_[index];
    records::LedgerEntry& entry = outcome_.entries[index];
    Connection::Message message(beast_http::verb::post, server.url.path + entry.endpoint, 11);
    message.set(beast_http::field::host, server.url.authority());
    message.set(beast_http::field::user_agent, "touchstone-load");
    message.set(beast_http::field::accept,
                request.stream ? "text/event-stream" : "application/json");
    message.set(beast_http::field::content_type, "application/json");
    message.set("traceparent",
                records::format_traceparent(entry.trace_id, entry.span_id, entry.sampled ? 1 : 0));
    for (const auto& [name, value] : server.target->access.headers) message.set(name, value);
    RequestBody body = request_body(request, server.target->model, options_.vocab_size);
    entry.parameters = std::move(body.parameters);
    message.body() = std::move(body.text);
    message.prepare_payload();
    return message;
  }

  asio::awaitable<void> send(size_t index) {
    const workload::Request& request = *requests_[index];
    Server& server = *server_of_[index];
    records::LedgerEntry& entry = outcome_.entries[index];
    const bool keep_text = server.target->samples.contains(request.name);
    ResponseReader reader(entry, request.hang_up_after_chunks.value_or(-1), keep_text);
    const Connection::Message message = message_for(index);
    const int64_t sent_ns = clock_.monotonic_ns();
    entry.sent_unix_ns = clock_.unix_ns();
    std::unique_ptr<Connection> connection = connection_to(server);
    const ClientManner& manner = manners_[index];
    const int64_t leaves_ns = std::min(request.timeout_ns.value_or(INT64_MAX),
                                       manner.leaves_after_ns.value_or(INT64_MAX));
    const int64_t patience_ns = std::min(server.target->timeout_ns, leaves_ns);
    connection->stream().expires_after(patience_ns);
    const std::string problem =
        co_await connection->exchange(message, reader, clock_, sent_ns, manner.read_pause_ns);
    const int64_t took_ns = clock_.monotonic_ns() - sent_ns;
    const bool left = leaves_ns == patience_ns && took_ns >= patience_ns;
    if (!problem.empty() && left) reader.on_hang_up(took_ns);
    if (!problem.empty() && !left) reader.on_failure(problem, took_ns);
    const bool clean = entry.outcome == records::ClientOutcome::kCompleted ||
                       entry.outcome == records::ClientOutcome::kRefused;
    if (clean && connection->can_be_kept()) {
      connection->stream().set_idle(clock_.monotonic_ns());
      server.idle.push_back(std::move(connection));
    } else {
      connection->stream().close();
    }
    --active_;
    slot_free_.cancel();
    record(index);
  }

  const std::vector<LoadTarget>& targets_;
  const LoadOptions& options_;
  const Clock& clock_;
  LineWriter& ledger_;
  std::vector<const workload::Request*> requests_;  ///< by index
  std::vector<Server*> server_of_;                  ///< by index
  std::vector<ClientManner> manners_;               ///< by index
  LoadOutcome outcome_;
  std::vector<bool> ended_;
  int64_t start_ns_ = 0;
  int64_t active_ = 0;
  int64_t sent_ = 0;
  int64_t done_ = 0;
  int64_t actions_done_ = 0;
  std::optional<Error> stopped_;
  asio::io_context loop_{1};  // before what uses it, so that it outlives it
  asio::steady_timer slot_free_;
  std::vector<std::unique_ptr<Server>> servers_;
};

}  // namespace

Result<LoadOutcome> run_load(const std::vector<LoadTarget>& targets, const LoadOptions& options,
                             const Clock& clock) {
  auto ledger = LineWriter::open(options.ledger_path);
  if (!ledger) return std::move(ledger).error();
  auto generator = std::make_unique<Generator>(targets, options, clock, **ledger);
  auto outcome = generator->run();
  if (!outcome) return outcome;
  std::string ordered;
  for (const records::LedgerEntry& entry : outcome->entries) {
    ordered += records::to_json_line(entry) + "\n";
  }
  RETURN_IF_ERROR(write_file_atomic(options.ledger_path, ordered));
  return outcome;
}

}  // namespace touchstone::harness
