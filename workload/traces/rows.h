// What the readers of published traces share: numbers of JSON fields, times from the first one on,
// requests as every trace gives them. Thread-compatible.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/document.h"
#include "base/result.h"
#include "workload/request_reader.h"
#include "workload/workload.h"

namespace touchstone::workload {

/// An integer that must be there, in the closed range; `low` after an error, which `fields` keeps.
int64_t required_in(const Fields& fields, const char* key, int64_t low, int64_t high);

/// Seconds as nanoseconds; nullopt when negative, not finite or beyond 64 bits.
std::optional<int64_t> seconds_to_ns(double seconds);

/// Turns the times of a trace into arrivals from 0 and refuses those that go back.
class Arrivals final {
 public:
  /// ERRORS: kInvalidArgument `where: field: got …, expected at least …`.
  Result<int64_t> from_start_ns(int64_t time_ns, const std::string& where, const char* field);

 private:
  std::optional<int64_t> first_ns_;
  int64_t last_ns_ = 0;
};

/// A request as every trace gives it; `number`: of the trace's requests, from 0.
void begin_request(Request& request, int64_t number, int64_t arrival_ns, int64_t prompt_tokens,
                   int64_t output_tokens);

/// "3 requests without a prompt or an answer"; empty for 0.
std::string without_tokens(int64_t count);

/// What a recording says of a request, and where it says so.
struct Recorded {
  int64_t time_ns = 0;
  int64_t prompt_tokens = 0;
  int64_t output_tokens = 0;
  int64_t line = 0;  ///< of the file, or which request of it; for messages
};
/// Recordings are in the order in which requests ended: sorts them by time and gives them one after
/// the other. Holds 32 bytes a request. `left_out`: as RequestReader::left_out().
std::unique_ptr<RequestReader> make_recorded_reader(const std::string& path,
                                                    std::vector<Recorded> requests,
                                                    std::string left_out);

/// Equal ids of one scope are equal, those of different scopes differ. 63 bits, as JSON readers
/// keep them exactly.
uint64_t scoped_id(uint64_t scope, uint64_t id);
/// A scope from a name.
uint64_t scope_of(std::string_view name);

}  // namespace touchstone::workload
