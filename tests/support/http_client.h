// A blocking HTTP/1.1 client for tests, close to the wire: what was sent and received can be seen
// byte by byte, and bad requests can be sent. Every wait has a deadline. Thread-compatible.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace touchstone::testing {

struct HttpAnswer {
  int status = 0;                                            ///< 0: no answer (see `problem`)
  std::vector<std::pair<std::string, std::string>> headers;  ///< names in lower case
  std::string body;                                          ///< chunks joined
  std::vector<std::string> chunks;                           ///< as they came, when chunked
  std::string problem;  ///< "timeout", "closed", or what was malformed

  std::string header(const std::string& name) const;  ///< empty when absent
  bool has_header(const std::string& name) const;
};

class HttpClient final {
 public:
  /// Connects to 127.0.0.1. connected() tells whether it did.
  explicit HttpClient(uint16_t port, int timeout_s = 60);
  /// Connects to the Unix socket at `path`.
  explicit HttpClient(const std::string& path, int timeout_s = 60);
  ~HttpClient();
  HttpClient(HttpClient&& other) noexcept;
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  bool connected() const { return socket_ >= 0; }
  /// False when the peer has closed.
  bool send(std::string_view bytes);
  /// The next answer. `head_only`: of a HEAD request.
  HttpAnswer read_answer(bool head_only = false) { return read(head_only, SIZE_MAX); }
  /// Of a chunked answer, its first `count` chunks.
  HttpAnswer read_first_chunks(size_t count) { return read(false, count); }
  /// Reads bytes until `text` was seen; what came so far, which is kept for read_answer().
  std::string read_until(std::string_view text);
  /// Everything until the peer closes.
  std::string read_to_end();
  /// True when the peer closes without sending anything more.
  bool at_end();
  /// No more reading: fills the peer's send buffer sooner.
  void set_small_receive_buffer();
  void shut_down_sending();
  void close();

  /// Sends a request with a body and reads the answer. Headers are added to host and
  /// content-length.
  HttpAnswer exchange(const std::string& method, const std::string& path,
                      std::string_view body = {},
                      const std::vector<std::pair<std::string, std::string>>& headers = {});
  HttpAnswer post(const std::string& path, std::string_view json) {
    return exchange("POST", path, json, {{"content-type", "application/json"}});
  }

 private:
  void set_timeouts(int timeout_s);
  HttpAnswer read(bool head_only, size_t chunks_max);
  bool receive();
  bool read_line(std::string& line);
  bool read_bytes(size_t count, std::string& into);

  int socket_ = -1;
  std::string buffer_;
  std::string problem_;
};

/// The text of a request, for send().
std::string request_text(const std::string& method, const std::string& path, std::string_view body,
                         const std::vector<std::pair<std::string, std::string>>& headers = {});

/// The payloads of the `data:` events of a stream; each event must be one line and an empty one.
std::vector<std::string> event_data(std::string_view body);

}  // namespace touchstone::testing
