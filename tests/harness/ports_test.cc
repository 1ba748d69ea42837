#include "harness/process/ports.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>

namespace touchstone::harness {
namespace {

/// A listening socket on 127.0.0.1:port, as servers make it: what is left of a former run's
/// connections (TIME_WAIT) is not in its way.
int listen_on(uint16_t port) {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(port);
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(descriptor, reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0 ||
      ::listen(descriptor, 1) != 0) {
    ::close(descriptor);
    return -1;
  }
  return descriptor;
}

TEST(Ports, AreDifferentFreeAndStayOursUntilGivenBack) {
  PortReservation mine;
  PortReservation other;
  std::set<uint16_t> seen;
  for (int i = 0; i < 20; ++i) {
    for (PortReservation* reservation : {&mine, &other}) {
      const auto port = reservation->take();
      ASSERT_TRUE(port);
      EXPECT_TRUE(seen.insert(*port).second) << *port << " was given twice";
    }
  }
  for (const uint16_t port : seen) {
    const int descriptor = listen_on(port);
    EXPECT_GE(descriptor, 0) << port << " was not free";
    ::close(descriptor);
  }
}

TEST(Ports, AnotherProcessDoesNotGetOurs) {
  PortReservation mine;
  const auto port = mine.take();
  ASSERT_TRUE(port);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    PortReservation theirs;
    bool same = false;
    for (int i = 0; i < 50; ++i) {
      const auto taken = theirs.take();
      same = same || !taken || *taken == *port;
    }
    ::_exit(same ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(Ports, ABusyPortIsSeen) {
  PortReservation mine;
  const auto port = mine.take();
  ASSERT_TRUE(port);
  EXPECT_FALSE(port_is_busy(*port));
  const int descriptor = listen_on(*port);
  ASSERT_GE(descriptor, 0);
  EXPECT_TRUE(port_is_busy(*port));
  ::close(descriptor);
}

}  // namespace
}  // namespace touchstone::harness
