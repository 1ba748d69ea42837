// RapidCheck generators of text, numbers and ids that several test programs share.
#pragma once

#include <rapidcheck.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"

namespace touchstone::testing {

/// Any text a client could cause: control characters, quotes, several scripts, an emoji.
inline rc::Gen<std::string> gen_text() {
  return rc::gen::map(
      rc::gen::container<std::vector<std::string>>(
          rc::gen::oneOf(rc::gen::elementOf(std::vector<std::string>{
                             "é", "漢", "\U0001F600", "\"", "\\", "\n", "\x7f", "\x01", "{", ","}),
                         rc::gen::map(rc::gen::inRange(32, 127),
                                      [](int c) { return std::string(1, static_cast<char>(c)); }))),
      [](const std::vector<std::string>& parts) {
        std::string text;
        for (const std::string& part : parts) text += part;
        return text;
      });
}

/// Any non-negative int64, small ones more often.
inline rc::Gen<int64_t> gen_count() {
  return rc::gen::oneOf(rc::gen::inRange<int64_t>(0, 300), rc::gen::inRange<int64_t>(0, INT64_MAX),
                        rc::gen::just<int64_t>(INT64_MAX));
}

inline rc::Gen<double> gen_number() {
  return rc::gen::oneOf(rc::gen::arbitrary<double>(),
                        rc::gen::elementOf(std::vector<double>{0.0, 1.0, 0.1, 1e-300, 1.7e308}));
}

template <typename T>
rc::Gen<std::optional<T>> gen_optional(const rc::Gen<T>& gen) {
  return rc::gen::oneOf(rc::gen::just(std::optional<T>()),
                        rc::gen::map(gen, [](T value) { return std::optional<T>(value); }));
}

template <typename Id>
rc::Gen<Id> gen_id() {
  return rc::gen::map(rc::gen::container<std::vector<uint8_t>>(
                          std::tuple_size_v<decltype(Id::bytes)>, rc::gen::arbitrary<uint8_t>()),
                      [](const std::vector<uint8_t>& bytes) {
                        Id id;
                        std::copy(bytes.begin(), bytes.end(), id.bytes.begin());
                        return id;
                      });
}

}  // namespace touchstone::testing
