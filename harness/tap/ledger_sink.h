// Ledger lines on a thread of their own, so that neither a slow disk nor a large body is waited for
// where bytes are passed on. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <thread>

#include "base/bounded_queue.h"
#include "base/mutex.h"
#include "base/result.h"
#include "harness/append_file.h"
#include "http/byte_budget.h"
#include "records/ledger.h"

namespace touchstone::harness {

/// An exchange that is over.
struct TappedExchange {
  records::LedgerEntry entry;
  std::string body;  ///< of the request, for read_sent_body()
  http::ByteBudget::Lease memory = {};
};

class LedgerSink final {
 public:
  struct Counters {
    int64_t written = 0;
    int64_t lost = 0;  ///< the queue was full, or the file could not be written
  };

  /// `notice` is called on the sink's thread, once when lines begin to be lost and once when they
  /// are no longer.
  LedgerSink(const std::string& path, std::function<void(const std::string&)> notice);
  /// As finish().
  ~LedgerSink();

  /// ERRORS: as AppendFile::open(). Starts the thread; `i` of the ledger goes on after what is
  /// there.
  Status start();
  /// Never waits.
  void submit(TappedExchange exchange);
  /// The next line goes to the file that is at the path then.
  void reopen();
  /// Writes what is queued and ends the thread. Nothing is taken afterwards.
  Counters finish();
  Counters counters() const;

 private:
  void run();
  std::string lines_of(std::vector<TappedExchange>& exchanges);
  void lose(int64_t lines, const std::string& why);

  AppendFile file_;  // the thread's own
  const std::function<void(const std::string&)> notice_;
  int64_t next_index_ = 0;
  bool losing_ = false;
  BoundedQueue<TappedExchange> queue_;
  mutable Mutex mutex_;
  Counters counters_ GUARDED_BY(mutex_);
  bool reopen_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace touchstone::harness
