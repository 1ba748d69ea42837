#include "tests/support/http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/text.h"

namespace touchstone::testing {

std::string HttpAnswer::header(const std::string& name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

bool HttpAnswer::has_header(const std::string& name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return true;
  }
  return false;
}

HttpClient::HttpClient(uint16_t port, int timeout_s) {
  socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  set_timeouts(timeout_s);
  const int on = 1;
  ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) close();
}

HttpClient::HttpClient(const std::string& path, int timeout_s) {
  socket_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  set_timeouts(timeout_s);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) close();
}

void HttpClient::set_timeouts(int timeout_s) {
  const timeval timeout{.tv_sec = timeout_s, .tv_usec = 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
}

HttpClient::~HttpClient() { close(); }

HttpClient::HttpClient(HttpClient&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)),
      buffer_(std::move(other.buffer_)),
      problem_(std::move(other.problem_)) {}

void HttpClient::close() {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
}

void HttpClient::set_small_receive_buffer() {
  const int bytes = 4096;
  ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

void HttpClient::shut_down_sending() { ::shutdown(socket_, SHUT_WR); }

bool HttpClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

bool HttpClient::receive() {
  char bytes[16384];
  const ssize_t got = ::recv(socket_, bytes, sizeof bytes, 0);
  if (got > 0) {
    buffer_.append(bytes, static_cast<size_t>(got));
    return true;
  }
  problem_ = got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? "timeout" : "closed";
  return false;
}

bool HttpClient::read_line(std::string& line) {
  size_t end = 0;
  while ((end = buffer_.find("\r\n")) == std::string::npos) {
    if (!receive()) return false;
  }
  line = buffer_.substr(0, end);
  buffer_.erase(0, end + 2);
  return true;
}

bool HttpClient::read_bytes(size_t count, std::string& into) {
  while (buffer_.size() < count) {
    if (!receive()) return false;
  }
  into.append(buffer_, 0, count);
  buffer_.erase(0, count);
  return true;
}

HttpAnswer HttpClient::read(bool head_only, size_t chunks_max) {
  HttpAnswer answer;
  problem_.clear();
  std::string line;
  const auto failed = [&](std::string problem) {
    answer.problem = std::move(problem);
    return answer;
  };
  if (!read_line(line)) return failed(problem_);
  if (line.size() < 12 || line.rfind("HTTP/1.1 ", 0) != 0) return failed("status line: " + line);
  answer.status = static_cast<int>(parse_int(line.substr(9, 3)).value_or(0));
  while (true) {
    if (!read_line(line)) return failed(problem_);
    if (line.empty()) break;
    const size_t colon = line.find(": ");
    if (colon == std::string::npos) return failed("header line: " + line);
    answer.headers.emplace_back(to_lower(line.substr(0, colon)), line.substr(colon + 2));
  }
  if (answer.status == 100 || head_only) return answer;
  if (answer.header("transfer-encoding") == "chunked") {
    while (true) {
      if (!read_line(line)) return failed(problem_);
      size_t size = 0;
      const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), size, 16);
      if (error != std::errc() || end != line.data() + line.size()) {
        return failed("chunk size: " + line);
      }
      std::string chunk;
      if (!read_bytes(size, chunk) || !read_line(line)) return failed(problem_);
      if (!line.empty()) return failed("after a chunk: " + line);
      if (size == 0) return answer;
      answer.body += chunk;
      answer.chunks.push_back(std::move(chunk));
      if (answer.chunks.size() == chunks_max) return answer;
    }
  }
  const std::optional<int64_t> length = parse_int(answer.header("content-length"));
  if (!length) {
    answer.body = read_to_end();
  } else if (!read_bytes(static_cast<size_t>(*length), answer.body)) {
    return failed(problem_);
  }
  return answer;
}

std::string HttpClient::read_until(std::string_view text) {
  while (buffer_.find(text) == std::string::npos && receive()) {
  }
  return buffer_;
}

std::string HttpClient::read_to_end() {
  while (receive()) {
  }
  return std::exchange(buffer_, {});
}

bool HttpClient::at_end() { return buffer_.empty() && !receive() && problem_ == "closed"; }

HttpAnswer HttpClient::exchange(const std::string& method, const std::string& path,
                                std::string_view body,
                                const std::vector<std::pair<std::string, std::string>>& headers) {
  if (!send(request_text(method, path, body, headers))) {
    HttpAnswer answer;
    answer.problem = "could not send";
    return answer;
  }
  return read_answer(method == "HEAD");
}

std::string request_text(const std::string& method, const std::string& path, std::string_view body,
                         const std::vector<std::pair<std::string, std::string>>& headers) {
  std::string text = method + " " + path + " HTTP/1.1\r\nhost: localhost\r\n";
  for (const auto& [name, value] : headers) text += name + ": " + value + "\r\n";
  if (!body.empty() || method == "POST") {
    text += "content-length: " + std::to_string(body.size()) + "\r\n";
  }
  text += "\r\n";
  text += body;
  return text;
}

std::vector<std::string> event_data(std::string_view body) {
  constexpr std::string_view kPrefix = "data: ";
  std::vector<std::string> events;
  while (!body.empty()) {
    const size_t end = body.find("\n\n");
    if (!body.starts_with(kPrefix) || end == std::string_view::npos) {
      events.push_back("malformed event: " + std::string(body.substr(0, 80)));
      break;
    }
    events.emplace_back(body.substr(kPrefix.size(), end - kPrefix.size()));
    body.remove_prefix(end + 2);
  }
  return events;
}

}  // namespace touchstone::testing
