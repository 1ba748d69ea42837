#include "cli/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "base/text.h"

namespace touchstone::cli {
namespace {

// Short runs say nothing.
constexpr int64_t kFirstNs = kNsPerSecond;
constexpr int64_t kInPlaceNs = kNsPerSecond / 5;
constexpr int64_t kLineNs = 10 * kNsPerSecond;

}  // namespace

std::string progress_text(int64_t done, std::optional<int64_t> total, const std::string& what,
                          int64_t elapsed_ns) {
  std::string text = format_count(done);
  if (total) text += " of " + format_count(*total);
  text += " " + what;
  const double seconds = to_seconds(elapsed_ns);
  if (done < 1 || !(seconds > 0)) return text;
  const double rate = static_cast<double>(done) / seconds;
  text += ", " + (rate < 10 ? format_fixed(rate, 1) : format_count(std::llround(rate))) + "/s";
  if (total && *total > done) {
    const double left_s = static_cast<double>(*total - done) / rate;
    text += ", " + format_duration(std::llround(left_s) * kNsPerSecond) + " left";
  }
  return text;
}

Progress::Progress(std::string verb, std::string what, std::optional<int64_t> total)
    : verb_(std::move(verb)),
      what_(std::move(what)),
      total_(total),
      in_place_(isatty(STDERR_FILENO) != 0),
      start_ns_(clock_.monotonic_ns()),
      next_ns_(start_ns_ + (in_place_ ? kFirstNs : kLineNs)) {}

Progress::~Progress() {
  if (width_ > 0) std::fputc('\n', stderr);
}

void Progress::update(int64_t done) {
  const int64_t now_ns = clock_.monotonic_ns();
  if (now_ns < next_ns_ && !(width_ > 0 && total_ && done == *total_)) return;
  next_ns_ = now_ns + (in_place_ ? kInPlaceNs : kLineNs);
  const std::string text = verb_ + ": " + progress_text(done, total_, what_, now_ns - start_ns_);
  if (!in_place_) {
    std::fprintf(stderr, "%s\n", text.c_str());
    return;
  }
  const int pad = static_cast<int>(width_ > text.size() ? width_ - text.size() : 0);
  std::fprintf(stderr, "\r%s%*s", text.c_str(), pad, "");
  std::fflush(stderr);
  width_ = std::max(width_, text.size());
}

}  // namespace touchstone::cli
