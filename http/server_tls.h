// TLS for servers, by OpenSSL: the certificate that is shown, which clients must show one, and how
// many may be shaking hands at a time. Source: RFC 8446; the settings are uvicorn's, as vLLM passes
// them on (Python's ssl module: TLS 1.2 and up). Thread-safe.
#pragma once

#include <atomic>
#include <boost/asio/ssl/context.hpp>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "http/server.h"

namespace touchstone::http {

class ServerTls final {
 public:
  using Context = std::shared_ptr<boost::asio::ssl::context>;

  /// ERRORS: kInvalidArgument naming the file, or the setting that does not fit the others.
  static Result<std::unique_ptr<ServerTls>> make(const ServerTlsOptions& options);

  /// Of the next connection. With `refresh` the files are looked at, at most once a second; what
  /// cannot be used is told to `on_problem`, and the former ones go on.
  Context context(int64_t now_ns, const std::function<void(const std::string&)>& on_problem);

  /// Takes a place among those that shake hands; false when all are taken.
  bool enter();
  void leave() { shaking_hands_.fetch_sub(1); }
  /// leave() at the end of a block.
  struct Leave {
    ServerTls& tls;
    ~Leave() { tls.leave(); }
  };

 private:
  using Times = std::vector<std::filesystem::file_time_type>;
  ServerTls(const ServerTlsOptions& options, Context context);
  Times file_times() const;

  const ServerTlsOptions options_;
  std::atomic<size_t> shaking_hands_{0};
  Mutex mutex_;
  Context context_ GUARDED_BY(mutex_);
  Times times_ GUARDED_BY(mutex_);
  int64_t looked_ns_ GUARDED_BY(mutex_) = 0;
};

}  // namespace touchstone::http
