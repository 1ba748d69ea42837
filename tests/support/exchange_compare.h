// Recorded HTTP exchanges and how an answer differs from the recorded one in shape: status, content
// type, JSON keys and types, framing of event streams, error type, code and param. Texts, ids and
// times are free to differ. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace touchstone::test {

struct Exchange {
  std::string name;
  std::string method;
  std::string path;
  std::map<std::string, std::string> headers;  ///< of the request, names in lower case
  std::string body;                            ///< as to be sent; empty: none
  int status = 0;
  std::map<std::string, std::string> response_headers;
  std::string response;  ///< whole, or what had arrived when the client hung up
  bool aborted = false;  ///< the client hung up
};

/// From a JSON-lines file. ERRORS: kNotFound, kIo, kMalformed with the line.
Result<std::vector<Exchange>> load_exchanges(const std::string& path);

struct Answer {
  int status = 0;
  std::string content_type;
  std::string body;
};

/// What differs, one sentence each, with where; empty: the same shape. For an aborted exchange the
/// answer may go on where the recording ends.
std::vector<std::string> compare_exchange(const Exchange& recorded, const Answer& actual);

/// The "message" of an error body; empty when there is none.
std::string error_message(std::string_view body);

/// The data of each event of an event stream. A last event that is cut off is left out.
std::vector<std::string> stream_events(std::string_view body);

}  // namespace touchstone::test
