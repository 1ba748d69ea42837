#include "harness/tap/ledger_sink.h"

#include <utility>

#include "harness/tap/sent_body.h"

namespace touchstone::harness {
namespace {

constexpr size_t kQueueMax = 65'536;

}  // namespace

LedgerSink::LedgerSink(const std::string& path, std::function<void(const std::string&)> notice)
    : file_(path), notice_(std::move(notice)), queue_(kQueueMax) {}

LedgerSink::~LedgerSink() { (void)finish(); }

Status LedgerSink::start() {
  RETURN_IF_ERROR(file_.open());
  next_index_ = file_.lines_before();
  thread_ = std::thread([this] { run(); });
  return {};
}

void LedgerSink::submit(TappedExchange exchange) {
  if (queue_.try_push(exchange)) return;
  const MutexLock lock(mutex_);
  ++counters_.lost;
}

void LedgerSink::reopen() {
  const MutexLock lock(mutex_);
  reopen_ = true;
}

LedgerSink::Counters LedgerSink::finish() {
  queue_.close();
  if (thread_.joinable()) thread_.join();
  return counters();
}

LedgerSink::Counters LedgerSink::counters() const {
  const MutexLock lock(mutex_);
  return counters_;
}

std::string LedgerSink::lines_of(std::vector<TappedExchange>& exchanges) {
  std::string lines;
  for (TappedExchange& exchange : exchanges) {
    read_sent_body(exchange.body, exchange.entry);
    exchange.entry.index = next_index_++;
    lines += records::to_json_line(exchange.entry) + '\n';
  }
  return lines;
}

void LedgerSink::lose(int64_t lines, const std::string& why) {
  {
    const MutexLock lock(mutex_);
    counters_.lost += lines;
  }
  if (!std::exchange(losing_, true)) notice_("ledger lines are being lost: " + why);
}

void LedgerSink::run() {
  for (;;) {
    std::vector<TappedExchange> exchanges = queue_.wait_and_take_all();
    if (exchanges.empty()) return;  // closed
    bool reopen = false;
    {
      const MutexLock lock(mutex_);
      reopen = std::exchange(reopen_, false);
    }
    const auto count = static_cast<int64_t>(exchanges.size());
    const std::string lines = lines_of(exchanges);
    Status status = reopen ? file_.open() : Status();
    if (status) status = file_.append(lines);
    if (!status) {
      lose(count, status.error().message);
      continue;
    }
    if (std::exchange(losing_, false)) notice_("ledger lines are written again");
    const MutexLock lock(mutex_);
    counters_.written += count;
  }
}

}  // namespace touchstone::harness
