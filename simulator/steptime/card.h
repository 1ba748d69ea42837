// Cards by name, as data, for step times of what nobody here has measured. Values; thread-safe.
#pragma once

#include <string_view>

#include "base/result.h"

namespace touchstone::simulator {

struct Card {
  const char* name;           ///< as AIConfigurator names systems: "h100_sxm"
  double memory_bytes_per_s;  ///< of the datasheet
  double memory_bytes;
  double flops_16bit;       ///< dense tensor-core rate for bfloat16, per second
  double flops_8bit;        ///< 0: the card has none
  double link_bytes_per_s;  ///< between cards of a server, one direction
};

/// ERRORS: kInvalidArgument with the names there are.
Result<Card> find_card(std::string_view name);

}  // namespace touchstone::simulator
