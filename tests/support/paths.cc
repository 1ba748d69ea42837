#include "tests/support/paths.h"

namespace touchstone::support {

std::string source_dir() { return TOUCHSTONE_SOURCE_DIR; }

std::string touchstone_binary() { return TOUCHSTONE_BINARY; }

}  // namespace touchstone::support
