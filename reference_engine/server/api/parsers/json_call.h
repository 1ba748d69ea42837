// Reads a JSON object that comes in pieces far enough to tell a call of a tool from it: the string
// at the name's key, and the text of the value at the arguments' key as it comes in.
// Thread-compatible.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "reference_engine/server/api/parsers/parsed_text.h"

namespace touchstone::server::api {

/// Where one JSON value ends, in text that comes in pieces. Brackets and quotes are followed; the
/// value is not checked otherwise.
class JsonValueEnd final {
 public:
  enum class Step {
    kInside,
    kLast,  ///< the character is the value's last
    kPast   ///< the value ended before the character
  };
  Step add(char c);
  bool started() const { return started_; }

 private:
  int depth_ = 0;
  bool started_ = false;
  bool quoted_ = false;
  bool escaped_ = false;
};

class JsonCall final {
 public:
  /// `index`: of the call in what add() tells.
  explicit JsonCall(size_t index) : index_(index) {}

  /// Takes characters until the object ends; returns how many. The object may follow white space.
  size_t add(std::string_view text, ParsedText& out);
  bool complete() const { return state_ == State::kDone; }
  bool broken() const { return state_ == State::kBroken; }
  /// add() told its name.
  bool told() const { return told_; }
  bool has_arguments() const { return has_arguments_; }

 private:
  enum class State { kStart, kKeyOrEnd, kKey, kColon, kValue, kAfterValue, kDone, kBroken };
  enum class Meaning { kName, kArguments, kOther };

  void step(char c, ParsedText& out);
  void in_key(char c);
  void in_value(char c, ParsedText& out);
  void value_ended(ParsedText& out);
  void take(char c, ParsedText& out);

  const size_t index_;
  State state_ = State::kStart;
  Meaning meaning_ = Meaning::kOther;
  JsonValueEnd end_;
  bool escaped_ = false;
  std::string key_;
  std::string value_;    // of the name
  std::string pending_;  // arguments before the name
  bool told_ = false;
  bool has_arguments_ = false;
};

}  // namespace touchstone::server::api
