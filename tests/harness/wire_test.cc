#include "harness/wire/wire.h"

#include <gtest/gtest.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <string>
#include <thread>
#include <vector>

#include "harness/process/ports.h"
#include "http/asio_names.h"

namespace touchstone::harness {
namespace {

constexpr int64_t kSoonMs = 20'000;  // a deadline that only a hang reaches

/// Answers every byte with itself, a thread a connection.
class EchoServer final {
 public:
  EchoServer() : acceptor_(loop_, {asio::ip::address_v4::loopback(), 0}) {
    thread_ = std::thread([this] {
      for (;;) {
        error_code error;
        tcp::socket socket(loop_);
        acceptor_.accept(socket, error);
        if (error || stopping_) return;
        threads_.emplace_back([peer = std::move(socket)]() mutable {
          std::string buffer(65536, '\0');
          for (error_code problem; !problem;) {
            const size_t count = peer.read_some(asio::buffer(buffer), problem);
            if (!problem) asio::write(peer, asio::buffer(buffer.data(), count), problem);
          }
        });
      }
    });
  }
  ~EchoServer() {
    stopping_ = true;
    error_code ignored;
    tcp::socket last(loop_);
    last.connect(acceptor_.local_endpoint(), ignored);
    thread_.join();
    last.close(ignored);
    for (std::thread& thread : threads_) thread.join();
  }
  uint16_t port() const { return acceptor_.local_endpoint().port(); }

 private:
  asio::io_context loop_;
  tcp::acceptor acceptor_;
  std::atomic<bool> stopping_ = false;
  std::vector<std::thread> threads_;
  std::thread thread_;
};

/// A connection to a port, with deadlines on what it waits for.
class Client final {
 public:
  explicit Client(uint16_t port) : socket_(loop_) {
    socket_.connect({asio::ip::address_v4::loopback(), port}, error_);
  }
  bool connected() const { return !error_; }
  bool send(const std::string& bytes) {
    asio::write(socket_, asio::buffer(bytes), error_);
    return !error_;
  }
  /// What came until there are `count` bytes, the end, or the deadline.
  std::string receive(size_t count, int64_t within_ms = kSoonMs) {
    std::string bytes(count, '\0');
    size_t got = 0;
    asio::async_read(socket_, asio::buffer(bytes), [&](const error_code& error, size_t read) {
      error_ = error;
      got = read;
    });
    loop_.restart();
    loop_.run_for(std::chrono::milliseconds(within_ms));
    if (!loop_.stopped()) {
      socket_.cancel();
      loop_.run();
    }
    return bytes.substr(0, got);
  }
  error_code error() const { return error_; }

 private:
  asio::io_context loop_;
  tcp::socket socket_;
  error_code error_;
};

class Wires : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto port = ports_.take();
    ASSERT_TRUE(port);
    port_ = *port;
    auto wire = Wire::start({port_}, clock_);
    ASSERT_TRUE(wire) << wire.error().message;
    wire_ = std::move(*wire);
    wire_->route(0, server_.port());
  }
  /// True when a new connection has its bytes back.
  bool passes() {
    Client client(port_);
    return client.send("hello") && client.receive(5) == "hello";
  }

  const RealClock clock_;
  PortReservation ports_;
  EchoServer server_;
  uint16_t port_ = 0;
  std::unique_ptr<Wire> wire_;  // first to go: it holds connections to the server
};

TEST_F(Wires, PassesEverythingInOrderBothWays) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += std::to_string(i) + ",";
  Client client(port_);
  std::thread sender([&] { EXPECT_TRUE(client.send(text)); });
  sender.join();
  EXPECT_EQ(client.receive(text.size()), text);
  EXPECT_EQ(wire_->counters().cut, 0);
}

TEST_F(Wires, RefusesAndComesBack) {
  Client open(port_);
  ASSERT_TRUE(open.send("x"));
  ASSERT_EQ(open.receive(1), "x");
  ASSERT_TRUE(wire_->set({.refuse = true}));
  EXPECT_EQ(open.receive(1), "");
  EXPECT_EQ(open.error(), asio::error::connection_reset);
  EXPECT_EQ(Client(port_).error(), asio::error::connection_refused);
  ASSERT_TRUE(wire_->set({}));
  EXPECT_TRUE(passes());
}

TEST_F(Wires, HalfOpenTakesBytesAndTellsNobody) {
  Client open(port_);
  ASSERT_TRUE(open.send("x"));
  ASSERT_EQ(open.receive(1), "x");
  ASSERT_TRUE(wire_->set({.half_open = true}));
  Client late(port_);
  ASSERT_TRUE(late.connected());
  ASSERT_TRUE(open.send("y") && late.send("y"));
  EXPECT_EQ(open.receive(1, 100), "") << "no answer";
  EXPECT_EQ(open.error(), asio::error::operation_aborted) << "and no end either";
  EXPECT_EQ(late.receive(1, 100), "");
  EXPECT_EQ(late.error(), asio::error::operation_aborted);
  ASSERT_TRUE(wire_->set({}));
  EXPECT_EQ(open.receive(1), "");
  EXPECT_EQ(open.error(), asio::error::connection_reset) << "whoever comes back knows of nothing";
  EXPECT_TRUE(passes());
}

TEST_F(Wires, SlowIsLateEachWayAndKeepsItsRate) {
  ASSERT_TRUE(wire_->set({.latency_ns = 50 * kNsPerMs}));
  Client client(port_);
  int64_t start = clock_.monotonic_ns();
  ASSERT_TRUE(client.send("x"));
  ASSERT_EQ(client.receive(1), "x");
  EXPECT_GE(clock_.monotonic_ns() - start, 100 * kNsPerMs) << "there and back";
  ASSERT_TRUE(wire_->set({.bytes_per_s = 100'000}));
  start = clock_.monotonic_ns();
  const std::string text(20'000, 'x');
  ASSERT_TRUE(client.send(text));
  ASSERT_EQ(client.receive(text.size()), text);
  // All but the first slice of 20 ms waited for the rate.
  EXPECT_GE(clock_.monotonic_ns() - start, 180 * kNsPerMs);
}

TEST_F(Wires, ResetsBehindExactlySoManyBytes) {
  ASSERT_TRUE(wire_->set({.reset_after_bytes = 15}));
  Client client(port_);
  ASSERT_TRUE(client.send("0123456789"));
  EXPECT_EQ(client.receive(10), "01234") << "10 there, 5 back";
  EXPECT_EQ(client.error(), asio::error::connection_reset);
  EXPECT_EQ(wire_->counters().cut, 1);
}

TEST_F(Wires, CorruptsOneByteInSoMany) {
  ASSERT_TRUE(wire_->set({.corrupt_every_bytes = 4}));
  Client client(port_);
  ASSERT_TRUE(client.send("aaaaaa"));
  ASSERT_EQ(client.receive(6), std::string("aaa") + static_cast<char>(~'a') + "aa");
  ASSERT_TRUE(client.send("aaaa"));
  EXPECT_EQ(client.receive(4), std::string("a") + static_cast<char>(~'a') + "aa")
      << "counted over the connection, not over pieces";
  EXPECT_EQ(wire_->counters().corrupted_bytes, 2);
}

TEST_F(Wires, DivertsNewConnectionsAndCutsTheOthers) {
  const EchoServer other;
  Client open(port_);
  ASSERT_TRUE(open.send("x"));
  ASSERT_EQ(open.receive(1), "x");
  wire_->route(0, 1);  // nobody
  ASSERT_TRUE(wire_->set({.divert_port = other.port()}));
  EXPECT_EQ(open.receive(1), "");
  EXPECT_TRUE(passes());
  ASSERT_TRUE(wire_->set({}));
  EXPECT_FALSE(passes()) << "nobody is where it belongs";
}

TEST_F(Wires, APortThatIsTakenIsSaid) {
  const auto second = Wire::start({port_}, clock_);
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message.find(std::to_string(port_)), std::string::npos);
}

}  // namespace
}  // namespace touchstone::harness
