#include "reference_engine/server/server_log.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace touchstone::server {
namespace {

constexpr size_t kQueuedLinesMax = 8192;
constexpr size_t kQuotedBytesMax = 1024;  // of a target or a method
constexpr int64_t kWarningEveryNs = 10 * kNsPerSecond;
constexpr int64_t kLookEveryNs = kNsPerSecond;
constexpr int64_t kDrainNs = kNsPerSecond;

/// On one line whatever the client sent.
std::string quoted_part(std::string_view text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text.substr(0, kQuotedBytesMax)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 0x20 && byte < 0x7f && c != '"') {
      out += c;
    } else {
      out += '%';
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    }
  }
  if (text.size() > kQuotedBytesMax) out += "...";
  return out;
}

}  // namespace

std::string access_line(const http::HttpExchange& exchange) {
  return "INFO:     " + exchange.client + " - \"" + quoted_part(exchange.method) + " " +
         quoted_part(exchange.target) + (exchange.http_1_0 ? " HTTP/1.0\" " : " HTTP/1.1\" ") +
         std::to_string(exchange.status) + " " + std::string(http::reason_phrase(exchange.status));
}

ServerLog::ServerLog(const ServerLogOptions& options, const Clock& clock, const Write& write,
                     std::function<void()> look)
    : options_(options), clock_(clock), write_(write), look_(std::move(look)) {
  thread_ = std::thread([this] { run(); });
}

ServerLog::~ServerLog() {
  {
    const MutexLock lock(mutex_);
    ended_ = true;
    ended_ns_ = clock_.monotonic_ns();
  }
  changed_.notify_one();
  thread_.join();
}

void ServerLog::add(std::string line) {
  if (lines_.size() == kQueuedLinesMax) {
    dropped_ += 1;
    return;
  }
  lines_.push_back(std::move(line));
  changed_.notify_one();
}

void ServerLog::warn(const std::string& kind, const std::string& text) {
  const int64_t now_ns = clock_.monotonic_ns();
  const MutexLock lock(mutex_);
  const auto [place, is_new] = kinds_.try_emplace(kind);
  Kind& known = place->second;
  if (!is_new && now_ns - known.last_ns < kWarningEveryNs) {
    known.left_out += 1;
    return;
  }
  std::string line = "WARNING:  " + text;
  if (known.left_out > 0) line += " (and " + format_count(known.left_out) + " more like it)";
  known = {.last_ns = now_ns, .left_out = 0};
  add(std::move(line));
}

void ServerLog::on_response_start(const http::HttpExchange& exchange) {
  if (!options_.access || exchange.method.empty()) return;  // no method: the bytes were no request
  const std::string path = exchange.target.substr(0, exchange.target.find('?'));
  if (std::find(options_.quiet_paths.begin(), options_.quiet_paths.end(), path) !=
      options_.quiet_paths.end()) {
    return;
  }
  std::string line = access_line(exchange);
  const MutexLock lock(mutex_);
  add(std::move(line));
}

void ServerLog::on_problem(const http::HttpExchange& exchange, const std::string& why) {
  warn("http " + std::to_string(exchange.status), exchange.client + ": " + why);
}

/// Tries again while there is no room, until the time after the end is over.
bool ServerLog::write_in_time(const std::string& line) {
  for (;;) {
    {
      const MutexLock lock(mutex_);
      if (ended_ && clock_.monotonic_ns() - ended_ns_ >= kDrainNs) return false;
    }
    if (write_(line)) return true;
  }
}

void ServerLog::run() {
  int64_t looked_ns = clock_.monotonic_ns();
  int64_t dropped = 0;  // and not told yet
  for (bool ended = false; !ended;) {
    std::vector<std::string> lines;
    {
      const MutexLock lock(mutex_);
      changed_.wait_for(mutex_, kLookEveryNs,
                        [this]() REQUIRES(mutex_) { return ended_ || !lines_.empty(); });
      lines.swap(lines_);
      dropped += std::exchange(dropped_, 0);
      ended = ended_;
    }
    for (const std::string& line : lines) {
      if (!write_in_time(line)) dropped += 1;
    }
    if (dropped > 0 && write_("WARNING:  " + format_count(dropped) + " log lines did not fit")) {
      dropped = 0;
    }
    if (clock_.monotonic_ns() - looked_ns >= kLookEveryNs) {
      looked_ns = clock_.monotonic_ns();
      look_();
    }
  }
}

}  // namespace touchstone::server
