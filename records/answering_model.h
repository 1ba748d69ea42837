// Under which name a request was asked for and answered. Pure.
#pragma once

#include <string>

#include "records/request_record.h"

namespace touchstone::records {

/// The adapter's name, else the model's.
inline const std::string& answering_model(const RequestRecord& record) {
  return record.adapter.empty() ? record.model : record.adapter;
}

}  // namespace touchstone::records
