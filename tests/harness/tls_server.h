// A real HTTPS server for tests of clients: a certificate of its own making, one answer to all.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace touchstone::harness {

class TlsServer final {
 public:
  /// Writes its certificate, which is for `localhost`, to `certificate_path`.
  explicit TlsServer(const std::string& certificate_path);
  ~TlsServer();
  std::string url() const;
  /// The `Authorization` headers that came.
  std::vector<std::string> keys() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace touchstone::harness
