#include "base/random.h"

#include <cmath>

#include "base/check.h"
#include "base/portable_math.h"

namespace touchstone {
namespace {

uint64_t rotate_left(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

uint64_t fnv1a(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  }
  return hash;
}

}  // namespace

uint64_t splitmix64(uint64_t& state) {
  state += 0x9e3779b97f4a7c15u;
  uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

RandomStream::RandomStream(uint64_t seed, std::string_view name) {
  uint64_t state = seed ^ fnv1a(name);
  for (uint64_t& word : state_) {
    word = splitmix64(state);
  }
}

uint64_t RandomStream::next() {
  const uint64_t result = rotate_left(state_[1] * 5, 7) * 9;
  const uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = rotate_left(state_[3], 45);
  return result;
}

uint64_t RandomStream::below(uint64_t bound) {
  BASE_CHECK(bound > 0);
  const uint64_t limit = UINT64_MAX - UINT64_MAX % bound;  // a multiple of bound
  uint64_t draw = next();
  while (draw >= limit) {
    draw = next();
  }
  return draw % bound;
}

int64_t RandomStream::between(int64_t low, int64_t high) {
  BASE_CHECK(low <= high, low, " > ", high);
  const uint64_t span = static_cast<uint64_t>(high) - static_cast<uint64_t>(low);
  if (span == UINT64_MAX) {
    return static_cast<int64_t>(next());
  }
  return static_cast<int64_t>(static_cast<uint64_t>(low) + below(span + 1));
}

double RandomStream::uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

bool RandomStream::chance(uint64_t numerator, uint64_t denominator) {
  BASE_CHECK(numerator <= denominator, numerator, "/", denominator);
  return below(denominator) < numerator;
}

double RandomStream::exponential(double mean) {
  BASE_CHECK(mean > 0, mean);
  return -mean * portable_log(1 - uniform());  // exact: uniform() has 53 bits
}

double RandomStream::normal() {
  for (;;) {
    const double u = 2 * uniform() - 1;
    const double v = 2 * uniform() - 1;
    const double s = u * u + v * v;
    if (s > 0 && s < 1) {
      return u * std::sqrt(-2 * portable_log(s) / s);
    }
  }
}

double RandomStream::gamma(double shape, double scale) {
  BASE_CHECK(shape > 0 && scale > 0, shape, " ", scale);
  if (shape < 1) {
    const double boosted = gamma(shape + 1, scale);
    return boosted * portable_exp(portable_log(1 - uniform()) / shape);
  }
  const double d = shape - 1.0 / 3;
  const double c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = normal();
    const double root = 1 + c * x;
    const double v = root * root * root;
    if (v > 0 && portable_log(1 - uniform()) < 0.5 * x * x + d - d * v + d * portable_log(v)) {
      return d * v * scale;
    }
  }
}

std::array<uint32_t, 4> philox4x32(uint64_t key, std::array<uint32_t, 4> counter) {
  uint32_t k0 = static_cast<uint32_t>(key);
  uint32_t k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53} * counter[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(p1 >> 32) ^ counter[1] ^ k0, static_cast<uint32_t>(p1),
               static_cast<uint32_t>(p0 >> 32) ^ counter[3] ^ k1, static_cast<uint32_t>(p0)};
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return counter;
}

}  // namespace touchstone
