// Everything that is recorded of one request: what its client saw, and its trace. One thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "records/ledger.h"
#include "result/result_model.h"

namespace touchstone::harness {

struct RequestSources {
  std::vector<std::string> spans;  ///< files, as for audit
  std::string ledger;              ///< empty: none
};

/// `id`: a trace id, the id of a response or of a request (as a span's attribute or the ledger has
/// it), or the name or number of a request of the ledger. The report has one waterfall: the
/// client's view, then the spans of its trace by parent and start, with their events; attributes of
/// each. Verdict skip: nothing is judged. A trace of more than kSpansShown spans is cut, which a
/// note says.
/// ERRORS: kNotFound when nothing has this id; those of the files.
Result<result::Report> view_request(const std::string& id, const RequestSources& sources);

inline constexpr size_t kSpansShown = 1000;

}  // namespace touchstone::harness
