#include "reference_engine/server/line_output.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

namespace touchstone::server {
namespace {

constexpr int kWaitMs = 100;

/// For a pipe: that PIPE_BUF bytes fit.
bool wait_for_room(int descriptor, int timeout_ms) {
  pollfd look{.fd = descriptor, .events = POLLOUT, .revents = 0};
  return ::poll(&look, 1, timeout_ms) > 0;
}

}  // namespace

bool LineOutput::write(const std::string& line) {
  std::string text = line.substr(0, PIPE_BUF - 1);
  text += '\n';
  if (!wait_for_room(descriptor_, kWaitMs)) return false;
  const MutexLock lock(mutex_);
  if (!wait_for_room(descriptor_, 0)) return false;  // another line took it
  for (size_t done = 0; done < text.size();) {
    const ssize_t wrote = ::write(descriptor_, text.data() + done, text.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) break;
    done += static_cast<size_t>(wrote);
    if (done < text.size() && !wait_for_room(descriptor_, kWaitMs)) break;
  }
  return true;
}

}  // namespace touchstone::server
