#include "tests/harness/tiny_server.h"

#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <nlohmann/json.hpp>

namespace touchstone::harness {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;

constexpr int kStreamChunks = 20;

std::string chunked(const std::string& data) {
  char size[32];
  std::snprintf(size, sizeof size, "%zx\r\n", data.size());
  return size + data + "\r\n";
}

bool write(tcp::socket& socket, const std::string& bytes) {
  beast::error_code error;
  asio::write(socket, asio::buffer(bytes), error);
  return !error;
}

/// False when the client went away.
bool stream(tcp::socket& socket, int chunks, bool whole) {
  if (!write(socket,
             "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
             "Transfer-Encoding: chunked\r\n\r\n")) {
    return false;
  }
  for (int i = 0; i < chunks; ++i) {
    const nlohmann::json chunk = {{"id", "cmpl-1"},
                                  {"choices", {{{"index", 0}, {"text", "x" + std::to_string(i)}}}}};
    if (!write(socket, chunked("data: " + chunk.dump() + "\n\n"))) return false;
  }
  if (!whole) return true;
  const nlohmann::json usage = {{"choices", nlohmann::json::array()},
                                {"usage", {{"prompt_tokens", 2}, {"completion_tokens", chunks}}}};
  return write(socket, chunked("data: " + usage.dump() + "\n\n") + chunked("data: [DONE]\n\n") +
                           chunked(""));
}

std::string response(int status, const std::string& body, bool close) {
  return "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Type: application/json\r\n" +
         (close ? "Connection: close\r\n" : "") + "Content-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

constexpr char kWhole[] =
    R"({"id":"cmpl-2","choices":[{"index":0,"text":"hello","finish_reason":"stop"}],)"
    R"("usage":{"prompt_tokens":2,"completion_tokens":1}})";
constexpr char kRefusal[] = R"({"error":{"type":"BadRequestError","message":"no","code":400}})";

}  // namespace

struct TinyServer::Socket {
  explicit Socket(asio::io_context& loop) : stream(loop) {}
  tcp::socket stream;
  void shut_down() { ::shutdown(stream.native_handle(), SHUT_RDWR); }
};

struct TinyServer::Listener {
  asio::io_context loop;
  tcp::acceptor acceptor{loop, tcp::endpoint(asio::ip::address_v4::loopback(), 0)};
};

TinyServer::TinyServer(bool close_after_each)
    : listener_(std::make_unique<Listener>()), close_after_each_(close_after_each) {
  port_ = listener_->acceptor.local_endpoint().port();
  acceptor_ = std::thread([this] { accept_all(); });
}

TinyServer::~TinyServer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const auto& socket : sockets_) socket->shut_down();
  }
  ::shutdown(listener_->acceptor.native_handle(), SHUT_RDWR);  // ends the blocking accept
  acceptor_.join();
  for (std::thread& thread : threads_) thread.join();
}

void TinyServer::accept_all() {
  for (;;) {
    auto socket = std::make_shared<Socket>(listener_->loop);
    beast::error_code error;
    listener_->acceptor.accept(socket->stream, error);
    const std::lock_guard lock(mutex_);
    if (error || stopping_) return;
    ++connections_;
    sockets_.push_back(socket);
    threads_.emplace_back([this, socket] { serve(socket); });
  }
}

void TinyServer::serve(const std::shared_ptr<Socket>& socket) {
  beast::flat_buffer buffer;
  for (;;) {
    http::request<http::string_body> request;
    beast::error_code error;
    http::read(socket->stream, buffer, request, error);
    if (error) break;
    ++requests_;
    {
      const std::lock_guard lock(mutex_);
      trace_parents_.emplace_back(request["traceparent"]);
      bodies_.push_back(request.body());
    }
    const auto body = nlohmann::json::parse(request.body(), nullptr, false);
    const std::string prompt =
        body.is_object() && body.contains("prompt") && body["prompt"].is_string()
            ? body["prompt"].get<std::string>()
            : "refuse";
    bool go_on = !close_after_each_;
    if (prompt == "stream") {
      if (!stream(socket->stream, kStreamChunks, true)) go_on = false;
    } else if (prompt == "endless") {
      // More than any socket buffer holds, so that a client that went away is noticed.
      go_on = stream(socket->stream, 1 << 20, true);
      if (!go_on) ++hang_ups_;
    } else if (prompt == "cut") {
      stream(socket->stream, 3, false);
      go_on = false;
    } else if (prompt == "silent") {
      http::read(socket->stream, buffer, request, error);  // until the client gives up
      go_on = false;
    } else if (prompt == "drop") {
      go_on = false;
    } else if (prompt == "garbage") {
      write(socket->stream, "this is not HTTP\r\n\r\n");
      go_on = false;
    } else if (prompt == "refuse") {
      write(socket->stream, response(400, kRefusal, close_after_each_));
    } else {
      write(socket->stream, response(200, kWhole, close_after_each_));
    }
    if (!go_on) break;
  }
  socket->shut_down();
}

std::vector<std::string> TinyServer::trace_parents() {
  const std::lock_guard lock(mutex_);
  return trace_parents_;
}

std::vector<std::string> TinyServer::bodies() {
  const std::lock_guard lock(mutex_);
  return bodies_;
}

}  // namespace touchstone::harness
