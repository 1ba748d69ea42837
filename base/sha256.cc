#include "base/sha256.h"

#include <openssl/evp.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "base/ids.h"

namespace touchstone {

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  BASE_CHECK(EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) == 1);
}

Sha256::~Sha256() = default;

void Sha256::update(std::string_view bytes) {
  BASE_CHECK(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1);
}

Sha256Digest Sha256::finish() {
  Sha256Digest digest;
  BASE_CHECK(EVP_DigestFinal_ex(state_->context, digest.data(), nullptr) == 1);
  BASE_CHECK(EVP_DigestInit_ex(state_->context, nullptr, nullptr) == 1);  // the same algorithm
  return digest;
}

Sha256Digest sha256(std::string_view bytes) {
  Sha256 hasher;
  hasher.update(bytes);
  return hasher.finish();
}

std::string sha256_hex(std::string_view bytes) {
  const Sha256Digest digest = sha256(bytes);
  return to_hex(digest.data(), digest.size());
}

Result<std::string> file_sha256_hex(const std::string& path) {
  constexpr size_t kPieceBytes = size_t{1} << 20;
  const auto close = [](std::FILE* file) { std::fclose(file); };
  const std::unique_ptr<std::FILE, decltype(close)> file(std::fopen(path.c_str(), "rb"), close);
  const auto failed = [&] { return path + ": cannot read: " + std::strerror(errno); };
  if (file == nullptr) return errno == ENOENT ? not_found(failed()) : io_error(failed());
  std::vector<char> piece(kPieceBytes);
  Sha256 hasher;
  for (;;) {
    const size_t got = std::fread(piece.data(), 1, piece.size(), file.get());
    hasher.update({piece.data(), got});
    if (got < piece.size()) break;
  }
  if (std::ferror(file.get()) != 0) return io_error(failed());
  const Sha256Digest digest = hasher.finish();
  return to_hex(digest.data(), digest.size());
}

}  // namespace touchstone
