// Whether what a run's Collector wrote also arrived in a backend: the last hop. One thread.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "harness/backends/backend.h"
#include "harness/process/child.h"
#include "records/run_folder.h"
#include "result/result_model.h"

namespace touchstone::harness {

/// The check `backend.delivered`: a MUST finding for spans of the run that the backend does not
/// have, a SHOULD finding for spans that have other attribute keys there. Backends show spans some
/// time after they took them: they are asked until all are there, for at most `patience_ns`.
/// ERRORS: those of the files and of the backend; kInvalidArgument for one that is judged in place;
/// kCancelled.
Result<result::CheckOutcome> delivered_to(const BackendAddress& address,
                                          const records::RunFolder& run, int64_t patience_ns,
                                          const Supervision& supervision);

}  // namespace touchstone::harness
